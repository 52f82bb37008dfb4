"""The folder of a store: who may open it, what damage is told, what a kill leaves behind."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections import Counter

import pytest

from moonshelf.errors import StoreError, UsageError
from moonshelf.graph.rdf.folder import refuse
from moonshelf.graph.rdf.store import GraphStore
from tests.forked import end_of, fork
from tests.unit.graph.rdf.cases import ONTOLOGY, held, put_endlessly, split, values


def test_one_writer_or_many_readers(tmp_path) -> None:
    folder = tmp_path / "s"
    with GraphStore.open(folder) as store:
        store.put_many([split()], ONTOLOGY)
        for read_only in (True, False):
            with pytest.raises(StoreError, match="another process"):
                GraphStore.open(folder, read_only=read_only)
    with (
        GraphStore.open(folder, read_only=True) as one,
        GraphStore.open(folder, read_only=True) as two,
    ):
        assert len(one) == len(two) > 0
        with pytest.raises(StoreError, match="reading only"):
            one.put_many([split()], ONTOLOGY)
        with pytest.raises(StoreError, match="another process"):
            GraphStore.open(folder)
    GraphStore.open(folder).close()


def test_a_writer_may_wait_for_readers(tmp_path) -> None:
    folder = tmp_path / "s"
    GraphStore.open(folder).close()
    reader = GraphStore.open(folder, read_only=True)
    with pytest.raises(StoreError, match="another process"):
        GraphStore.open(folder, wait_s=0.3)
    threading.Timer(0.3, reader.close).start()
    GraphStore.open(folder, wait_s=60).close()


def test_what_opening_would_refuse_is_told_without_opening(tmp_path) -> None:
    with pytest.raises(UsageError):
        refuse(tmp_path / "s", "nothing", 0)
    refuse(tmp_path / "s", "https://a.example/", 0)
    assert not (tmp_path / "s").exists()
    GraphStore.open(tmp_path / "s", base="https://a.example/").close()
    refuse(tmp_path / "s", "https://a.example/", 0)
    with pytest.raises(StoreError, match="begin with"):
        refuse(tmp_path / "s", "https://b.example/", 0)
    with (
        GraphStore.open(tmp_path / "s", read_only=True),
        pytest.raises(StoreError, match="another process"),
    ):
        refuse(tmp_path / "s", None, 0)


def test_what_cannot_be_opened(tmp_path) -> None:
    with pytest.raises(StoreError, match="no graph store"):
        GraphStore.open(tmp_path / "none", read_only=True)
    assert not (tmp_path / "none").exists()
    GraphStore.open(tmp_path / "s", base="https://a.example/").close()
    with pytest.raises(StoreError, match="begin with"):
        GraphStore.open(tmp_path / "s", base="https://b.example/")
    with pytest.raises(UsageError):
        GraphStore.open(tmp_path / "t", base="nothing")
    with GraphStore.open(tmp_path / "s", read_only=True) as store:
        assert store.names.base == "https://a.example/"
    (tmp_path / "s" / "store.json").write_text('{"kind": "graph store", "format": 99}')
    with pytest.raises(StoreError, match="format 99"):
        GraphStore.open(tmp_path / "s")
    (tmp_path / "s" / "store.json").write_text("{")
    with pytest.raises(StoreError, match=r"store\.json"):
        GraphStore.open(tmp_path / "s")


def test_a_damaged_database_is_an_error_with_a_cure(tmp_path) -> None:
    with GraphStore.open(tmp_path / "s") as store:
        store.put_many([split()], ONTOLOGY)
    (tmp_path / "s" / "data" / "CURRENT").write_bytes(b"nonsense\n")
    with pytest.raises(StoreError) as caught:
        GraphStore.open(tmp_path / "s")
    assert caught.value.cure and caught.value.where


def test_leftovers_of_a_killed_process_are_swept(tmp_path) -> None:
    GraphStore.open(tmp_path / "s").close()
    left = tmp_path / "s" / "data" / "bulk-123.sst"
    left.write_bytes(b"x")
    (tmp_path / "s" / "snapshot-1-1").mkdir()
    GraphStore.open(tmp_path / "s").close()
    assert not left.exists() and not (tmp_path / "s" / "snapshot-1-1").exists()


def test_killed_at_any_moment_a_batch_is_there_or_not(tmp_path) -> None:
    chance = random.Random(4)
    folder = tmp_path / "s"
    states = set()
    for turn in range(8):
        begun = tmp_path / f"begun {turn}"
        child = fork(put_endlessly, folder, 1_000 * turn, begun)
        while not begun.exists():
            assert child.is_alive()
            time.sleep(0.005)
        time.sleep(chance.uniform(0.0, 0.4))
        child.kill()
        assert end_of(child) == -signal.SIGKILL
        with GraphStore.open(folder) as store:
            states |= whole(store)
    assert len(states) > 3, "the kills must fall on different states"


def whole(store: GraphStore) -> set[str]:
    """Checks that every batch is there with all its documents, or not at all; the brand there."""
    found = sorted(store.documents())
    again = [d for d in found if not d.startswith("new")]
    assert again in ([], list("012345"))
    stars = {tuple(values(store, d, "stars")) for d in again}
    brands = {tuple(values(store, d, "brand")) for d in again}
    counts = {len(values(store, d, "sets")) for d in again}
    sizes = {len(held(store, store.names.evidence(d))) for d in again}
    assert len(stars) == len(brands) == len(counts) == len(sizes) == (1 if again else 0)
    assert counts <= {0, 20}
    entities = {s for s, _, _ in held(store, store.names.entities)}
    assert entities == {brand for (brand,) in brands}
    groups = Counter(d.rpartition(" ")[0] for d in found if d.startswith("new"))
    assert set(groups.values()) <= {6}
    for d in found:
        assert not d.startswith("new") or len(values(store, d, "sets")) == 40
    return entities
