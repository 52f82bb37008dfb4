"""The queue of earlier items: what is taken, in which order, how old, and what a step leaves."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from moonshelf.objectives.contrastive import KeepOut
from moonshelf.training.known import text_codes
from moonshelf.training.negatives import COLUMNS, Items, Queue, beside, item_labels


def items(numbers: list[int], view: int = 0) -> Items:
    """Items that can be told apart by a number."""
    column = torch.tensor(numbers, dtype=torch.int64).reshape(-1, 1)
    labels = column.repeat(1, COLUMNS)
    labels[:, -1] = view
    return Items(column.float().repeat(1, 3), labels)


@given(
    size=st.integers(1, 9),
    counts=st.lists(st.integers(0, 5), min_size=1, max_size=8),
    skipped=st.sets(st.integers(0, 7)),
    twice=st.sets(st.integers(0, 7)),
)
@settings(deadline=None, max_examples=120)
def test_it_is_the_newest_of_earlier_steps(
    size: int, counts: list[int], skipped: set[int], twice: set[int]
) -> None:
    """Against a plain list, with steps that are skipped or come twice."""
    queue, past, number = Queue(size, 5, 3), [], 0
    for step, count in enumerate(counts):
        taken, ages = queue.take(step)
        want = past[-size:]
        assert taken.vectors[:, 0].tolist() == taken.labels[:, 0].tolist() == [n for n, _ in want]
        assert ages.tolist() == [step - entered for _, entered in want]
        if step in skipped:
            continue
        new = list(range(number, number + count))
        for _ in range(2 if step in twice else 1):
            queue.put(step, items(new))
            again, _ = queue.take(step)
            assert again.vectors[:, 0].tolist() == again.labels[:, 0].tolist()
            assert again.labels[:, 0].tolist() == [n for n, _ in want]
        past += [(n, step) for n in new]
        number += count


def test_nothing_is_taken_before_anything_came_in() -> None:
    taken, ages = Queue(8, 4, 3).take(0)
    assert len(taken) == len(ages) == 0


def test_a_state_goes_on_as_the_queue_it_was_saved_from() -> None:
    one, other = Queue(6, 4, 3), Queue(6, 4, 3)
    for step in range(5):
        one.put(step, items([10 * step, 10 * step + 1, 10 * step + 2]))
    other.load_state_dict(one.state_dict())
    for queue in (one, other):
        queue.put(5, items([7, 8]))
    assert all(torch.equal(a, b) for a, b in zip(one.buffers(), other.buffers(), strict=True))
    assert not list(one.parameters())


def test_it_keeps_copies_without_graph_and_only_items_with_a_view() -> None:
    queue = Queue(8, 4, 3)
    given_items = items([1, 2, 3])
    given_items.vectors.requires_grad_()
    given_items.labels[1, -1] = -1
    queue.put(0, given_items)
    with torch.no_grad():
        given_items.vectors.zero_()
    taken, _ = queue.take(1)
    assert taken.vectors[:, 0].tolist() == [1, 3] and not taken.vectors.requires_grad
    kept = taken.of_views(torch.tensor([0]))
    for step in range(1, 9):  # what a loss has taken stays while the queue goes on
        queue.put(step, items([10 * step] * 4))
    assert kept.vectors[:, 0].tolist() == kept.labels[:, 0].tolist() == [1, 3]


def test_items_of_a_view_with_their_labels_beside_a_batch() -> None:
    parts = [items([1, 2], view=0), items([3], view=2), items([4, 5], view=2)]
    some = [part.of_views(torch.tensor([2, -1])) for part in parts]
    assert [part.vectors[:, 0].tolist() for part in some] == [[], [3], [4, 5]]
    batch = torch.arange(2)
    keep_out = beside(KeepOut(item_ids=batch, groups=batch, queries=batch), some)
    keep_out.check(2, 2, 3)
    assert keep_out.extra_texts is None  # the batch has none to compare with
    for labels in (keep_out.extra_item_ids, keep_out.extra_groups, keep_out.extra_queries):
        assert labels is not None and labels.tolist() == [3, 4, 5]
    again = item_labels(KeepOut(item_ids=batch, groups=batch + 5), torch.tensor([1, 1]))
    assert again.tolist() == [[0, 5, -1, -1, 1], [1, 6, -1, -1, 1]]


def test_codes_of_texts_are_those_of_earlier_steps() -> None:
    first, later = text_codes(["a", "b", "ü\ud800"]), text_codes(["c", "b"])
    assert first[1] == later[1] and len({*first.tolist(), *later.tolist()}) == 4
    assert first.min() >= 0 and text_codes([]).shape == (0,)


def test_more_than_there_is_room_for_is_a_mistake() -> None:
    with pytest.raises(AssertionError, match="room for 2"):
        Queue(8, 2, 3).put(0, items([1, 2, 3]))
