"""What the comparison of a graph with its catalogue counts, on values that one can check."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from benchmarks.graph_attributes import agreement, compared, main
from moonshelf.catalog.product import Product
from moonshelf.catalog.reference_attributes import ImageSupport, ProductAttributes, ReferenceValue
from moonshelf.catalog.writer import CatalogWriter

SEEN = (ImageSupport(picture="ab", encoder="v1", confidence=0.9),)


def told(name: str, **values: str) -> ProductAttributes:
    return ProductAttributes(
        product=name,
        attributes={
            key.replace("_", " "): (ReferenceValue(value=value, support=SEEN),)
            for key, value in values.items()
        },
    )


@pytest.mark.parametrize(
    ("values", "own", "wanted"),
    [
        (["T-shirt"], ["t shirt"], (True, True, False)),
        (["Slim fit"], ["Slim"], (False, True, False)),
        (["red", "blue"], ["Green", "Blue"], (True, True, False)),
        (["reddish"], ["red"], (False, False, False)),
        (["yes"], ["Cotton"], (False, False, True)),
        (["-"], ["Cotton"], (False, False, False)),
    ],
)
def test_agreement(values: list[str], own: list[str], wanted: tuple[bool, bool, bool]) -> None:
    assert agreement(values, own) == wanted


def test_what_is_new_and_what_both_have() -> None:
    products = {
        "a": Product(id="a", attributes={"Sleeve_Length": ("Short",), "base_color": ("Red",)}),
        "b": Product(id="b", attributes={"fabric": ()}),
    }
    found = compared(
        products,
        [told("a", sleeve_length="short", color="blue", neck="v"), told("b", fabric="yes")],
        {"color": "base color"},
    )
    assert (found["products_with_a_new_key"], found["new_keys_times_products"]) == (2, 2)
    assert found["both"] == {"count": 2, "equal": 0.5, "contained": 0.5}
    assert found["keys_of_both"]["color = base color"]["equal"] == 0
    assert found["commonest_new_keys"] == {"fabric": 1, "neck": 1}


def test_it_runs_on_a_catalogue_and_keeps_no_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with CatalogWriter(tmp_path / "shop") as writer:
        for k in range(12):
            color = ("red", "blue")[k % 2]
            writer.add_product(
                Product(
                    id=f"p{k}",
                    title=f"Acme table fan {k + 10} W {color}",
                    description="Secretword.",
                    attributes={"color": ("Red",)},
                )
            )
        writer.commit()
    words = ["--catalog", str(tmp_path / "shop"), "--name", "x", "--results", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["graph_attributes", *words, "--fields", "title"])
    main()
    text = (tmp_path / "attributes_x.json").read_text()
    found = json.loads(text)["texts"]["title"]
    assert found["keys_of_both"]["color = color"] == {"count": 12, "equal": 0.5, "contained": 0.5}
    assert "Secretword" not in text and str(tmp_path) not in text
