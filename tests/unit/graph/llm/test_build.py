"""A whole build with a model whose server fails at every turn: no document is lost."""

from __future__ import annotations

import contextlib
import json
import zlib
from pathlib import Path

from moonshelf.graph.build import BuildSettings, build
from moonshelf.graph.documents import from_documents
from moonshelf.graph.llm.backend import LlmBackend
from moonshelf.graph.llm.settings import LlmSettings
from moonshelf.graph.manifest import read_manifest
from moonshelf.graph.quarantine import FILE, read_quarantine
from moonshelf.graph.rdf.store import GraphStore
from moonshelf.graph.records import Document
from moonshelf.graph.summary import Summary
from tests.unit.graph.fake_llm import (
    BROKEN,
    BUSY,
    ECHO,
    EMPTY,
    EXTRA,
    FENCED,
    HALF,
    HTML,
    HUGE,
    NO_CHOICES,
    NOT_JSON,
    PROSE,
    REFUSES,
    TRUNCATED,
    TWICE,
    UNMETERED,
    FakeLlm,
    Fault,
    changed,
)

FAULTS = (
    *(BROKEN, BUSY, ECHO, EMPTY, EXTRA, FENCED, HALF, HTML, HUGE, NO_CHOICES, NOT_JSON, PROSE),
    *(REFUSES, TRUNCATED, TWICE, UNMETERED),
    Fault("mixed up", text=changed(lambda f: {**f, "text": "text-00000000"})),
    Fault("invents", text=changed(lambda f: {**f, "brand__raw": "Rolex"})),
)
MAKERS = ("Voltas", "Daikin", "LG", "Blue Star")
SHOP = [
    Document(
        id=f"d{k}",
        fields=(
            ("title", f"{MAKERS[k % 4]} {1 + k % 3}.5 Ton {1 + k % 5} Star Split AC White {k}"),
            ("description", "Wi-Fi" if k % 2 else ""),
        ),
    )
    for k in range(40)
]


def faulty(body: dict) -> Fault | None:
    """Six of ten requests fail, each in the same way whenever it is sent."""
    number = zlib.crc32(json.dumps(body["messages"]).encode())
    return FAULTS[number // 10 % len(FAULTS)] if number % 10 < 6 else None


def run(server: FakeLlm, out: Path, **settings: object) -> Summary:
    table = {"base_url": server.url, "model": "fake", "longest_wait_s": 0, "attempts": 2}
    server.pick = None
    backend = LlmBackend(LlmSettings(**table, cache=out / "replies.sqlite"))
    assert backend.fingerprint, "the probe is over before anything fails"
    server.pick = faulty if settings.pop("faults", False) else None
    chosen = BuildSettings.model_validate({"workers": 4, **settings})
    with contextlib.closing(backend):
        return build(from_documents(SHOP), backend, out, chosen)


def dump(out: Path) -> bytes:
    with GraphStore.open(out / "store", read_only=True) as store:
        store.dump(out / "dump.nq")
    data = (out / "dump.nq").read_bytes()
    (out / "dump.nq").unlink()
    return data


def test_a_bad_server_costs_quarantine_and_a_good_one_mends_it(tmp_path) -> None:
    out = tmp_path / "graph"
    with FakeLlm() as server:
        bad = run(server, out, faults=True)
        assert bad.ledger.documents == len(SHOP) and bad.ledger.lost == () and bad.sound
        quarantined = {one.document for one in read_quarantine(out / FILE)}
        assert len(quarantined) == bad.ledger.quarantined > 0
        assert bad.ledger.graph + bad.ledger.no_facts + len(quarantined) == len(SHOP)
        assert all(one.what for one in read_quarantine(out / FILE))
        assert bad.costs["unanswered"] > 0 and bad.costs["retries"] > 0
        assert b"Rolex" not in dump(out) and b"rolex" not in dump(out)
        good = run(server, out, retry=True)
    assert good.ledger.quarantined == 0 and good.ledger.lost == ()
    assert good.extracted >= len(quarantined)
    assert read_manifest(out)["backend"] == "llm"


def test_a_second_build_from_the_cache_is_byte_identical(tmp_path) -> None:
    out, again = tmp_path / "graph", tmp_path / "again"
    with FakeLlm() as server:
        first = run(server, out)
        again.mkdir()
        (again / "replies.sqlite").write_bytes((out / "replies.sqlite").read_bytes())
        server.requests.clear()
        second = run(server, again)
        assert len(server.requests) == 1, "the probe alone"
    assert dump(out) == dump(again)
    assert second.ledger == first.ledger and second.costs["cached"] > 0
