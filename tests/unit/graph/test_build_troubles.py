"""What may go wrong around a build: deadly documents, huge titles, and what cannot be written."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from moonshelf.errors import StoreError, UsageError
from moonshelf.graph import extraction, writing
from moonshelf.graph.manifest import refuse_foreign
from moonshelf.graph.ontology import Ontology
from moonshelf.graph.quarantine import read_quarantine
from moonshelf.graph.rdf.store import GraphStore
from moonshelf.graph.records import Document, Extraction
from moonshelf.graph.workers import in_processes, processes_work
from tests.unit.graph.test_build import SHOP, document, made
from tests.unit.graph.toy_backend import ToyBackend


@pytest.mark.skipif(not processes_work(), reason="this platform cannot fork")
@pytest.mark.parametrize("workers", [None, 1])
def test_a_document_that_kills_or_never_ends_costs_itself_in_a_small_build_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int | None
) -> None:
    class Deadly(ToyBackend):
        def extract(self, document: Document, ontology: Ontology) -> Extraction:
            if document.id == "b":
                os._exit(3)
            if document.id == "c":
                time.sleep(600)
            return super().extract(document, ontology)

    monkeypatch.setattr(extraction, "in_processes", partial(in_processes, limit_s=2))
    found = made(tmp_path / "out", backend=Deadly(), workers=workers)
    assert (found.ledger.quarantined, found.ledger.lost) == (2, ())
    b, c = read_quarantine(tmp_path / "out" / "quarantine.jsonl")
    assert "died (exit code 3)" in b.what and "longer than 2 s" in c.what


@pytest.mark.parametrize("wrong", ["base", "other base", "reader", "extra"])
def test_what_cannot_be_written_is_told_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    out, settings, backend = tmp_path / "out", dict[str, object](), ToyBackend()
    made(out)
    held = contextlib.ExitStack()
    if wrong == "base":
        settings["base"] = "no address"
    if wrong == "other base":
        settings["base"] = "https://other.example/"
    if wrong == "reader":
        monkeypatch.setattr(writing, "WAIT_S", 0.2)
        held.enter_context(GraphStore.open(out / "store", read_only=True))
    if wrong == "extra":
        monkeypatch.setitem(sys.modules, "pyshacl", None)
    with held, pytest.raises((UsageError, StoreError)):
        made(out, [*SHOP, document("e", "Fan 5 W")], backend, **settings)
    assert (backend.studied, backend.extracted) == (0, [])


def test_a_megabyte_of_title_is_built_like_any_other(tmp_path: Path) -> None:
    huge = "Fan 20 W " + " ".join(f"ab{k:04}x" for k in range(2**20 // 8))
    started = time.process_time()
    found = made(tmp_path / "out", [document("a", huge), document("b", huge + "!")], resolve=True)
    assert (found.ledger.documents, found.ledger.lost, found.sound) == (2, (), True)
    assert time.process_time() - started < 20


def test_a_build_killed_while_it_made_its_state_may_go_on(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    for name in ("state.sqlite-journal", "replies.sqlite-journal"):
        (tmp_path / "out" / name).touch()
    refuse_foreign(tmp_path / "out")
