"""The drawn shop's log obeys time, position and taste."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace

import numpy as np
import pytest

from moonshelf.catalog.product import Event
from moonshelf.catalog.synthetic import DrawnShop, ShopConfig


@pytest.fixture(scope="module")
def big_log() -> tuple[DrawnShop, list[Event]]:
    shop = DrawnShop(ShopConfig(products=1000, seed=5))
    return shop, shop.events()


def test_log_obeys_time(big_log):
    shop, events = big_log
    listed = {e.id: e.time for e in shop.entries}
    assert [e.time for e in events] == sorted(e.time for e in events)
    assert all(e.time >= listed[e.item] for e in events)
    before = {"click": "exposure", "cart": "click", "purchase": "cart"}
    last: dict[tuple[str, str, str, str], int] = {}
    for event in events:
        key = (event.user, event.item, event.query)
        if event.kind in before:
            earlier = last[(*key, before[event.kind])]
            assert earlier < event.time
        last[(*key, event.kind)] = event.time
        assert (event.price is not None) == (event.kind == "purchase")
        assert 0 <= event.position < 10


def test_new_items_appear_late_and_are_shown_after_listing(big_log):
    shop, events = big_log
    start = events[0].time
    new = {e.id: e.time for e in shop.entries if e.time > start}
    assert 0.1 < len(new) / len(shop.entries) < 0.3
    shown = [e for e in events if e.item in new]
    assert shown and all(e.time >= new[e.item] for e in shown)


def click_rates(events: list[Event]) -> np.ndarray:
    shown, clicked = np.zeros(10), np.zeros(10)
    for event in events:
        if event.kind == "exposure":
            shown[event.position] += 1
        elif event.kind == "click":
            clicked[event.position] += 1
    return clicked / shown


def test_position_bias_is_there_and_can_be_turned_off(big_log):
    shop, events = big_log
    biased = click_rates(events)
    flat = click_rates(DrawnShop(replace(shop.config, position_bias=0.0)).events())
    assert biased[:2].mean() > 2.5 * biased[6:].mean()
    assert flat[:2].mean() < 1.8 * flat[6:].mean()


@pytest.mark.parametrize("fact", ["article", "color", "pattern", "brand"])
def test_tastes_can_be_learned(big_log, fact):
    """Two clicks of one user share the fact more often than clicks of two users do."""
    shop, events = big_log
    of = {e.id: getattr(e.spec, fact) for e in shop.entries}
    bought: dict[str, list[str]] = defaultdict(list)
    seen: set[tuple[str, str]] = set()
    for event in events:
        if event.kind == "click" and (event.user, event.item) not in seen:
            seen.add((event.user, event.item))
            bought[event.user].append(of[event.item])
    same = pairs = 0
    for values in bought.values():
        counts = Counter(values)
        same += sum(n * (n - 1) for n in counts.values())
        pairs += len(values) * (len(values) - 1)
    everyone = Counter(v for values in bought.values() for v in values)
    chance = sum((n / everyone.total()) ** 2 for n in everyone.values())
    assert same / pairs > 1.12 * chance


def test_searches_show_what_was_asked(big_log):
    shop, events = big_log
    answers = {q.id: set(q.positives) for q, _ in shop._text_queries}
    split = {q.id: q.split for q, _ in shop._text_queries}
    of = {e.id: e.split for e in shop.entries}
    hits = [
        e.item in answers[e.query]
        for e in events
        if e.kind == "exposure"
        and e.query in answers
        and of[e.item] == split[e.query]
        and e.position < min(3, len(answers[e.query]))
    ]
    assert np.mean(hits) > 0.5


def test_shops_have_a_long_tail():
    entries = DrawnShop(ShopConfig(products=3000, seed=1)).entries
    sizes = sorted(Counter(e.shop.id for e in entries).values(), reverse=True)
    assert sizes[0] > 0.1 * len(entries)
    assert len(sizes) > 100 and sizes[len(sizes) // 2] < 0.006 * len(entries)
