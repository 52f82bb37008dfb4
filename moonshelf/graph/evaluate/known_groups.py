"""Which products are known to be one: a table of groups, or of pairs, as benchmarks publish them.

id,group           a product and its group (WDC: cluster_id); products not listed are not judged
idAbt,idBuy        two ids that are one product (Abt-Buy); all others of the graph are alone
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from moonshelf.catalog.readers.rows import Row, RowFile
from moonshelf.config import closest
from moonshelf.errors import DataError, UsageError
from moonshelf.graph.evaluate.pairs import PairScores, pair_scores
from moonshelf.graph.manifest import read_complete
from moonshelf.graph.resolve import Resolution
from moonshelf.graph.state import State

KEYS = ("id", "group", "left", "right", "left_prefix", "right_prefix", "delimiter")
_GROUP = ("group", "cluster", "cluster_id", "entity", "entity_id", "group_id")
_ID = ("id", "product", "product_id", "document")


@dataclass(frozen=True)
class KnownGroups:
    """``groups``: product -> its group. ``all_others_alone``: products of the graph that are not
    in it are groups of one; else nothing is known of them."""

    groups: Mapping[str, str]
    all_others_alone: bool


def read_known_groups(path: Path, settings: Mapping[str, str] | None = None) -> KnownGroups:
    """A table of either layout; a table of two columns of ids is one of pairs.

    Args:
        path: .csv .tsv .parquet .jsonl
        settings: names of columns ``id`` and ``group``, or ``left`` and ``right``; ``left_prefix``
            and ``right_prefix`` are put before ids where two tables number their products alike;
            ``delimiter`` of the file.

    Raises:
        UsageError: an unknown setting or column, or no telling which columns are meant.
        DataError: the file or one of its rows cannot be read.
    """
    told = dict(settings or {})
    for key in told:
        if key not in KEYS:
            raise UsageError(f"pairs have no setting {key!r}", cure=closest(key, KEYS))
    file = RowFile(path, delimiter=told.get("delimiter", ""))
    first, second, grouped = _columns(file, told)
    left, right = told.get("left_prefix", ""), told.get("right_prefix", "")
    groups: dict[str, list[str]] = {}
    direct: dict[str, str] = {}
    for row in file.rows():
        if not isinstance(row, Row):
            raise row.error
        one, other = (str(row.fields.get(name) or "").strip() for name in (first, second))
        if not one or not other:
            raise DataError("an empty cell", where=row.where, cure="fill it in")
        if grouped:
            direct[one] = other
            continue
        a, b = groups.setdefault(left + one, [left + one]), right + other
        mine = groups.setdefault(b, [b])
        if a is not mine:
            a += mine
            groups |= dict.fromkeys(mine, a)
    if grouped:
        return KnownGroups(direct, all_others_alone=False)
    return KnownGroups({name: min(group) for name, group in groups.items()}, True)


def known_pairs(graph: Path, known: KnownGroups) -> tuple[PairScores, int]:
    """Scores of a graph's links against known groups, and how many known products it lacks.

    Raises:
        StoreError: no graph, or one that is not complete.
        DataError: no known product is in it, or it was built without resolution.
    """
    settings = read_complete(graph)["settings"]
    with State.open(graph, create=False) as state:
        remembered = state.recall("resolution") if settings["resolve"] else None
        products = {one.about for one in state.documents()}
    if remembered is None:
        raise DataError(
            "this graph was built without resolution",
            where=str(graph),
            cure="build it again without --no-resolve",
        )
    truth = {name: group for name, group in known.groups.items() if name in products}
    if not truth:
        raise DataError(
            "no known product is in this graph",
            where=str(graph),
            cure="give the ids of its products (left_prefix and right_prefix may help)",
        )
    lacking = len(known.groups) - len(truth)
    if known.all_others_alone:
        # A group may be called as a product that is alone elsewhere: keep the two apart.
        truth = {name: f"group {group}" for name, group in truth.items()}
        truth |= {name: f"alone {name}" for name in products - set(truth)}
    return pair_scores(Resolution.model_validate(remembered), truth), lacking


def _columns(file: RowFile, told: Mapping[str, str]) -> tuple[str, str, bool]:
    """(first column, second column, whether the second names a group)."""
    header = file.header()
    for key in ("id", "group", "left", "right"):
        if key in told and told[key] not in header:
            raise UsageError(
                f"no column {told[key]!r}",
                where=str(file.path),
                cure=f"columns: {', '.join(header)}",
            )
    if "left" in told and "right" in told:
        return told["left"], told["right"], False
    lower = {name.lower(): name for name in header}
    group = told.get("group") or next((lower[n] for n in _GROUP if n in lower), "")
    name = told.get("id") or next((lower[n] for n in _ID if n in lower), "")
    if group and name:
        return name, group, True
    if len(header) == 2 and not group:
        return header[0], header[1], False
    raise UsageError(
        "cannot tell which columns hold ids or groups",
        where=str(file.path),
        cure="pass --set pairs.id=COLUMN pairs.group=COLUMN, or pairs.left and pairs.right; "
        f"columns: {', '.join(header)}",
    )
