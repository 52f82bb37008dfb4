"""Builds a pair set from a catalogue and its log: who asked for what, and got it. No torch.

The paper (TR 3.4) says: clicked, added and bought query-item pairs from several search entries,
in nine types, by what a query is (words, a photo, a product) and what of the item is shown. It
leaves open how pairs are counted, graded and guarded. We chose three sources:

* *searches*: an event that names a query pairs that query with its item. The level of a pair is
  the strongest act that was seen, its count all acts;
* *judgments*: the positives of a query. Of graded ones only the best grade of the log counts (or
  ``least_grade``). Their level is that of the events about them, and ``purchase`` where there are
  none, because whoever judged says that the item is what was asked for;
* *sessions*: what a user bought, and what the same user bought next, as product queries. A
  purchase alone counts: what is clicked next is another answer to one wish more often than not.

Only the train split counts, on both sides: its queries, its products, and no typed query whose
very words are typed in another split too. ``before`` cuts the log by time: a judgment whose events
all lie behind the cut is left out with them, one without events has no time and stays.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import pyarrow.compute

from moonshelf.catalog.pair_set import COLUMNS, LEVELS, PRODUCT_QUERY, TABLE_QUERY, PairSet
from moonshelf.catalog.pairs import DAY, encoded, next_purchases, purchases, unix_time
from moonshelf.catalog.splits import TRAIN
from moonshelf.catalog.store import Catalog
from moonshelf.errors import DataError, UsageError
from moonshelf.progress import Progress, silent

pc: Any = pyarrow.compute  # its functions are made as it loads: no checker sees them
PURCHASE = LEVELS.index("purchase")


@dataclass(frozen=True)
class Built:
    """The pairs in memory, and the figures of how they came about.

    ``seen``: pairs of any split that the log and the judgments name. ``left_out``: how many of
    them are no pairs of the set, by reason; the first that applies.
    """

    pairs: PairSet
    seen: int
    left_out: dict[str, int]


@dataclass(frozen=True)
class Links:
    """Query-item links, each once: int64 [n] each. ``level`` -1: nothing but a judgment says so;
    ``right`` bool [n]: whether the link is a pair (a lower grade is known, but no pair)."""

    query: np.ndarray
    item: np.ndarray
    level: np.ndarray
    count: np.ndarray
    time: np.ndarray
    right: np.ndarray


def build_pairs(
    catalog: Catalog,
    *,
    before: str | int | None = None,
    levels: Iterable[str] = LEVELS,
    least_grade: float | None = None,
    window_days: float = 30,
    following: int = 1,
    progress: Progress | None = None,
) -> Built:
    """The query-item pairs of the train split of ``catalog``.

    Args:
        before: only events before this date or unix time.
        levels: which levels a pair may have, by the strongest act.
        least_grade: from which grade on a judgment is a pair; by default the best that is given to
            any train query. Lower ones above the worst are no pairs, but no negatives either.
        window_days: longest time between two purchases of a session pair.
        following: how many next purchases are paired with each.

    Raises:
        DataError: there is no pair. UsageError: there is no such level.
    """
    levels, progress = tuple(levels), progress or silent
    for level in levels:
        if level not in LEVELS:
            raise UsageError(f"there is no level {level!r}", cure=f"use {', '.join(LEVELS)}")
    cut = None if before is None else unix_time(before)
    progress(0, 3, reading="searches")
    links = _searches(catalog, cut, least_grade)
    progress(1, 3, reading="sessions")
    sessions = _sessions(catalog, cut, window_days, following)
    progress(2, 3, reading="splits")
    parts, known, left_out = _admitted(catalog, links, sessions, levels)
    columns = {n: np.concatenate([p[n] for p in parts]).astype(t) for n, t in COLUMNS.items()}
    progress(3, 3, pairs=len(columns["item"]))
    if not len(columns["item"]):
        raise DataError(
            "there is no pair of a train query and a train product"
            + (f"; left out: {_told(left_out)}" if any(left_out.values()) else ""),
            where=str(catalog.path),
            cure="import queries with positives or a log; check --before and --levels",
        )
    options = {
        "before": before,
        "levels": [level for level in LEVELS if level in levels],
        "least_grade": least_grade,
        "window_days": window_days,
        "following": following,
    }
    return Built(
        PairSet(catalog, columns, known, options), len(links.item) + len(sessions.item), left_out
    )


def _told(left_out: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {why}" for why, count in left_out.items() if count)


def _admitted(
    catalog: Catalog, links: Links, sessions: Links, levels: tuple[str, ...]
) -> tuple[list[dict[str, np.ndarray]], np.ndarray, dict[str, int]]:
    """(columns of the pairs of searches and of sessions, known pairs, how many are none and why).

    A pair that is left out is told under the first reason that applies.
    """
    product, query = catalog.product_splits() == TRAIN, catalog.query_splits() == TRAIN
    twins = _asked_elsewhere(catalog)
    wanted = [LEVELS.index(level) for level in levels]
    parts, known, left_out = [], [], {}
    for kind, at in ((TABLE_QUERY, links), (PRODUCT_QUERY, sessions)):
        asked, twin = (query, twins) if kind == TABLE_QUERY else (product, ~product)
        level = np.where(at.level < 0, PURCHASE, at.level)
        held_out = {
            "with a product of another split": ~product[at.item],
            "with a query of another split": ~asked[at.query],
            "whose words a query of another split has": twin[at.query],
        }
        unwanted = {
            "below the least grade": ~at.right,
            "of another level": ~np.isin(level, wanted),
        }
        allowed = ~np.any(list(held_out.values()), axis=0)
        fit = np.ones(len(at.item), dtype=bool)
        for why, out in {**held_out, **unwanted}.items():
            left_out[why] = left_out.get(why, 0) + int(np.count_nonzero(fit & out))
            fit &= ~out
        known.append(_triples(kind, _only(at, allowed)))
        parts.append(_columns(kind, _only(replace(at, level=level), fit)))
    return parts, np.concatenate(known), left_out


def _triples(kind: int, links: Links) -> np.ndarray:
    return np.stack([np.full(len(links.item), kind), links.query, links.item], axis=1)


def _columns(kind: int, links: Links) -> dict[str, np.ndarray]:
    return {
        "query_kind": np.full(len(links.item), kind),
        "query": links.query,
        "item": links.item,
        "level": links.level,
        "count": np.maximum(links.count, 1),
        "time": links.time,
        "similarity": np.full(len(links.item), np.nan),
    }


def _searches(catalog: Catalog, cut: int | None, least_grade: float | None) -> Links:
    """Events and judgments of queries, merged; later events are as if they were not."""
    query, item, level, time = _asked_for(catalog)
    early = np.ones(len(time), dtype=bool) if cut is None else time < cut
    judged_query, judged_item, right = _judged(catalog, least_grade)
    size = len(catalog)
    keys = np.concatenate([query * size + item, judged_query * size + judged_item])
    pair, inverse = np.unique(keys, return_inverse=True)
    event, judgment = inverse[: len(query)], inverse[len(query) :]
    found = Links(
        query=pair // size,
        item=pair % size,
        level=np.full(len(pair), -1),
        count=np.bincount(event[early], minlength=len(pair)),
        time=np.full(len(pair), -1),
        right=np.zeros(len(pair), dtype=bool),
    )
    np.maximum.at(found.level, event[early], level[early])
    np.maximum.at(found.time, event[early], time[early])
    judged, after = np.zeros(len(pair), dtype=bool), np.zeros(len(pair), dtype=bool)
    judged[judgment], after[event[~early]] = True, True
    found.right[judgment[right]] = True
    found.right[found.count > 0] = True
    # What the log only learned behind the cut is not known yet.
    return _only(found, (found.count > 0) | (judged & ~after))


def _only(links: Links, which: np.ndarray) -> Links:
    return Links(*(getattr(links, field.name)[which] for field in fields(links)))


def _asked_for(catalog: Catalog) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(query, item, level, time) of every click, cart and purchase that names both."""
    events = catalog.events()
    kinds, names = encoded(events["kind"])
    level_of = np.array([LEVELS.index(n) if n in LEVELS else -1 for n in names] or [-1])
    items, item_ids = encoded(events["item"])
    queries, query_ids = encoded(events["query"])
    number = {name: k for k, name in enumerate(catalog.query_ids())}
    query_of = np.array([number.get(name, -1) for name in query_ids] or [-1], dtype=np.int64)
    item_of = catalog.find_rows(item_ids) if item_ids else np.array([-1], dtype=np.int64)
    level, query, item = level_of[kinds], query_of[queries], item_of[items]
    time = events["time"].to_numpy().astype(np.int64)
    fit = (level >= 0) & (query >= 0) & (item >= 0) & (kinds >= 0) & (queries >= 0)
    return query[fit], item[fit], level[fit].astype(np.int64), time[fit]


def _judged(
    catalog: Catalog, least_grade: float | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(query, item, whether it is a right answer) of every positive but those of the worst grade,
    unless that is the only one."""
    positives = catalog.query_column("positives")
    count = np.asarray(pc.list_value_length(positives)).astype(np.int64)
    query = np.repeat(np.arange(len(count)), count)
    ids = pc.list_flatten(positives).to_pylist()
    item = catalog.find_rows(ids) if ids else np.empty(0, dtype=np.int64)
    grades = catalog.query_column("grades")
    graded = np.asarray(pc.list_value_length(grades)).astype(np.int64) > 0
    grade = np.full(len(query), np.nan)
    grade[graded[query]] = np.asarray(pc.list_flatten(grades), dtype=np.float64)
    seen = grade[(catalog.query_splits() == TRAIN)[query] & ~np.isnan(grade)]
    best = least_grade if least_grade is not None else seen.max(initial=-np.inf)
    right = np.isnan(grade) | (grade >= best)
    fit = (item >= 0) & (right | (grade > seen.min(initial=np.inf)))
    return query[fit], item[fit], right[fit]


def _sessions(catalog: Catalog, cut: int | None, window_days: float, following: int) -> Links:
    """Pairs (bought, bought next by the same user), all of the train split."""
    train = catalog.product_splits() == TRAIN
    users, items, times = purchases(catalog, train)
    window = round(window_days * DAY)
    found = next_purchases(users, items, times, window=window, before=cut, following=following)
    pair, inverse = np.unique(found[:, 0] * len(catalog) + found[:, 1], return_inverse=True)
    time = np.full(len(pair), -1)
    np.maximum.at(time, inverse, found[:, 2])
    return Links(
        query=pair // len(catalog),
        item=pair % len(catalog),
        level=np.full(len(pair), PURCHASE),
        count=np.bincount(inverse, minlength=len(pair)),
        time=time,
        right=np.ones(len(pair), dtype=bool),
    )


def _asked_elsewhere(catalog: Catalog) -> np.ndarray:
    """bool [Q]: queries of words alone whose words, letter case and blanks aside, are those of such
    a query of val or test. (The words beside a photo are not what it is about.)"""
    texts = catalog.query_column("text").to_pylist()
    words = [" ".join(text.casefold().split()) for text in texts]
    for photo in np.unique(catalog.query_links()[0]).tolist():
        words[photo] = ""
    splits = catalog.query_splits()
    held_out = {text for text, split in zip(words, splits, strict=True) if split != TRAIN and text}
    return np.array([text in held_out for text in words], dtype=bool)
