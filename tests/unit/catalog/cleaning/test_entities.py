"""Entities: which values of a catalogue name something, and which pairs name too little."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from moonshelf.catalog.cleaning import taggers
from moonshelf.catalog.cleaning.entities import CatalogTagger, Mention, entity_counts, few_entities
from moonshelf.catalog.cleaning.lexicon import LEAST_SAID, learn_lexicon
from moonshelf.catalog.cleaning.wordings import LEAST_STYLES
from moonshelf.catalog.pair_set import COLUMNS, PairSet
from moonshelf.catalog.product import Product, Query
from moonshelf.catalog.store import Catalog
from moonshelf.catalog.writer import CatalogWriter
from moonshelf.errors import DataError, UsageError
from tests.log_shop import HOSTILE
from tests.small_shop import picture

MANY = 2 * LEAST_SAID


def shop_of(path: Path, products: list[Product], queries: Sequence[Query] = ()) -> Catalog:
    with CatalogWriter(path / "catalog") as writer:
        for product in products:
            writer.add_product(product)
        for query in queries:
            writer.add_query(query)
        writer.commit()
    return Catalog.open(path / "catalog")


def made(k: int, title: str, split: str = "train", group: str = "", **attributes: str) -> Product:
    named = {key.replace("_", " "): (value,) for key, value in attributes.items()}
    path = ("Clothes", "Dress")
    return Product(f"p{k}", title, category=path, attributes=named, group=group, split=split)


def test_a_value_is_an_entity_and_so_is_a_category(tmp_path: Path) -> None:
    products = [
        made(0, "x", color="Dark Blue", style="Jumpsuit/Playsuit", neck="V-neck"),
        made(1, "x", split="test", color="Vermilion"),
        made(2, "x", size="M", pack="12", power="18 V", note="a b c d e f g h i j"),
    ]
    lexicon = learn_lexicon(shop_of(tmp_path, products))
    assert lexicon.kinds["darkblue"] == "color" and lexicon.kinds["vneck"] == "neck"
    assert lexicon.kinds["playsuit"] == lexicon.kinds["jumpsuit"] == "style"
    assert lexicon.kinds["dress"] == lexicon.kinds["clothe"] == "category"
    assert lexicon.kinds["18v"] == "power"
    assert "vermilion" not in lexicon.kinds  # of the test split alone
    assert set(lexicon.left_out["no word"]) == {"M", "12"}
    assert not any("abcdefghij" in form for form in lexicon.kinds)


def test_a_value_that_titles_say_without_meaning_it_is_none(tmp_path: Path) -> None:
    """ "And" is a brand of one product; "Red" is said by many, and half of them are red."""
    products = [
        made(k, f"red and nice {k}", brand="And" if k == 0 else "Zara",
             color="Red" if k % 2 else "Blue")
        for k in range(MANY)
    ]  # fmt: skip
    lexicon = learn_lexicon(shop_of(tmp_path, products))
    assert lexicon.left_out["untrue"] == ("And",)
    assert lexicon.kinds["red"] == "color" and lexicon.kinds["zara"] == "brand"
    few = learn_lexicon(shop_of(tmp_path / "few", products[: LEAST_SAID - 1]))
    assert "and" in few.kinds  # too few titles to judge


def test_a_product_without_the_key_says_nothing_against_a_value(tmp_path: Path) -> None:
    told = [made(k, f"linen {k}", fabric="Linen") for k in range(LEAST_SAID)]
    silent = [made(k, f"linen {k}") for k in range(LEAST_SAID, 20 * LEAST_SAID)]
    assert "linen" in learn_lexicon(shop_of(tmp_path, told + silent)).kinds


def test_a_value_of_any_key_is_none_unless_titles_vouch_for_it(tmp_path: Path) -> None:
    """ "Other" under keys that share nothing; "Cotton" under keys that share their values."""
    fabrics = ("Cotton", "Silk", "Wool")
    keys = ("fit", "neck", "use")
    products = [
        made(
            k,
            "plain",
            **{key: f"{key} {k}" if k % 2 else "Other" for key in keys},
            **{key: fabrics[(k + turn) % 3] for turn, key in enumerate(("top", "lining", "hood"))},
        )
        for k in range(12)
    ]
    lexicon = learn_lexicon(shop_of(tmp_path, products))
    assert lexicon.left_out["anywhere"] == ("Other",)
    assert "cotton" in lexicon.kinds
    vouched = [
        Product(f"v{k}", "the other one", category=("Clothes",), attributes={"fit": ("Other",)})
        for k in range(LEAST_SAID)
    ]
    assert "other" in learn_lexicon(shop_of(tmp_path / "more", products + vouched)).kinds


def test_words_that_titles_use_for_a_value_are_learned_from_styles(tmp_path: Path) -> None:
    """ "Scarlet" for red; not "nice", said of everything, nor "dolly" and "lucky": the sixty amber
    ones are variants of one style, and the nine other lucky ones are of any color."""
    colors = ("Red", "Blue", "Green", "Teal", "Pink", "Gray")

    def one(k: int) -> Product:
        words = ["nice", "scarlet" if k % 6 == 0 else "thing", f"no {k}"]
        words += ["lucky"] * (k % 27 == 1 or k >= 240) + ["dolly"] * (k >= 240)
        color, group = (colors[k % 6], f"g{k}") if k < 240 else ("Amber", "g240")
        if k >= 240:
            words[1] = "thing"
        return made(k, " ".join(words), group=group, color=color)

    products = [one(k) for k in range(300)]
    lexicon = learn_lexicon(shop_of(tmp_path, products))
    assert dict(lexicon.wordings) == {"scarlet": "color"}
    (mention,) = CatalogTagger(lexicon)("a SCARLET dolly")
    assert (mention.text, mention.kind) == ("SCARLET", "color")
    fewer = products[: 6 * (LEAST_STYLES - 1)]
    assert not learn_lexicon(shop_of(tmp_path / "few", fewer)).wordings
    mixed = [replace(p, attributes={"color": (f"c{k % 7}",)}) for k, p in enumerate(products)]
    assert not learn_lexicon(shop_of(tmp_path / "mixed", mixed)).wordings


def test_values_from_beside_the_catalogue(tmp_path: Path) -> None:
    catalog = shop_of(tmp_path, [Product("p0", "x"), Product("p1", "y", split="test")])
    with pytest.raises(DataError, match="no train product has an attribute"):
        learn_lexicon(catalog)
    more = {"p0": {"color": ("Teal",)}, "p1": {"color": ("Mauve",)}}
    assert dict(learn_lexicon(catalog, more).kinds) == {"teal": "color"}


@pytest.fixture
def pairs(tmp_path: Path) -> PairSet:
    """Items: two entities, one, none, no title. Queries: two, one, the same twice, a photo, and a
    photo with a word."""
    photo = picture("red", "bar", "large", np.random.default_rng(0))
    products = [
        made(0, "Red Dress", color="Red"),
        made(1, "Dolly in red", color="Red"),
        made(2, "Dolly", color="Teal"),
        Product("p3", "", (photo,), category=("Clothes", "Dress"), attributes={"color": ("Red",)}),
    ]
    texts = ("teal dresses", "teal thing", "dress dresses", "", "dress")
    queries = [Query(f"q{k}", text, (photo,) if k > 2 else ()) for k, text in enumerate(texts)]
    catalog = shop_of(tmp_path, products, queries)
    ends = [(1, 0, 0), (1, 0, 1), (1, 1, 0), (1, 2, 0), (1, 3, 0), (1, 3, 2), (0, 0, 0), (0, 1, 3)]
    ends.append((1, 4, 0))
    kind, query, item = np.array(ends).T
    drawn: dict[str, Any] = dict.fromkeys(COLUMNS, np.zeros(len(ends)))
    drawn |= {"query_kind": kind, "query": query, "item": item}
    columns = {name: np.asarray(drawn[name]).astype(dtype) for name, dtype in COLUMNS.items()}
    return PairSet(catalog, columns, np.array(ends), {})


def test_pairs_that_name_too_little_are_left_out_by_reason(pairs: PairSet) -> None:
    cleaned = few_entities(pairs, CatalogTagger(learn_lexicon(pairs.catalog)))
    # A query with a photo is not judged; a product without a title names nothing.
    assert cleaned.why.tolist() == [0, 2, 1, 1, 0, 2, 0, 3, 0]
    assert cleaned.facts["tagger"] == "catalog values"
    one = few_entities(pairs, CatalogTagger(learn_lexicon(pairs.catalog)), least=1)
    assert one.why.tolist() == [0, 0, 0, 0, 0, 2, 0, 2, 0]
    richer = few_entities(
        pairs,
        CatalogTagger(learn_lexicon(pairs.catalog)),
        fields=("title", "attributes", "category"),
    )
    assert richer.why.tolist() == [0, 0, 1, 1, 0, 0, 0, 0, 0]
    again = few_entities(cleaned.pairs, CatalogTagger(learn_lexicon(pairs.catalog)))
    assert not again.why.any()
    with pytest.raises(UsageError, match="in every text"):
        few_entities(pairs, CatalogTagger(learn_lexicon(pairs.catalog)), least=0)


class Loud:
    """A tagger that takes every word of capitals for a name, as a model might."""

    name = "loud"

    def __init__(self, catalog: Catalog | None = None, shift: int = 0) -> None:
        self.shift = shift

    def __call__(self, text: str) -> Sequence[Mention]:
        at = [k for k, char in enumerate(text) if char.isupper()]
        return [Mention(k + self.shift, k + 1 + self.shift, "NAME", text[k : k + 1]) for k in at]


def test_any_tagger_will_do_and_a_wrong_span_is_an_error(pairs: PairSet) -> None:
    assert entity_counts(Loud(), ["A B", "A a A", "", *HOSTILE]).tolist()[:3] == [2, 1, 0]
    assert few_entities(pairs, Loud()).facts["tagger"] == "loud"
    with pytest.raises(DataError, match="check the tagger"):
        entity_counts(Loud(shift=40), ["A B"])


def test_only_installed_packages_offer_taggers(
    pairs: PairSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = f"{__name__}:Loud"
    offered = [
        EntryPoint("loud", here, taggers.GROUP),
        EntryPoint("bad", "math:ceil", taggers.GROUP),
    ]
    monkeypatch.setattr(taggers, "entry_points", lambda group: EntryPoints(offered))
    monkeypatch.setattr(EntryPoint, "load", lambda self: Loud if self.name == "loud" else len)
    assert taggers.find_tagger("loud", pairs.catalog).name == "loud"
    with pytest.raises(UsageError, match="is no tagger"):
        taggers.find_tagger("bad", pairs.catalog)
    for name in ("os:system", "moonshelf.cli.main:main", "../x", ""):
        with pytest.raises(UsageError, match="no installed package offers"):
            taggers.find_tagger(name, pairs.catalog)
    offered.append(EntryPoint("loud", "x:y", taggers.GROUP))
    with pytest.raises(UsageError, match="several packages"):
        taggers.find_tagger("loud", pairs.catalog)
