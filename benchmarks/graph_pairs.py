"""Which offers are one product: entity resolution on the offers of WDC-PAVE.

    python -m benchmarks.graph_pairs --data DIR

Protocol: every offer (title and description, from 70 shop sites) is a product of its own; the
schema is learned from all of them by the builtin backend without labels; ``resolve`` with its fixed
weights links them; truth are the set's product clusters, of which this cut has one offer each: by
its truth every ``sameAs`` is wrong, and recall cannot be told. Nothing is tuned on it. Writes
``benchmarks/results/graph/pairs_wdc_pave.json``; no text is in it.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks._open_schema import document_of, read_rows, taught_by
from benchmarks.graph_extraction import RESULTS
from moonshelf.files import write_json_atomically
from moonshelf.graph.backends import make_backend
from moonshelf.graph.evaluate.pairs import pair_scores
from moonshelf.graph.identity import Describer
from moonshelf.graph.resolve import resolve


def main(argv: Sequence[str] | None = None) -> int:
    args = parser().parse_args(argv)
    train, test = read_rows(args.data, "wdc_pave")
    offers = {row["id"]: row for row in [*train, *test]}
    texts = [
        document_of(row).model_copy(update={"product": "", "category": ""})
        for row in offers.values()
    ]
    began = time.process_time()
    extractor, _ = taught_by(make_backend("builtin"), texts)
    describer = Describer(extractor.ontology)
    profiles = []
    for text in texts:
        outcome = extractor.outcome(text)
        profiles.append(describer.profile(text.id, outcome.product_class, [text], outcome.facts))
    found = resolve(profiles)
    scores = pair_scores(found, {name: row["cluster_id"] for name, row in offers.items()})
    figures = {
        "protocol": " ".join((__doc__ or "").partition("Protocol: ")[2].split("Writes")[0].split()),
        "cpu_seconds": round(time.process_time() - began, 1),
        "compared": found.compared,
        "held_back": found.held_back,
        **scores.model_dump(mode="json"),
    }
    args.results.mkdir(parents=True, exist_ok=True)
    write_json_atomically(args.results / "pairs_wdc_pave.json", figures)
    same = scores.same
    print(
        f"{scores.products:,} offers, {scores.groups:,} groups of two or more: {same.found} pairs "
        f"are said to be one, {same.matched} of them rightly, {same.wanted} wanted; "
        f"{scores.variants:,} are said to be variants"
    )
    return 0


def parser() -> argparse.ArgumentParser:
    """Options of the command."""
    found = argparse.ArgumentParser(prog="graph_pairs", description=(__doc__ or "").splitlines()[0])
    found.add_argument("--data", type=Path, required=True, metavar="DIR")
    found.add_argument("--results", type=Path, default=RESULTS, metavar="DIR")
    return found


if __name__ == "__main__":
    raise SystemExit(main())
