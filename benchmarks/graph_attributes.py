"""What a graph adds to a catalogue's own attributes, and how often the two agree.

    python -m benchmarks.graph_attributes --catalog DIR --name myntra --same color=base_colour

Protocol: a seeded sample of products; `graph build` with the builtin backend over their texts alone
(``--fields``), nothing of the catalogue's attributes; its reference attributes beside the
catalogue's own. A key is the catalogue's where both are called alike but for case, ``_`` and ``-``,
or where ``--same`` says so. Of a product and key that both have, two agreements are counted:
*equal*, one value of each by letters and digits; *contained*, also where the words of one are all
among the words of the other. Neither is truth: the shop's own value may be the wrong one, and a
text may speak of another part of the product. Keys that the catalogue lacks are counted, and
nobody has measured how often they are right.

Writes ``benchmarks/results/graph/attributes_NAME.json``; no product text is in it.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.graph_extraction import RESULTS
from moonshelf.catalog.attribute_text import known_values
from moonshelf.catalog.product import Product
from moonshelf.catalog.reference_attributes import AttributeFile, ProductAttributes, key_form
from moonshelf.catalog.store import Catalog
from moonshelf.files import write_json_atomically
from moonshelf.graph.attributes import export_attributes
from moonshelf.graph.backends import make_backend
from moonshelf.graph.build import BuildSettings, build
from moonshelf.graph.documents import document_of, from_documents

YES_NO = {"yes", "no"}
MOST = 15


def main() -> None:
    parser = argparse.ArgumentParser(description="What a graph adds to a catalogue's attributes.")
    parser.add_argument("--catalog", type=Path, required=True)
    parser.add_argument("--name", required=True, help="of the result")
    parser.add_argument("--products", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--fields", nargs="+", default=["title,description", "description"])
    parser.add_argument("--same", metavar="GRAPH=CATALOGUE", nargs="*", default=[])
    parser.add_argument("--results", type=Path, default=RESULTS)
    args = parser.parse_args()
    catalog = Catalog.open(args.catalog)
    order = np.random.default_rng(args.seed).permutation(len(catalog))
    products = [catalog[int(row)] for row in np.sort(order[: args.products])]
    same = {key_form(a): key_form(b) for a, _, b in (word.partition("=") for word in args.same)}
    figures = {
        "protocol": " ".join((__doc__ or "").split("Protocol: ")[1].split("Writes")[0].split()),
        "catalog": {"products": len(catalog), "sample": len(products), "seed": args.seed},
        "same": same,
        "texts": {fields: measured(products, fields.split(","), same) for fields in args.fields},
    }
    write_json_atomically(args.results / f"attributes_{args.name}.json", figures)


def measured(
    products: Sequence[Product], fields: Sequence[str], same: Mapping[str, str]
) -> dict[str, Any]:
    """Builds the graph of ``products`` and compares."""
    started = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        graph, file = Path(folder) / "graph", Path(folder) / "attributes.jsonl"
        summary = build(
            from_documents([document_of(product, fields) for product in products]),
            make_backend("builtin", {}),
            graph,
            BuildSettings(workers=1, resolve=False),
        )
        export_attributes(graph, file)
        told = list(AttributeFile.open(file))
    return {
        "lost": len(summary.ledger.lost),
        "properties": summary.used_properties,
        "facts": summary.facts,
        "cpu_seconds": round(time.process_time() - started, 1),
        **compared({product.id: product for product in products}, told, same),
    }


def compared(
    products: Mapping[str, Product], told: Sequence[ProductAttributes], same: Mapping[str, str]
) -> dict[str, Any]:
    """What ``told`` adds to the products' own attributes, and where both speak, whether alike."""
    new: Counter[str] = Counter()
    enriched: set[str] = set()
    both: dict[str, list[tuple[bool, bool, bool]]] = defaultdict(list)
    for record in told:
        own = {key_form(k): v for k, v in products[record.product].attributes.items() if v}
        for key, values in known_values(record).items():
            called = key_form(key) if key_form(key) in own else same.get(key_form(key), "")
            if called in own:
                both[f"{key_form(key)} = {called}"].append(agreement(values, own[called]))
            else:
                new[key_form(key)] += 1
                enriched.add(record.product)
    every = [one for found in both.values() for one in found]
    return {
        "products_with_a_new_key": len(enriched),
        "new_keys": len(new),
        "new_keys_times_products": sum(new.values()),
        "commonest_new_keys": dict(
            sorted(new.items(), key=lambda pair: (-pair[1], pair[0]))[:MOST]
        ),
        "both": shares(every),
        "both_without_yes_no": shares([one for one in every if not one[2]]),
        "keys_of_both": {
            key: shares(found) for key, found in sorted(both.items(), key=lambda p: -len(p[1]))
        },
    }


def agreement(values: Sequence[str], own: Sequence[str]) -> tuple[bool, bool, bool]:
    """(equal, contained, the graph's value is only yes or no)."""
    pairs = [(a, b) for a in values for b in own]
    equal = any(_letters(a) == _letters(b) for a, b in pairs)
    contained = equal or any(_within(a, b) or _within(b, a) for a, b in pairs)
    return equal, contained, set(values) <= YES_NO


def shares(found: Sequence[tuple[bool, bool, bool]]) -> dict[str, Any]:
    count = len(found)
    if not count:
        return {"count": 0}
    return {
        "count": count,
        "equal": round(sum(one[0] for one in found) / count, 3),
        "contained": round(sum(one[1] for one in found) / count, 3),
    }


def _within(one: str, other: str) -> bool:
    return bool(_words(one)) and _words(one) <= _words(other)


def _letters(text: str) -> str:
    return "".join(c for c in text.casefold() if c.isalnum())


def _words(text: str) -> frozenset[str]:
    return frozenset(word for word in key_form(text).split() if _letters(word))


if __name__ == "__main__":
    main()
