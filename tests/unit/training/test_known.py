"""What is known to be no negative: carriers of values, equal texts, labels of several terms."""

from __future__ import annotations

import numpy as np

from moonshelf.training.known import Labeled, carriers, label, text_codes


def test_carriers_have_every_word_of_the_query_and_may_have_more():
    values = [
        ("Dark Blue", "Cotton"),
        ("Blue", "Cotton", "Slim Fit"),
        ("Red", "Cotton"),
        (),
    ]
    rows = np.array([40, 30, 20, 10])
    texts = ["Blue Cotton", "Dark Blue", "Slim Fit Blue", "Cotton"]
    found = {(place, row) for place, row in carriers(texts, rows, values).tolist()}
    # Words count, in any order: "Dark Blue Cotton" answers "Blue Cotton"; one word of two does not.
    assert found == {(0, 40), (0, 30), (1, 40), (2, 30), (3, 40), (3, 30), (3, 20)}


def test_carriers_equal_a_slow_reference():
    rng = np.random.default_rng(0)
    words = ["a", "b", "c", "d", "e f", "f g"]
    values = [tuple(rng.choice(words, rng.integers(0, 5), replace=False)) for _ in range(30)]
    texts = [" ".join(rng.choice(words, rng.integers(1, 4), replace=False)) for _ in range(30)]
    rows = rng.permutation(100)[:30]
    expected = []
    for place, text in enumerate(texts):
        for row, having in zip(rows, values, strict=True):
            carried = [word for value in having for word in value.split(" ")]
            if all(word in carried for word in text.split(" ")):
                expected.append((place, int(row)))
    found = carriers(texts, rows, values)
    assert found.dtype == np.int64 and sorted(map(tuple, found.tolist())) == sorted(expected)
    assert 10 < len(expected) < 600


def test_no_carriers_is_an_empty_table():
    assert carriers(["x"], np.array([3]), [("y",)]).shape == (0, 2)


def test_equal_texts_have_equal_codes():
    codes = text_codes(["b", "a", "b", ""])
    assert codes[0] == codes[2] and len(set(codes.tolist())) == 3


def relations(parts: list[Labeled]) -> set[tuple[int, int]]:
    """(place of a query, place of an item) that are kept apart, the pairs aside."""
    keep_out = label(parts, np.array([-1, -1, 5, 5, -1, -1, -1, -1]), None)
    count = sum(part.rows.shape[1] for part in parts)
    keep_out.check(count, count, 0)
    return {
        (row, column)
        for entries, labels in keep_out.relations(count, 0, 0)
        for row, value in entries.tolist()
        for column in np.flatnonzero(labels.numpy() == value).tolist()
        if row != column
    }


def test_labels_of_several_parts_share_rows_and_texts_and_nothing_else():
    # Texts get numbers from 0 on, rows are numbers from 0 on: the two must not meet.
    words = Labeled(np.array([[0, 1], [1, 2]]), (["red", "blue"], None))
    photos = Labeled(np.array([[6, 0], [3, 4]]), (None, ["blue", "x"]), np.array([[0, 1], [1, 7]]))
    typed = Labeled(np.array([[4, 5], [6, 0]]), (["blue", "green"], ["x", "y"]))
    assert relations([words]) == set()
    # Items 2 and 3 are of one group; the photo part knows (its first query, item 1).
    assert relations([words, photos]) == {(1, 2), (2, 1), (2, 0)}
    found = relations([words, photos, typed])
    assert found == {(1, 2), (2, 1), (2, 0), (1, 4), (4, 1), (3, 4), (4, 3)}
    again = Labeled(np.array([[0], [1]]), (None, None))  # item 1 once more; query row 0 by itself
    assert relations([words, again]) == {(0, 2), (2, 0)}
    assert relations([photos, again]) == {(0, 2), (1, 2), (2, 1)}
