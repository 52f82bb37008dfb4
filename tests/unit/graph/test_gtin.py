"""Labelled GTINs count in any text, bare ones in titles alone, and check digits decide."""

from __future__ import annotations

import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonshelf.graph.gtin import bare_gtins, gtin, isbn, labelled_gtins
from moonshelf.graph.identity import Describer
from moonshelf.graph.ontology import ROOT, Ontology
from moonshelf.graph.records import Document
from moonshelf.graph.resolve import resolve

COFFEE = "08000070035805"


@pytest.mark.parametrize(
    "text",
    [
        "EAN: 8000070035805",
        "GTIN 8000070035805",
        "Barcode no. 8000070035805.",
        "ean-13 8000070035805",
        "EAN 13: 8000070035805",
        "EAN13:8000070035805",
        "UPC/EAN code = 8000070035805, 250 g",
        "EAN 8 000070 035805",
        "GTIN-14: 08000070035805",
        "EAN: 8000070035805 250 12",
    ],
)
def test_a_label_makes_a_number_an_identifier(text: str) -> None:
    assert list(labelled_gtins(text)) == [COFFEE]


@pytest.mark.parametrize(
    "text",
    [
        "EAN: 8000070035806",
        "EAN: 80000700358051",
        "Call 8000070035805",
        "CLEAN: 8000070035805",
        "replaces EAN 8000070035805",
        "compatible with the EAN 8000070035805",
        "EAN: none, article 8000070035805",
        "EAN ٨٠٠٠٠٧٠٠٣٥٨٠٥",
        "EAN 0000000000000",
    ],
)
def test_what_is_no_gtin_of_this_product(text: str) -> None:
    assert list(labelled_gtins(text)) == []


def test_codes_of_books() -> None:
    assert isbn("0-306-40615-2") == isbn("978-0-306-40615-7") == "09780306406157"
    assert isbn("080442957X") == gtin("9780804429573") != ""
    assert isbn("0-306-40615-3") == isbn("8000070035805") == isbn("X306406152") == ""
    assert list(labelled_gtins("ISBN-10: 0-306-40615-2; ISBN-13 978-0-306-40615-7")) == [
        "09780306406157",
        "09780306406157",
    ]


@given(st.text("EANUPCGTI ISBN:-0123456789X", max_size=60))
def test_whatever_a_text_says_what_comes_out_checks_itself(text: str) -> None:
    assert all(gtin(code) == code for code in (*labelled_gtins(text), *bare_gtins(text)))


def test_a_hostile_text_is_read_in_linear_time() -> None:
    for text in ("EAN " * 20_000, "EAN 1 1 1 1 1 1 1 " * 5_000, "EAN-8-8-8 " * 5_000):
        start = time.process_time()
        list(labelled_gtins(text))
        assert time.process_time() - start < 3


def _profiled(rows: list[tuple[str, str, str]]):
    describer = Describer(Ontology())
    for name, title, text in rows:
        fields = (("title", title), ("description", text))
        yield describer.profile(name, ROOT, [Document(id=name, fields=fields)], [])


def test_two_listings_with_one_labelled_gtin_are_one_product() -> None:
    rows = [
        ("s17", "Lavazza Qualita Rossa Ground Coffee 250 g", "GTIN 8000070035805"),
        ("s18", "Lavazza Rossa Coffee Ground 250g", "EAN: 8000070035805"),
        ("s19", "Lavazza Oro Coffee Ground 250g", "Tel. 8000070035805"),
    ]
    random.Random(0).shuffle(rows)
    links = [(one.left, one.right, one.relation) for one in resolve(_profiled(rows)).links]
    assert ("s17", "s18", "sameAs") in links
    assert not [one for one in links if one[2] == "sameAs" and "s19" in one]
