"""Users with latent tastes and the log they leave: exposures, clicks, carts, purchases.

The click model is position-based: an item at position p is looked at with probability
(1 + p) ** -position_bias; a looked-at item is clicked by taste. Rankings know popularity and the
query but not the taste, as a young recommender would.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from moonshelf.catalog.product import Event
from moonshelf.catalog.synthetic.config import ShopConfig
from moonshelf.catalog.synthetic.plan import DAY, LOG_START, Entry, stream
from moonshelf.catalog.synthetic.vocabulary import ARTICLES, BRANDS, COLORS, PATTERNS

_TYPES = tuple(article.name for article in ARTICLES)
_FEED_POOL = 60


@dataclass(frozen=True, slots=True)
class LoggedQuery:
    """A query the log can contain: its row of origin, and how well each catalogue row answers it.

    ``rows`` are candidate rows (of the asked type), ``relevance`` in 0..1 beside them.
    """

    id: str
    photo: bool
    rows: np.ndarray
    relevance: np.ndarray


@dataclass(frozen=True, slots=True)
class Taste:
    """One user's leanings: shares of types; scores of colors, patterns, brands; price level."""

    types: np.ndarray
    colors: np.ndarray
    patterns: np.ndarray
    brands: np.ndarray
    price: float


@dataclass(frozen=True, slots=True)
class _Columns:
    """The catalogue as arrays, one row a product."""

    kind: np.ndarray
    color: np.ndarray
    accent: np.ndarray
    pattern: np.ndarray
    brand: np.ndarray
    level: np.ndarray
    time: np.ndarray
    fame: np.ndarray


def _columns(entries: Sequence[Entry]) -> _Columns:
    colors, patterns = tuple(COLORS), tuple(PATTERNS)
    brands = tuple(brand.name for brand in BRANDS)
    specs = [entry.spec for entry in entries]
    return _Columns(
        kind=np.array([_TYPES.index(s.article) for s in specs]),
        color=np.array([colors.index(s.color) for s in specs]),
        accent=np.array([colors.index(s.accent) for s in specs]),
        pattern=np.array([patterns.index(s.pattern) for s in specs]),
        brand=np.array([brands.index(s.brand) for s in specs]),
        level=np.array([entry.price / entry.article.price for entry in entries]),
        time=np.array([entry.time for entry in entries]),
        fame=np.log(np.array([entry.popularity for entry in entries])),
    )


def make_taste(config: ShopConfig, user: int) -> Taste:
    """A few liked types, two to four liked colors, two patterns, three brands."""
    rng = stream(config.seed, "taste", user)

    def liked(size: int, least: int, most: int) -> np.ndarray:
        scores = np.full(size, -0.7)
        scores[rng.permutation(size)[: int(rng.integers(least, most + 1))]] = 1.5
        return scores

    weights = np.array([article.weight for article in ARTICLES]) * np.exp(
        1.6 * rng.standard_normal(len(_TYPES))
    )
    return Taste(
        types=weights / weights.sum(),
        colors=liked(len(COLORS), 2, 4),
        patterns=liked(len(PATTERNS), 2, 3),
        brands=liked(len(BRANDS), 2, 4),
        price=float(0.6 + 1.4 * rng.random()),
    )


def like(taste: Taste, columns: _Columns, rows: np.ndarray) -> np.ndarray:
    """How much the user likes each row, about -2..3."""
    solid = columns.pattern[rows] == 0
    color = taste.colors[columns.color[rows]]
    second = np.where(solid, color, taste.colors[columns.accent[rows]])
    return (
        1.0 * color + 0.3 * second + 1.0 * taste.patterns[columns.pattern[rows]]
        + 0.6 * taste.brands[columns.brand[rows]] - 0.6 * np.abs(columns.level[rows] - taste.price)
        + 0.5 * np.log(taste.types[columns.kind[rows]] * len(_TYPES) + 0.05)
    )  # fmt: skip


class _Log:
    """Simulates one session after another, in the order of time."""

    def __init__(
        self, config: ShopConfig, entries: Sequence[Entry], queries: Sequence[LoggedQuery]
    ) -> None:
        self.config, self.entries, self.queries = config, entries, queries
        self.columns = _columns(entries)
        self.of_type = [np.flatnonzero(self.columns.kind == k) for k in range(len(_TYPES))]
        asked: dict[tuple[bool, int], list[int]] = {}
        for number, query in enumerate(queries):
            asked.setdefault((query.photo, int(self.columns.kind[query.rows[0]])), []).append(
                number
            )
        self.asked = asked
        fame = np.exp(self.columns.fame)
        self.fame_bounds = np.cumsum(fame)
        self.events: list[Event] = []

    def _shown(
        self, taste: Taste, now: int, rng: np.random.Generator
    ) -> tuple[str, np.ndarray, np.ndarray]:
        """(query id, rows in order, relevance) of one result page."""
        config, columns = self.config, self.columns
        kind = int(np.searchsorted(np.cumsum(taste.types), rng.random() * 0.999999))
        draw = rng.random()
        photo = draw < config.photo_search
        numbers = self.asked.get((photo, kind), [])
        if draw < config.photo_search + config.search and numbers:
            query = self.queries[numbers[int(rng.integers(len(numbers)))]]
            rows, relevance, name = query.rows, query.relevance, query.id
            score = 8.0 * relevance + 0.6 * columns.fame[rows]
        else:
            known = self.of_type[kind]
            famous = np.searchsorted(
                self.fame_bounds, rng.random(_FEED_POOL // 2) * self.fame_bounds[-1] * 0.999999
            )
            near = known[rng.integers(len(known), size=_FEED_POOL // 2)] if len(known) else famous
            rows, name = np.unique(np.concatenate([near, famous])), ""
            relevance = np.zeros(len(rows))
            score = 0.6 * columns.fame[rows]
        listed = columns.time[rows] <= now
        rows, relevance, score = rows[listed], relevance[listed], score[listed]
        order = np.argsort(-(score + 0.7 * rng.gumbel(size=len(rows))), kind="stable")
        top = order[: config.exposures]
        return name, rows[top], relevance[top]

    def session(self, user: str, taste: Taste, now: int, rng: np.random.Generator) -> None:
        """One page: everything shown, what was clicked, put in the cart, bought."""
        query, rows, relevance = self._shown(taste, now, rng)
        if not len(rows):
            return
        liking = like(taste, self.columns, rows)
        place = np.arange(len(rows))
        looked = rng.random(len(rows)) < (1.0 + place) ** -self.config.position_bias
        wanted = liking + 1.5 * relevance * (query != "")
        clicked = looked & (rng.random(len(rows)) < 1 / (1 + np.exp(1.2 - wanted)))
        carted = clicked & (rng.random(len(rows)) < 1 / (1 + np.exp(1.4 - 0.8 * wanted)))
        bought = carted & (rng.random(len(rows)) < 0.6)
        for position, row in enumerate(rows.tolist()):
            entry = self.entries[row]
            self._add(now + 2 * position, user, entry, "exposure", query, position)
            wait = now + 2 * position
            for kind, happened, least in (
                ("click", clicked, 3),
                ("cart", carted, 20),
                ("purchase", bought, 60),
            ):
                if happened[position]:
                    wait += least + int(rng.integers(least * 3))
                    self._add(wait, user, entry, kind, query, position)

    def _add(
        self, time: int, user: str, entry: Entry, kind: str, query: str, position: int
    ) -> None:
        price = entry.price if kind == "purchase" else None
        self.events.append(Event(time, user, entry.id, kind, query, position, price))


def make_events(
    config: ShopConfig, entries: Sequence[Entry], queries: Sequence[LoggedQuery]
) -> list[Event]:
    """The whole log, sorted by time; an exposure comes before its click, cart and purchase."""
    users = config.count(config.users, 0.15, 4)
    rng = stream(config.seed, "visit")
    activity = (1.0 + np.arange(users)) ** -0.5
    activity = activity[rng.permutation(users)]
    visits = np.maximum(2, np.round(activity / activity.mean() * config.sessions)).astype(int)
    log = _Log(config, entries, queries)
    for user in range(users):
        own = stream(config.seed, "user", user)
        taste = make_taste(config, user)
        days = np.sort(own.integers(0, config.days, visits[user]))
        hours = 7 * 3600 + own.integers(0, 16 * 3600, visits[user])
        for day, hour in zip(days.tolist(), hours.tolist(), strict=True):
            log.session(f"u{user:05d}", taste, LOG_START + day * DAY + hour, own)
    return sorted(log.events, key=lambda event: event.time)
