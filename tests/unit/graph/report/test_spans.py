"""A text cut at the edges of spans: against looking at each character alone."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from moonshelf.graph.report.spans import Marked, pieces

marks = st.lists(
    st.builds(Marked, st.integers(-3, 25), st.integers(-3, 25), st.integers(1, 6)), max_size=8
)


@given(st.integers(0, 20), marks)
def test_every_character_lies_in_the_pieces_of_its_spans(length: int, spans: list[Marked]) -> None:
    found = pieces(length, spans)
    covered = [
        {one.key for one in spans if one.start <= place < one.end} for place in range(length)
    ]
    shown = [set(piece.keys) for piece in found for _ in range(piece.start, piece.end)]
    assert shown == covered
    assert [place for piece in found for place in range(piece.start, piece.end)] == list(
        range(length)
    )


@given(st.integers(1, 20), marks)
def test_a_span_ends_where_it_ends_and_is_told_once(length: int, spans: list[Marked]) -> None:
    found = pieces(length, spans)
    ends = {(piece.end, key) for piece in found for key in piece.ending}
    wanted = {
        (min(length, one.end), one.key) for one in spans if max(0, one.start) < min(length, one.end)
    }
    assert ends == wanted
    assert all(len(set(piece.ending)) == len(piece.ending) for piece in found)


def test_the_shortest_of_spans_lies_on_top() -> None:
    found = pieces(10, [Marked(0, 10, 1), Marked(2, 5, 2)])
    assert [(piece.start, piece.keys) for piece in found] == [(0, (1,)), (2, (1, 2)), (5, (1,))]
    assert [piece.ending for piece in found] == [(), (2,), (1,)]


def test_a_text_without_spans_is_one_piece() -> None:
    assert [(one.start, one.end) for one in pieces(4, [])] == [(0, 4)]
    assert pieces(0, [Marked(0, 3, 1)]) == []
