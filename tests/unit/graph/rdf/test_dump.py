"""The canonical dump: the same bytes for the same graph, and the way back."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from moonshelf.errors import DataError, StoreError
from moonshelf.graph.rdf.dump import sorted_lines, write_dump
from moonshelf.graph.rdf.store import GraphStore
from tests.unit.graph.rdf.cases import ONTOLOGY, split

ROOT = Path(__file__).resolve().parents[4]

# Fills the store at argv[1] in an order drawn from argv[2], in batches, some documents put twice or
# dropped in between; dumps it to argv[3]. The documents in the end are always the same.
FILL = """
import random, sys
from moonshelf.graph.rdf.store import GraphStore
from tests.unit.graph.rdf.cases import ONTOLOGY, split
chance = random.Random(int(sys.argv[2]))
names = [f"d{n}" for n in range(40)]
chance.shuffle(names)
with GraphStore.open(sys.argv[1]) as store:
    store.put_many([split(n, "other", backend="old") for n in names[:15]], ONTOLOGY)
    store.drop_many(names[10:15])
    size = chance.randint(1, 40)
    for k in range(0, 40, size):
        entries = []
        for n in names[k:k + size]:
            entry = split(n, f"brand {int(n[1:]) % 3}")
            facts = list(entry.facts)
            chance.shuffle(facts)
            entries.append(split(n, facts=tuple(facts)))
        store.put_many(entries, ONTOLOGY)
    store.put_ontology(ONTOLOGY)
    store.dump(sys.argv[3])
"""


def test_the_bytes_are_the_same_whatever_the_order_and_the_hash_seed(tmp_path) -> None:
    dumps = []
    for seed in (0, 1, 2):
        path = tmp_path / f"{seed}.nq"
        subprocess.run(
            [sys.executable, "-c", FILL, str(tmp_path / str(seed)), str(seed), str(path)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": str(seed)},
            check=True,
            timeout=120,
        )
        dumps.append(path.read_bytes())
    assert dumps[0] == dumps[1] == dumps[2]
    lines = dumps[0].splitlines(keepends=True)
    assert lines == sorted(set(lines)) and len(lines) > 3_000
    assert b"_:" not in dumps[0]


def test_a_dump_restores_the_store(tmp_path) -> None:
    with GraphStore.open(tmp_path / "a", base="https://shop.example/") as store:
        store.put_many([split(f"d{n}", f"b{n % 2}") for n in range(20)], ONTOLOGY)
        store.put_ontology(ONTOLOGY)
        digest = store.dump(tmp_path / "a.nq")
        before = set(store.database)
    GraphStore.restore(tmp_path / "a.nq", tmp_path / "b", base="https://shop.example/")
    with GraphStore.open(tmp_path / "b") as store:
        assert set(store.database) == before
        assert store.dump(tmp_path / "b.nq") == digest
        assert {g.value for g in store.database.named_graphs()} == {
            quad.graph_name.value for quad in before
        }
        store.put_many([split("d3", "new")], ONTOLOGY)
    assert (tmp_path / "a.nq").read_bytes() == (tmp_path / "b.nq").read_bytes()
    with pytest.raises(StoreError, match="already exists"):
        GraphStore.restore(tmp_path / "a.nq", tmp_path / "b")
    with pytest.raises(DataError, match="do not begin with"):
        GraphStore.restore(tmp_path / "a.nq", tmp_path / "c", base="https://other.example/")
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize(
    "line",
    [
        "nonsense",
        "<http://a/s> <http://a/p> _:b <http://a/g> .",
        "_:b <http://a/p> <http://a/o> <http://a/g> .",
        "<http://a/s> <http://a/p> <http://a/o> _:g .",
        "<http://a/s> <http://a/p> <http://a/o> .",
        "<relative> <http://a/p> <http://a/o> <http://a/g> .",
    ],
)
def test_what_is_no_dump_is_refused_and_leaves_nothing(tmp_path, line) -> None:
    good = "<http://a/s> <http://a/p> <http://a/o> <http://a/g> .\n"
    (tmp_path / "x.nq").write_text(good * 3 + line + "\n")
    with pytest.raises(DataError, match=r"not a quad|not sorted"):
        GraphStore.restore(tmp_path / "x.nq", tmp_path / "s", base="http://a/")
    with pytest.raises(DataError):
        GraphStore.restore(tmp_path / "missing.nq", tmp_path / "s", base="http://a/")
    assert [p.name for p in tmp_path.iterdir()] == ["x.nq"]


@pytest.mark.parametrize("chunk", [1, 50, 1_000, 10**6])
def test_sorting_through_files_is_sorting(tmp_path, chunk) -> None:
    chance = random.Random(chunk)
    lines = [f"{chance.randint(0, 300)} ü\n".encode() for _ in range(500)]
    (tmp_path / "x").write_bytes(b"".join(lines))
    assert list(sorted_lines(tmp_path / "x", tmp_path, chunk)) == sorted(set(lines))


def test_sorting_an_empty_file(tmp_path) -> None:
    (tmp_path / "x").write_bytes(b"")
    assert list(sorted_lines(tmp_path / "x", tmp_path)) == []


def test_a_dump_in_small_pieces_is_the_same(tmp_path) -> None:
    with GraphStore.open(tmp_path / "s") as store:
        store.put_many([split(f"d{n}") for n in range(5)], ONTOLOGY)
        whole = write_dump(store.database, tmp_path / "a.nq")
        assert write_dump(store.database, tmp_path / "b.nq", chunk=4_000) == whole
    assert (tmp_path / "a.nq").read_bytes() == (tmp_path / "b.nq").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.nq", "b.nq", "s"]
