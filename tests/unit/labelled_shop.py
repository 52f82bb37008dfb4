"""Listings of air conditioners with a gold set of their own, small enough to check by eye."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from moonshelf.graph.evaluate.gold import GoldProperty, GoldSet
from moonshelf.graph.records import Document
from tests.unit.graph.evaluate import shop

MAKERS = ("Voltas", "Daikin", "Hitachi", "Carrier", "Godrej", "Lloyd")
GOLD = {
    "brand": GoldProperty(kind="string", multi=False, guidance="g"),
    "cooling_capacity": GoldProperty(
        kind="number", multi=False, guidance="g", unit="ton", units=("ton", "btu/h", "kw")
    ),
    "star_rating": GoldProperty(kind="integer", multi=False, guidance="g"),
    "inverter": GoldProperty(kind="boolean", multi=False, guidance="g"),
    "wifi": GoldProperty(kind="boolean", multi=False, guidance="g"),
    "color": GoldProperty(kind="string", multi=True, guidance="g"),
    "product_type": GoldProperty(
        kind="enum", multi=False, guidance="g", values=("split ac", "window ac")
    ),
}


def gold_of(k: int) -> tuple[Document, Any]:
    maker = MAKERS[k % 6]
    title = f"{maker} {k + 1} Ton {k % 5 + 1} Star Inverter Split AC with White panel number {k}"
    doc = shop.document(f"d{k}", title)
    facts = {
        "brand": (maker, maker.lower()),
        "cooling_capacity": (f"{k + 1} Ton", Decimal(k + 1)),
        "star_rating": (f"{k % 5 + 1} Star", k % 5 + 1),
        "inverter": ("Inverter", True),
        "color": ("White", "white"),
        "product_type": ("Split AC", "split ac"),
    }
    text = shop.gold_text(doc, "test" if k > 7 else "dev", **facts)
    # `gold_text` knows its own properties' units alone.
    told = [
        fact.model_copy(update={"unit": "Ton"}) if fact.property == "cooling_capacity" else fact
        for fact in text.facts
    ]
    return doc, text.model_copy(update={"facts": tuple(told)})


SHOP = [gold_of(k) for k in range(10)]
GOLD_SET = GoldSet(properties=GOLD, texts=tuple(text for _, text in SHOP))
