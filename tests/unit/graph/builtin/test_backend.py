"""The protocol: study, propose, refine, extract; the same everywhere; never an exception."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from moonshelf.graph.builtin.backend import BuiltinBackend
from moonshelf.graph.edits import AddProperty, Drop, Retype, Usage
from moonshelf.graph.ontology import Ontology
from moonshelf.graph.records import Document
from moonshelf.graph.schema.gatekeeper import Gatekeeper
from moonshelf.graph.schema.history import History
from moonshelf.graph.validate import check
from tests.unit.graph.builtin.shops import kettles, watches
from tests.unit.graph.growth import assert_linear

ROOT = Path(__file__).parents[4]


@pytest.fixture(scope="module")
def backend():
    found = BuiltinBackend()
    found.study(lambda: iter(kettles()))
    return found


@pytest.fixture
def gatekeeper(tmp_path):
    return Gatekeeper(History.open(tmp_path / "ontology"))


def test_propose_gives_what_a_batch_uses_and_the_schema_lacks(backend, gatekeeper):
    batch = [Document(id="a", fields=(("title", "Caldera 1.7 L Travel Kettle (White)"),))]
    proposal = backend.propose(batch, gatekeeper.ontology)
    assert {c.name for c in proposal.classes} == {"Kettle", "TravelKettle"}
    assert {p.name for p in proposal.properties} == {"brand", "volume", "color"}
    decisions = gatekeeper.propose(proposal, backend.name)
    assert all(d.accepted for d in decisions)
    again = backend.propose(batch, gatekeeper.ontology)
    assert (again.classes, again.properties) == ((), ())


def test_a_whole_shop_passes_the_gatekeeper_and_the_ladder(backend, gatekeeper):
    documents = kettles()
    gatekeeper.propose(backend.propose(documents, gatekeeper.ontology), backend.name)
    refused = {}
    for document in documents:
        extraction = backend.extract(document, gatekeeper.ontology)
        facts, refusals = check(extraction, document, gatekeeper.ontology)
        assert len(facts) >= 8
        refused.update({r.step: r.reason for r in refusals if r.step != "conflict"})
    assert refused == {}


def test_refine_adds_what_the_sample_missed_and_drops_what_nobody_uses(backend, gatekeeper):
    edits = backend.refine(gatekeeper.ontology, {})
    added = {e.element.name for e in edits if isinstance(e, AddProperty)}
    assert {"brand", "filter", "wifi"} <= added
    gatekeeper.submit(edits, {}, backend.name)
    usage = {p.name: Usage(name=p.name, documents=5) for p in gatekeeper.ontology.properties}
    usage["power"] = Usage(name="power", documents=100, several=40)
    usage["led_display"] = Usage(name="led_display")
    later = backend.refine(gatekeeper.ontology, usage)
    assert [e.name for e in later if isinstance(e, Drop)] == ["led_display"]
    assert [(e.name, e.many) for e in later if isinstance(e, Retype)] == [("power", True)]
    assert all(e.reason for e in (*edits, *later))


def test_memory_takes_the_place_of_a_study(backend):
    other = BuiltinBackend()
    assert other.fingerprint != backend.fingerprint
    assert other.recall(backend.memory())
    assert other.fingerprint == backend.fingerprint
    assert other.knowledge == backend.knowledge
    assert not other.recall("{}x")
    stale = json.loads(backend.memory()) | {"version": 0}
    assert not other.recall(json.dumps(stale))
    assert other.fingerprint == backend.fingerprint


def test_two_backends_in_one_process_do_not_meet(backend):
    before = backend.fingerprint
    other = BuiltinBackend()
    other.study(lambda: iter(watches()))
    assert backend.fingerprint == before
    document = kettles()[0]
    ontology = Ontology(properties=tuple(
        p.model_copy(update={"domain": "Product"}) for p in backend.knowledge.properties
    ))  # fmt: skip
    first = backend.extract(document, ontology)
    other.extract(document, ontology)
    assert backend.extract(document, ontology) == first


def test_study_forgets_another_corpus(backend):
    other = BuiltinBackend()
    other.study(lambda: iter(watches()))
    other.study(lambda: iter(kettles()))
    assert other.fingerprint == backend.fingerprint


_SCRIPT = """
import hashlib
from moonshelf.graph.builtin.backend import BuiltinBackend
from moonshelf.graph.ontology import Ontology
from tests.unit.graph.builtin.shops import kettles, watches

documents = [*kettles(), *watches()]
backend = BuiltinBackend()
backend.study(lambda: iter(documents))
known = backend.knowledge
ontology = Ontology(classes=(*Ontology().classes, *known.classes), properties=known.properties)
said = "".join(backend.extract(d, ontology).model_dump_json() for d in documents)
wishes = backend.propose(documents[:9], Ontology()).model_dump_json()
print(backend.fingerprint, hashlib.sha256((said + wishes).encode()).hexdigest())
"""


def test_hash_seeds_change_nothing():
    shown = set()
    for seed in ("0", "4711"):
        environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [sys.executable, "-c", _SCRIPT],
            env=environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        shown.add(done.stdout)
    assert len(shown) == 1 and shown != {""}


HARD = "0123456789.,:;x×-–/()[]<>|\"'″+&% \n\tWwTonKettleFilter½٣\x00\u202e\u05d0\ud800é中"
TEXTS = st.one_of(st.text(max_size=200), st.text(alphabet=HARD, max_size=150))


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(title=TEXTS, description=TEXTS)
def test_no_text_raises_and_every_fact_is_a_slice(backend, title, description):
    document = Document(id="d", fields=(("title", title), ("description", description)))
    ontology = _whole(backend)
    extraction = backend.extract(document, ontology)
    texts = dict(document.fields)
    for fact in extraction.facts:
        span = fact.evidence.span
        assert texts[span.field][span.start : span.end] == fact.evidence.raw
    check(extraction, document, ontology)


@settings(max_examples=25, deadline=None)
@given(st.lists(TEXTS, max_size=12))
def test_no_corpus_raises(texts):
    documents = [
        Document(id=str(k), fields=(("title", t), ("description", t[::-1])))
        for k, t in enumerate(texts * 3)
    ]
    other = BuiltinBackend()
    other.study(lambda: iter(documents))
    other.propose(documents, Ontology())


@pytest.mark.parametrize(
    "piece",
    [
        "a",
        "1 ",
        "5 kg, ",
        "Key: value\n",
        "\x00",
        "(",
        "<b>",
        "Wi-Fi Filter ",
        "\u05d0\u202e ",
        "no ",
    ],
)
def test_a_megabyte_is_read(backend, piece):
    # What makes the most work is read at a tenth of the length: the same paths, in seconds.
    length = 100_000 if any(c.isalnum() for c in piece) and piece != "a" else 1_000_000
    text = (piece * (length // len(piece)))[:length]
    document = Document(id="d", fields=(("title", "Kettle"), ("description", text)))
    backend.extract(document, _whole(backend))


# Under one guard word all along.
GUARDED = "wi-fi "


@pytest.mark.parametrize(
    "piece", ["no ", "for ", "AB12 5 kg ", "Mesh Filter + ", "1, ", "White, ", GUARDED]
)
def test_the_work_grows_with_the_text_and_no_faster(backend, piece):
    """Titles have no limit."""

    def work(length: int) -> None:
        text = (piece * (length // len(piece)))[:length]
        if piece is GUARDED:
            text = "for " + text
        document = Document(id="d", fields=(("title", text), ("description", text)))
        backend.extract(document, _whole(backend))
        BuiltinBackend().study(lambda: iter([document]))

    assert_linear(work, 5_000)


def _whole(backend):
    known = backend.knowledge
    return Ontology(classes=(*Ontology().classes, *known.classes), properties=known.properties)
