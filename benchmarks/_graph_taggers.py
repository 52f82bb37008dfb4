"""What the tagger is worth: none, one that learned from the rules' own hits, one of labels.

``graph_extraction.py`` measures it; here its figures are put side by side.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks._graph_arms import Part, Row
from benchmarks.graph_extraction import RESULTS
from moonshelf.errors import StoreError

PROTOCOL = (
    "read from the results of graph_extraction.py: air conditioners on the dev half of the gold "
    "set, all listings in the graph; AE-110k and WDC-PAVE on their test splits, listed slots, the "
    "tagger taught by the labels of the train split. 95 % intervals from resampling documents, of "
    "each arm alone"
)


def tagger(data: Path, results: Path = RESULTS) -> Part:
    """
    Raises:
        StoreError: nobody measured it yet.
    """
    own = _figures(results / "air_conditioners.json", "ablation")
    arms: dict[str, Row] = {
        "air conditioners: plain": _row(own["rules"]["dev"]["listed"], own["rules"]["facts"]),
        "air conditioners: own hits": _row(
            own["rules_and_tagger"]["dev"]["listed"], own["rules_and_tagger"]["facts"]
        ),
    }
    for name, shown in (("ae110k", "AE-110k"), ("wdc_pave", "WDC-PAVE")):
        table = _figures(results / f"{name}.json", "in_backend")
        arms[f"{shown}: plain"] = _row(table["rules"])
        arms[f"{shown}: labels"] = _row(table["rules_and_tagger"])
    return Part(protocol=PROTOCOL, arms=arms)


def _row(listed: Mapping[str, Any], facts: int | None = None) -> Row:
    shares = (("precision", "precision"), ("recall", "recall"), ("F1", "f1"))
    row: Row = {name: {"value": listed["score"][part], **listed[part]} for name, part in shares}
    return row if facts is None else {"facts": facts, **row}


def _figures(path: Path, key: str) -> Mapping[str, Any]:
    try:
        return json.loads(path.read_text("utf-8"))[key]
    except (OSError, ValueError, KeyError) as error:
        raise StoreError(
            "the tagger was not measured yet",
            where=str(path),
            cure="run benchmarks.graph_extraction first",
        ) from error
