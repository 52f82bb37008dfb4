"""What the cells of a comparison share: catalogues and pair sets, each made once by the public
commands.

A piece of _cells.py. ``shop`` is the drawn shop, which needs no data. A pair set of cleaning steps
is made from purchases, step after step (docs/pairs.md); each step's own set stays for the next.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

DRAWN = "shop"
LOGGED = ("grocery", "hm", DRAWN)  # sets with queries or purchases: their pair sets hold pairs
STEPS: dict[str, tuple[str, ...]] = {  # cleaning steps and their options
    "dedup": (),
    "dedup without floor": ("--floor", "0"),
    "merge": (),
    "rebalance": (),
    "entities": (),
}


class DataSets:
    """Catalogues under ``work/catalogs``, pair sets under ``work/pairs``.

    Args:
        source: the raw data sets; run: calls a command of moonshelf, and raises where it fails.
        drawn: products of the drawn shop.
    """

    def __init__(self, source: Path, work: Path, run: Callable[..., None], drawn: int) -> None:
        self.source, self.work, self._run, self._drawn = source, work, run, drawn
        self._fingerprints: dict[str, str] = {}

    def catalog(self, data: str) -> Path:
        """The imported catalogue of a data set."""
        name = f"{data}-{self._drawn}" if data == DRAWN else data
        folder = self.work / "catalogs" / name
        if (folder / "manifest.json").is_file():
            return folder
        if data == DRAWN:
            from moonshelf.catalog.importing import import_records
            from moonshelf.catalog.synthetic import draw_shop

            facts = {"reader": DRAWN, "products": self._drawn, "seed": 0}
            import_records(draw_shop(self._drawn, 0), folder, source=facts)
        else:
            self._run("catalog", "import", self.source / data, "--to", folder)
        return folder

    def fingerprint(self, data: str) -> str:
        """Of the catalogue in its present state."""
        if data not in self._fingerprints:
            from moonshelf.catalog.store import Catalog

            self._fingerprints[data] = Catalog.open(self.catalog(data)).fingerprint
        return self._fingerprints[data]

    def pairs(self, data: str) -> Path:
        """The pair set of the whole log."""
        return self._built(data, "log")

    def cleaned(self, data: str, steps: Sequence[str], encoder: Path) -> Path:
        """Purchases after ``steps`` of ``STEPS``; ``encoder`` is the previous model of dedup."""
        folder = self._built(data, "purchases", "--levels", "purchase")
        for step in steps:
            verb, *_ = step.split()
            done = folder.with_name(f"{folder.name}+{step.replace(' ', '_')}")
            more: list[Any] = [*STEPS[step]]
            if verb == "dedup":
                done = done.with_name(f"{done.name}-{encoder.name}")
                more += ["--encoder", encoder]
            self._make(done, "pairs", verb, folder, "--catalog", self.catalog(data), *more)
            folder = done
        return folder

    def _built(self, data: str, name: str, *options: Any) -> Path:
        folder = self.work / "pairs" / f"{data}-{self.fingerprint(data)[:8]}" / name
        self._make(folder, "pairs", "build", "--catalog", self.catalog(data), *options)
        return folder

    def _make(self, folder: Path, *words: Any) -> None:
        if not (folder / "manifest.json").is_file():
            folder.parent.mkdir(parents=True, exist_ok=True)
            self._run(*words, "--out", folder)
