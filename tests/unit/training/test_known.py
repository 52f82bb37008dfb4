"""What is known to be no negative: carriers of values against a slow reference, equal texts."""

from __future__ import annotations

import numpy as np

from moonshelf.training.known import carriers, text_codes


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
