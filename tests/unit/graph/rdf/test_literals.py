"""Texts and numbers as literals: they come back from both libraries as they were."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from moonshelf.errors import DataError
from moonshelf.graph.rdf.library import oxigraph
from moonshelf.graph.rdf.literals import decimal_form, escape, integer_form, unescape
from moonshelf.graph.rdf.turtle import Terms, TripleSet, turtle

ANY = st.text(st.characters(exclude_categories=()), max_size=60)
PIECES = [
    '"',
    "'",
    "\\",
    "\\u{",
    "\\u{5C}",
    "u{",
    "}",
    "\\u0022",
    '"""',
    "<",
    ">",
    " .",
    "@en",
    "^^",
]
PIECES += ["\x00", "\x1f", "\r\n", "\ud800", "\udfff", "\ufffe", "\uffff", "\x7f", "\x85", "\u2028"]
NASTY = st.lists(st.sampled_from(PIECES), max_size=12).map("".join)


@given(ANY | NASTY)
@example("\\u{5C}u{0}")
@example("\\\x00")
def test_text_comes_back_whatever_it_was(text) -> None:
    assert unescape(escape(text)) == text


@given(ANY | NASTY, ANY | NASTY)
def test_two_texts_never_become_one(one, other) -> None:
    assert (escape(one) == escape(other)) == (one == other)


@given(ANY | NASTY)
def test_what_is_written_is_xml_and_utf8(text) -> None:
    from xml.etree import ElementTree

    written = escape(text)
    written.encode("utf-8")
    element = ElementTree.Element("a")
    element.text = written.replace("\r", "")  # XML turns CR into LF; RDF does not
    assert ElementTree.fromstring(ElementTree.tostring(element)).text in (element.text, None)


def test_usual_texts_stay_as_they_are() -> None:
    for text in ["plain", "dir\\new", "AC\\DC", "tab\tline\nend\r", "ü 東京 🧊", '24"', "\\u0041"]:
        assert escape(text) == text
    assert escape("a\x00\ud800\\u{41}") == "a\\u{0}\\u{D800}\\u{5C}u{41}"


@given(ANY | NASTY)
def test_both_libraries_read_every_literal_back(text) -> None:
    import rdflib

    found = TripleSet()
    found.add("http://a.example/s", "http://a.example/p", text)
    data = turtle(found.sorted(), {"a": "http://a.example/"})
    library = oxigraph()
    (quad,) = library.parse(data, format=library.RdfFormat.TURTLE)
    assert unescape(quad.object.value) == text
    (value,) = rdflib.Graph().parse(data=data, format="turtle").objects()
    assert unescape(str(value)) == text


@pytest.mark.parametrize(
    ("given_", "written"),
    [
        *(("1.50", "1.5"), ("100", "100"), ("1E+2", "100"), ("0.000", "0"), ("-0", "0")),
        *(("-1.20", "-1.2"), ("1E-7", "0.0000001"), ("12345678901234567890.5",) * 2),
    ],
)
def test_decimals_have_one_form(given_, written) -> None:
    assert decimal_form(Decimal(given_)) == written


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**30), max_value=10**30))
def test_the_store_keeps_the_form_of_decimals(number) -> None:
    try:
        term = Terms().number(number)
    except DataError:
        return
    library = oxigraph()
    store, node = library.Store(), library.NamedNode("http://a.example/")
    store.add(library.Quad(node, node, term, node))
    (quad,) = store
    assert quad.object == term and Decimal(term.value) == number


@given(st.integers(-(10**61), 10**61))
def test_the_store_keeps_the_form_of_integers(number) -> None:
    try:
        term = Terms().integer(number)
    except DataError:
        assert abs(number) >= 10**60
        return
    library = oxigraph()
    store, node = library.Store(), library.NamedNode("http://a.example/")
    store.add(library.Quad(node, node, term, node))
    (quad,) = store
    assert quad.object == term and int(term.value) == number


@pytest.mark.parametrize("text", ["NaN", "Infinity", "1E+999999", "1E-999999", "9" * 61])
def test_what_is_no_amount_is_not_written(text) -> None:
    with pytest.raises(DataError):
        decimal_form(Decimal(text))


def test_huge_integers_are_not_written() -> None:
    with pytest.raises(DataError):
        integer_form(10**5000)
