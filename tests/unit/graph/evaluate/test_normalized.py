"""Conventions are learned from pairs and hold for values that were not among them."""

from __future__ import annotations

import pytest

from moonshelf.graph.evaluate.normalized import Normalizer, normalized_scores

ROWS = [
    ({"Width": ['24"'], "Store": ["300-GB", "300GB"]}, {"Width": ["61.0"], "Store": ["300 Gigas"]}),
    ({"Width": ['30"'], "Store": ["36 GB"]}, {"Width": ["76.2"], "Store": ["36 Gigas"]}),
    ({"Width": ["10"], "Store": ["1TB"]}, {"Width": ["25.4"], "Store": ["1 Teras"]}),
    ({"Width": ["8"], "Store": ["2 TB"]}, {"Width": ["20.3"], "Store": ["2 Teras"]}),
    ({"Width": ["5", '12"']}, {"Width": ["12.7", "30.5"]}),
    ({"Maker": ["HP"], "Code": ["AB-12"]}, {"Maker": ["Hewlett-Packard"], "Code": ["AB12"]}),
    ({"Maker": ["Acme"], "Code": ["C-9-x"]}, {"Maker": ["ACME"], "Code": ["C9x"]}),
    ({"Maker": ["Borea"], "Code": ["77"]}, {"Maker": ["BOREA"], "Code": ["77"]}),
    ({"Speed": ["10K"]}, {"Speed": ["10000"]}),
    ({"Speed": ["7.2K RPM"]}, {"Speed": ["7200"]}),
    ({"Maker": ["a", "b", "c"]}, {"Maker": ["x", "y"]}),  # which became which?
]
NORMALIZER = Normalizer.learn(ROWS)


@pytest.mark.parametrize(
    ("name", "raw", "normalized"),
    [
        ("Width", '36"', "91.4"),
        ("Width", '2-1/2"', "6.3"),
        ("Width", "11", "27.9"),  # no unit: the usual one of this attribute
        ("Store", "450GB", "450 Gigas"),
        ("Store", "4 TB", "4 Teras"),
        ("Maker", "hp", "Hewlett-Packard"),
        ("Maker", "Cirrus", "CIRRUS"),
        ("Code", "QQ-1/2", "QQ12"),
        ("Speed", "15K", "15000"),
        ("Unknown", "As Is", "As Is"),
    ],
)
def test_a_convention_holds_for_new_values(name: str, raw: str, normalized: str) -> None:
    assert NORMALIZER(name, raw) == normalized


def test_scores_count_extraction_and_normalization() -> None:
    found = [{"Width": '36"', "Maker": "HP"}, {"Width": "9", "Store": "x"}]
    written = [{"Width": ['36"'], "Maker": ["HP"]}, {"Width": ["10"], "Store": [], "Code": ["D-1"]}]
    wanted = [
        {"Width": ["91.4"], "Maker": ["Hewlett-Packard"]},
        {"Width": ["25.4"], "Store": [], "Code": ["D2"]},
    ]
    scores = normalized_scores(found, written, wanted, NORMALIZER)
    # right: 36" and HP; wrong: 9 inches, a store that is none; missed: the code
    assert (scores.found.score.matched, scores.found.score.found, scores.found.score.wanted) == (
        2, 4, 4
    )  # fmt: skip
    assert scores.as_written.matched == 0
    assert (scores.words_given.matched, scores.words_given.wanted) == (3, 4)  # D-1 is not D2
    assert (scores.words_unseen.matched, scores.words_unseen.wanted) == (1, 2)  # 36", D-1
    assert scores.attributes["Width"].matched == 1
