"""The pairs that a catalogue has for the terms of a stage, and what to do where it has none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from moonshelf.catalog.batches import Term
from moonshelf.catalog.pair_set import LEVELS, PRODUCT_QUERY, TABLE_QUERY, PairSet
from moonshelf.catalog.pairs import catalog_pairs
from moonshelf.catalog.product import View
from moonshelf.errors import DataError, UsageError
from moonshelf.training.contents import ContentSource
from moonshelf.training.settings import AlignConfig, TermConfig
from moonshelf.training.sides import term_views


@dataclass
class FoundTerms:
    """``planned`` in the order of the recipe; ``dropped`` says how many pairs of each term lack a
    title or picture it shows, ``without_pairs`` why an optional term gets no steps."""

    planned: list[Term] = field(default_factory=list)
    dropped: dict[str, int] = field(default_factory=dict)
    without_pairs: dict[str, str] = field(default_factory=dict)


def find_terms(
    stage: str,
    config: AlignConfig,
    source: ContentSource,
    groups: np.ndarray,
    log: PairSet | None = None,
) -> FoundTerms:
    """The terms of ``config`` that get steps, with their pairs in the train split.

    Args:
        stage: its name in the recipe, for messages.
        groups: int64 [N] of the catalogue (``group_codes``).
        log: what terms of source "log" draw from.

    Raises:
        DataError: a term that is not optional has fewer than two pairs, or no term has any. Names
            every such term, and the words that leave them out.
    """
    found, lacking = FoundTerms(), {}
    for name, term in config.active().items():
        try:
            pairs, found.dropped[name] = _pairs(term, source, log)
            why = f"has {len(pairs)} pairs with {_shown(term)}"
        except DataError as error:
            pairs, why = np.empty((0, 2), np.int64), error.what
        if len(pairs) >= 2:
            found.planned.append(Term(name, pairs, term.share, groups[pairs[:, 1]]))
        elif term.optional:
            found.without_pairs[name] = why
        else:
            lacking[name] = why
    if lacking or not found.planned:
        raise _refusal(stage, lacking or found.without_pairs, found, source)
    return found


def open_pairs(stage: str, config: AlignConfig, source: ContentSource) -> PairSet | None:
    """The pair set that terms of source "log" draw from; None where there is no such term.

    Raises:
        UsageError: the recipe names none. DataError: it is not there, or of another catalogue.
    """
    if not config.reads_log:
        return None
    if config.pairs is None:
        raise UsageError(
            "terms of source 'log' draw from a pair set, and the recipe names none",
            where=f"stages.{stage}",
            cure="make one (moonshelf pairs build) and add data.pairs=FOLDER to the command",
        )
    return PairSet.open(config.pairs, source.catalog)


def log_pairs(log: PairSet, source: ContentSource) -> np.ndarray:
    """Every pair that the log knows, whatever cleaning left of them, as rows of ``source``: int64
    [m, 2]."""
    kind, query, item = log.known.T
    return np.stack([_content_rows(kind, query, source), item], axis=1)


def _content_rows(kind: np.ndarray, query: np.ndarray, source: ContentSource) -> np.ndarray:
    """int64 [n]: the queries of pairs as rows of ``source``."""
    return np.where(kind == TABLE_QUERY, query + source.products, query)


def _log_pairs(term: TermConfig, source: ContentSource, log: PairSet) -> np.ndarray:
    """Pairs of the term's levels whose query is of the kind that its query view asks with: words,
    a photo, or a product with both; int64 [n, 2]."""
    words, photo = log.asked_by()
    both = (log.query_kind == PRODUCT_QUERY) | (words & photo)
    fit = {View.TEXT: words, View.IMAGE: photo, View.BOTH: both}[term.query]
    fit = fit & np.isin(log.level, [LEVELS.index(level) for level in term.levels])
    rows = _content_rows(log.query_kind, log.query, source)
    pairs = np.stack([rows, log.item], axis=1)[fit]
    if not len(pairs):
        asked = {View.TEXT: "typed words", View.IMAGE: "a photo", View.BOTH: "a product"}[
            term.query
        ]
        raise DataError(f"has no {' or '.join(term.levels)} after {asked} in its log")
    return pairs


def _pairs(term: TermConfig, source: ContentSource, log: PairSet | None) -> tuple[np.ndarray, int]:
    """The pairs that can be shown, int64 [n, 2], and how many cannot."""
    if term.source == "log":
        assert log is not None  # open_pairs
        every = _log_pairs(term, source, log)
    else:
        every = catalog_pairs(
            source.catalog,
            term.source,
            most=term.most,
            window_days=term.window_days,
            before=term.before,
            following=term.following,
        )
    fit = np.ones(len(every), dtype=bool)
    for side, view in term_views(term):
        # Variants are turned around at random: both ends must be fit for both views.
        for column in (0, 1) if term.source == "variant" else (side,):
            fit &= source.usable(view)[every[:, column]]
    return every[fit], len(every) - int(fit.sum())


def _shown(term: TermConfig) -> str:
    """What a term's views must be able to show, in words."""
    views = {view.value for _, view in term_views(term)}
    needs = [
        what for view, what in (("t", "a title"), ("i", "a readable picture")) if view in views
    ]
    return " and ".join(needs) or "a title or a readable picture"


def _refusal(
    stage: str, lacking: Mapping[str, str], found: FoundTerms, source: ContentSource
) -> DataError:
    words = [f"stages.{stage}.terms.{name}.share=0" for name in lacking]
    what = "leave these terms out"
    if not found.planned:
        told = source.catalog.column("description").to_pylist()
        text = "query_description" if any(told) else "query_attributes"
        words.append(f"\"stages.{stage}.terms.words={{query='t', item='t', {text}=1.0}}\"")
        what = "train on words alone"
    return DataError(
        f"stage {stage} cannot train on this catalogue: "
        + "; ".join(f"for term {name} it {why}" for name, why in lacking.items()),
        where=str(source.catalog.path),
        cure=f"{what} by adding to the command: {' '.join(words)}",
    )
