"""IRIs: plain, below the base, and never shared."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonshelf.errors import DataError, UsageError
from moonshelf.graph.rdf.iris import DEFAULT_BASE, Names, digest, key, slug
from moonshelf.graph.rdf.library import oxigraph

ANY = st.text(st.characters(exclude_categories=()), max_size=40)
MINTS = ("product", "document", "facts", "evidence", "agent", "unit", "dimension")


@given(ANY)
def test_any_text_gives_a_plain_ascii_iri_below_the_base(text) -> None:
    import rdflib

    names = Names()
    for iri in [getattr(names, mint)(text) for mint in MINTS] + [names.entity("brand", text)]:
        assert iri.startswith(DEFAULT_BASE) and iri.isascii() and len(iri) < 200
        assert not set(iri) & set(" \"<>{}|^`\\%?#'()")
        assert oxigraph().NamedNode(iri).value == iri
        assert rdflib.URIRef(iri).n3() == f"<{iri}>"


@given(ANY, ANY)
def test_two_texts_never_share_an_iri(one, other) -> None:
    assert (key(one) == key(other)) == (one == other)


def test_near_texts_are_told_apart() -> None:
    """The slug is the same, or empty, for all of them."""
    texts = ["LG AC", "lg-ac", "lg ac", "LG\u00a0AC", "ＬＧ AC", "lg_ac", " lg ac"]
    texts += ["", " ", "-", "東京", "大阪", "\ud800", "\ud801", "\ufffd", "x" * 100, "x" * 101]
    assert len({key(text) for text in texts}) == len(texts)


def test_no_collision_among_many() -> None:
    assert len({digest(str(n)) for n in range(300_000)}) == 300_000


def test_a_digest_has_eighty_bits() -> None:
    assert len(digest("x")) == 20 and int(digest("x"), 16) < 2**80


def test_slugs_read_well() -> None:
    assert slug("Löwen-Bräu 5,2 kW!") == "lowen-brau-5-2-kw"
    assert slug("a" * 400) == "a" * 40
    assert slug("-".join("ab" for _ in range(40)))[-1] != "-"


def test_ends_of_ranges_collide_with_no_property() -> None:
    names = Names()
    assert names.property("x", "min") != names.property("x_min")
    with pytest.raises(DataError):
        names.property("x-min")


@pytest.mark.parametrize("name", ["", "a b", "a/b", "é", "a>", "1a", "x" * 65, "a-b", "../a"])
def test_what_is_no_name_never_stands_in_an_iri(name) -> None:
    for mint in ("term", "product_class", "property", "entity_class", "shape"):
        with pytest.raises(DataError):
            getattr(Names(), mint)(name)


@pytest.mark.parametrize(
    "base",
    ["http://a.example", "https://a.example/", "https://a.example:8080/kg/x~1/", "http://a/%41/"],
)
def test_bases(base) -> None:
    assert Names.under(base).base == base.rstrip("/") + "/"


@pytest.mark.parametrize(
    "base",
    [
        *("", "shop", "/kg/", "urn:x:", "ftp://a/", "file:///", "http:///x/", "javascript:1"),
        *("http://a/?q", "http://a/#f", "http://a/b c/", "http://a/<", 'http://a/"', "http://é/"),
        *("http://u@a/", "http://a/../b/", "http://a/./", "http://a//b/", "http://a/%zz/"),
        *("http://a/\n", "http://a/" + "b" * 300),
    ],
)
def test_what_is_no_base(base) -> None:
    with pytest.raises(UsageError, match="base IRI"):
        Names.under(base)
