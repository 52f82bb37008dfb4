"""A store survives being killed at any moment: no work twice, no half of anything, same result.

Real processes are killed with SIGKILL, some at a chosen file operation (so that every step of the
way is hit, whatever the machine's speed), some from outside at a chosen time.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np
import pytest

from moonshelf.center.embed import embed_catalog
from moonshelf.center.store import Store
from moonshelf.errors import StoreError
from tests.forked import end_of, fork
from tests.invariants.store_job import ITEMS, SHARD, job
from tests.unit.center.fakes import FakeCatalog, FakeEncoder, draw_products


def start(store: Path, operation: int = 0, pause: float = 0, index: str = "exact") -> BaseProcess:
    return fork(job, store, operation, pause, index)


def finish(store: Path, index: str = "exact") -> int:
    """Runs to the end and returns the number of file operations."""
    assert end_of(start(store, index=index)) == 0
    return int(store.with_suffix(".count").read_text())


@contextmanager
def held_up(store: Path) -> Iterator[BaseProcess]:
    """A process that embeds, shards begun, and does not end inside the block."""
    hold = store.with_suffix(".hold")
    hold.touch()
    process = start(store, pause=0.05)
    while not (store / "shards").is_dir():
        assert process.is_alive()
        time.sleep(0.01)
    try:
        yield process
    finally:
        hold.unlink()


def check(store: Path, expected: Store, kills: int) -> None:
    """The same contents as an uninterrupted run, at the price of at most a shard a kill."""
    made = Store.open(store)
    np.testing.assert_array_equal(made.vectors, expected.vectors)
    vector = np.asarray(expected.vectors[3])
    assert made.search(vector, 10) == expected.search(vector, 10)
    log = store.with_suffix(".log").read_text().splitlines()
    assert len(set(log)) == ITEMS
    assert len(log) <= ITEMS + kills * SHARD
    left = [p.name for p in store.rglob("*") if ".partial" in p.name or p.name.endswith(".dead")]
    assert not left
    assert len(list((store / "tables").iterdir())) == 1


@pytest.fixture(scope="module")
def expected(tmp_path_factory) -> Store:
    folder = tmp_path_factory.mktemp("whole") / "store"
    return embed_catalog(FakeEncoder(), FakeCatalog(draw_products(ITEMS)), folder, shard_rows=SHARD)


def readable_or_refused(store: Path) -> None:
    """Whatever the moment of death: the store opens whole, or says that it is unfinished."""
    try:
        opened = Store.open(store)
    except StoreError as error:
        assert error.cure
        return
    assert len(opened.search(np.ones(opened.dim), 5)) == 5


def test_killed_at_any_file_operation_it_goes_on(tmp_path, expected):
    operations = finish(tmp_path / "counted")
    assert operations > 60
    moments = np.linspace(2, operations - 1, 6).astype(int).tolist()
    for moment in moments:
        store = tmp_path / f"killed{moment}"
        assert end_of(start(store, moment)) == -9, moment
        readable_or_refused(store)
        finish(store)
        check(store, expected, kills=1)


def test_killed_again_and_again_it_comes_to_an_end(tmp_path, expected):
    store, kills = tmp_path / "store", 0
    while True:
        if end_of(start(store, operation=34)) == 0:
            break
        kills += 1
        readable_or_refused(store)
        assert kills < 20
    assert kills >= 3
    check(store, expected, kills)


@pytest.mark.parametrize("seconds", [0.0, 0.2, 0.5])
def test_killed_from_outside_while_embedding(tmp_path, expected, seconds):
    store = tmp_path / "store"
    with held_up(store) as process:
        time.sleep(seconds)
        process.kill()
        assert end_of(process) == -9
    readable_or_refused(store)
    finish(store)
    check(store, expected, kills=1)


def test_killed_while_bringing_up_to_date_the_old_version_stays(tmp_path):
    """A finished store of an older catalogue keeps answering until the new version is whole."""
    older = FakeCatalog(draw_products(ITEMS, seed=9))
    wanted = embed_catalog(FakeEncoder(), FakeCatalog(draw_products(ITEMS)), tmp_path / "whole")
    template = tmp_path / "older"
    before = np.array(embed_catalog(FakeEncoder(), older, template, shard_rows=SHARD).vectors)
    outcomes = []
    for moment in (10, 70, 85, 110):
        store = tmp_path / f"store{moment}"
        embed_catalog(FakeEncoder(), older, store, shard_rows=SHARD)
        end_of(start(store, moment))
        found = np.asarray(Store.open(store).vectors)
        outcomes.append([np.array_equal(found, v) for v in (before, wanted.vectors)])
        finish(store)
        check(store, wanted, kills=1)
    assert all(any(outcome) for outcome in outcomes), outcomes
    assert outcomes[0] == [True, False] and outcomes[-1] == [False, True]


@pytest.mark.slow
def test_a_killed_lance_build_leaves_no_half_index(tmp_path):
    pytest.importorskip("lancedb")
    whole = embed_catalog(
        FakeEncoder(), FakeCatalog(draw_products(ITEMS)), tmp_path / "whole", index="lance"
    )
    operations = finish(tmp_path / "counted", index="lance")
    for moment in (operations - 20, operations - 6, operations - 2):
        store = tmp_path / f"store{moment}"
        assert end_of(start(store, moment, index="lance")) == -9
        readable_or_refused(store)
        finish(store, index="lance")
        check(store, whole, kills=1)


def test_two_writers_at_once_the_second_is_refused(tmp_path, expected):
    store = tmp_path / "store"
    with held_up(store) as first, pytest.raises(StoreError, match="another process"):
        embed_catalog(FakeEncoder(), FakeCatalog(draw_products(ITEMS)), store)
    assert end_of(first) == 0
    check(store, expected, kills=0)


def test_shards_never_change(tmp_path):
    """Growing the catalogue adds shards and leaves the bytes of the old ones alone."""
    products = draw_products(ITEMS)
    store = tmp_path / "store"
    digests = {}
    for count in (20, 50, ITEMS):
        embed_catalog(FakeEncoder(), FakeCatalog(products[:count]), store, shard_rows=SHARD)
        found = {
            path.relative_to(store): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in (store / "shards").rglob("*")
            if path.is_file()
        }
        assert digests.items() <= found.items()
        digests = found
