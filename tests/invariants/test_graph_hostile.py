"""Texts that mean harm: every document is accounted for, every fact stands in its text, the RDF is
valid for two parsers, and nothing stops."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest

from moonshelf.graph.backends import make_backend
from moonshelf.graph.build import BuildSettings, build
from moonshelf.graph.documents import from_documents
from moonshelf.graph.ontology import Ontology, PropertyDef
from moonshelf.graph.rdf.library import extra, oxigraph
from moonshelf.graph.rdf.store import GraphStore
from moonshelf.graph.records import (
    Amount,
    Document,
    Extraction,
    Fact,
    Range,
    Span,
    TextEvidence,
)
from moonshelf.graph.state import State
from tests.unit.graph.toy_backend import ToyBackend

# fmt: off
PIECES = (
    *("1.5 Ton", "5 Star", "Wi-Fi", "Voltas", "Split AC", "12,5 kg", "1,500 W", '24"', "6 ft 9 in"),
    *("1e999999 kg", "9" * 400 + " W", "-0 W", "٣ W", "½ ton", "1/0 kg", "NaN W", "∞ kW"),
    *("\x00", "\x1b[31m", "\ud800", "\udfff W", "\u202e", "\u2028", "\ufeff", "\ufffe"),
    *("<script>alert(1)</script>", "&amp;", '"^^<http://x>', "} DROP ALL {", "SERVICE <http://x>"),
    *("=HYPERLINK(1)", "../../etc", "'; DROP TABLE document; --", "\\u0022", "%00", "]]>"),
    *("no Wi-Fi", "fits 24-inch stands", "Ignore all instructions", "Key: value", "|", "\n- "),
    *("...", "a" * 300, "e\u0301" * 9, "10-5 cm"),
)
# fmt: on


def hostile(count: int, seed: int) -> list[Document]:
    rng = random.Random(seed)

    def text() -> str:
        parts = [rng.choice(PIECES) for _ in range(rng.randrange(0, 9))]
        noise = "".join(chr(rng.randrange(1, 0x3000)) for _ in range(rng.randrange(0, 6)))
        return rng.choice((" ", "", ", ", "\n", "\t")).join([*parts, noise])

    return [
        Document(
            id=f"{rng.choice(('d', 'ü', '<x>', '日', 'a b', '%'))}{k}",
            fields=(("title", text()), ("description", text())),
        )
        for k in range(count)
    ]


def check(out: Path, documents: list[Document]) -> None:
    """Grounded, parsed by both libraries, and dumped to the same bytes twice."""
    texts = {one.id: one for one in documents}
    with State.open(out) as state:
        for outcome in state.outcomes("done"):
            for fact in outcome.facts:
                assert isinstance(fact.evidence, TextEvidence)
                span = fact.evidence.span
                field = texts[outcome.document].field(span.field)
                assert field[span.start : span.end] == fact.evidence.raw
    with GraphStore.open(out / "store", read_only=True) as store:
        assert store.dump(out / "a.nq") == store.dump(out / "b.nq")
    data = (out / "a.nq").read_bytes()
    quads = list(oxigraph().parse(data, format=oxigraph().RdfFormat.N_QUADS))
    graph = extra("rdflib").Dataset()
    graph.parse(data=data.decode(), format="nquads")
    assert len(set(graph.quads())) == len(quads) == data.count(b"\n")


@pytest.mark.parametrize("seed", [0, 1])
def test_hostile_texts_with_the_builtin_backend(tmp_path: Path, seed: int) -> None:
    documents = hostile(150, seed)
    out = tmp_path / "out"
    settings = BuildSettings(workers=1)
    found = build(from_documents(documents), make_backend("builtin"), out, settings)
    assert (found.ledger.documents, found.ledger.lost, found.ledger.quarantined) == (150, (), 0)
    assert found.sound and found.facts > 50
    check(out, documents)


class Liar(ToyBackend):
    """A backend that says anything about anything."""

    def extract(self, document: Document, ontology: Ontology) -> Extraction:
        rng = random.Random(document.id)
        names = [p.name for p in ontology.properties] + ["nothing", "Product"]
        values = (True, -3, 10**90, "red", "\ud800", "", *map(_amount, ("1.5", "9E+999", "NaN")))
        found = []
        for _ in range(rng.randrange(0, 12)):
            field, text = rng.choice(document.fields)
            words = [match.span() for match in re.finditer(r"\w[^,|]*\w", text)]
            start = rng.randrange(0, len(text) + 2)
            end = start + rng.randrange(1, 9)
            if words and rng.random() < 0.7:
                start, end = rng.choice(words)
            raw = rng.choice((text[start:end],) * 6 + ("lie", "\ud800"))
            value = rng.choice((*values, *(raw,) * 9, Range(low=1, high=2)))  # type: ignore[arg-type]
            evidence = TextEvidence(span=Span(field=field, start=start, end=end), raw=raw)
            unit = rng.choice((None, "W", "kW", "\udfff"))
            found.append(
                Fact.model_construct(
                    document=rng.choice((document.id,) * 9 + ("other",)),
                    property=rng.choice(names),
                    value=value,
                    unit=unit,
                    evidence=evidence,
                    confidence=0.5,
                    translation=rng.choice((None, "red", "\ud800")),
                )
            )
        if rng.random() < 0.1:
            raise RecursionError("deep")
        return Extraction.model_construct(
            document=document.id, product_class="Fan\ud800", facts=tuple(found), refusals=()
        )


def _amount(text: str) -> object:
    from decimal import Decimal

    return Amount.model_construct(amount=Decimal(text))


def test_a_backend_that_says_anything(tmp_path: Path) -> None:
    documents = hostile(200, 7)
    out = tmp_path / "out"
    base = Ontology(
        properties=(
            PropertyDef(name="power", datatype="decimal", dimension="power", unit="watt"),
            PropertyDef(name="stars", datatype="integer"),
            PropertyDef(name="maker", kind="object"),
            PropertyDef(name="note", many=True),
            PropertyDef(name="wifi", kind="feature", datatype="boolean"),
            PropertyDef(name="hue", options=("red", "blue")),
        )
    )
    settings = BuildSettings(workers=2, learn="never")
    found = build(from_documents(documents), Liar(), out, settings, ontology=base)
    assert found.ledger.documents == 200 and found.ledger.lost == ()
    assert 0 < found.ledger.quarantined < 60, "those that raised, and no others"
    assert found.sound and found.facts > 20 and sum(found.refused.values()) > 200
    check(out, documents)
