"""A backend of four rules: small enough that a test can say what must come out.

"Fan 20 W red"  ->  class Fan; power 20 W; color red (an option); and what goes wrong on demand.
"""

from __future__ import annotations

import fcntl
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal

from moonshelf.graph.backend import ExtractionError
from moonshelf.graph.edits import Drop, Edit, Proposal, Usage
from moonshelf.graph.ontology import ClassDef, Ontology, PropertyDef
from moonshelf.graph.records import Amount, Document, Extraction, Fact, Span, TextEvidence
from moonshelf.progress import Progress

COLORS = ("red", "blue", "green")
POWER = PropertyDef(
    name="power", datatype="decimal", dimension="power", unit="watt", synonyms=("power",)
)
COLOR = PropertyDef(name="color", options=COLORS)
MODEL = PropertyDef(name="model")
UNUSED = PropertyDef(name="unused")


class ToyBackend:
    """``explode``: ids of documents that raise; ``wrong``: ids with one invented fact."""

    name = "toy"

    def __init__(
        self, explode: Mapping[str, Exception] | None = None, wrong: Sequence[str] = ()
    ) -> None:
        self.explode, self.wrong = dict(explode or {}), set(wrong)
        self.version = "1"
        self.studied = 0
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the backend
        # Processes that are forked write to it, too.
        fcntl.fcntl(self._log, fcntl.F_SETFL, os.O_APPEND)

    @property
    def extracted(self) -> list[str]:
        """Ids of the documents that were read, in any process."""
        file = self._log.fileno()
        return os.pread(file, os.fstat(file).st_size, 0).decode().splitlines()

    @property
    def fingerprint(self) -> str:
        return f"toy-{self.version}"

    def study(
        self, documents: Callable[[], Iterable[Document]], progress: Progress | None = None
    ) -> None:
        self.studied = sum(1 for _ in documents())

    def propose(self, batch: Sequence[Document], ontology: Ontology) -> Proposal:
        known = {c.name for c in ontology.classes} | {p.name for p in ontology.properties}
        words = sorted({w for one in batch if (w := kind(one))})
        return Proposal(
            classes=tuple(ClassDef(name=w, synonyms=(w.lower(),)) for w in words if w not in known),
            properties=tuple(p for p in (POWER, COLOR, MODEL, UNUSED) if p.name not in known),
        )

    def refine(self, ontology: Ontology, usage: Mapping[str, Usage]) -> list[Edit]:
        unused = [p.name for p in ontology.properties if not usage[p.name].documents]
        return [Drop(name=name, reason="no document uses it") for name in unused]

    def extract(self, document: Document, ontology: Ontology) -> Extraction:
        os.write(self._log.fileno(), f"{document.id}\n".encode("utf-8", "backslashreplace"))
        if document.id in self.explode:
            raise self.explode[document.id]
        found = list(facts(document))
        if document.id in self.wrong:
            evidence = TextEvidence(span=Span(field="title", start=0, end=3), raw="???")
            found.append(
                Fact(
                    document=document.id,
                    property="color",
                    value="red",
                    evidence=evidence,
                    confidence=1,
                )
            )
        known = {c.name for c in ontology.classes}
        owner = kind(document)
        return Extraction(
            document=document.id,
            product_class=owner if owner in known else "Product",
            facts=tuple(f for f in found if f.property in {p.name for p in ontology.properties}),
        )


def reply_error() -> ExtractionError:
    return ExtractionError("no JSON", cure="try again", reply="```json {", errors=("cut short",))


def kind(document: Document) -> str:
    title = dict(document.fields).get("title", "")
    return title.split()[0] if re.match(r"[A-Z][a-z]+\b", title) else ""


def facts(document: Document) -> Iterable[Fact]:
    for name, text in document.fields:
        for match in re.finditer(r"\b(\d+) (k?W)\b", text):
            watts = Decimal(match[1]) * (1000 if match[2] == "kW" else 1)
            yield _fact(document, name, match, "power", Amount(amount=watts), match[2])
        for match in re.finditer(r"\b(red|blue|green)\b", text):
            yield _fact(document, name, match, "color", match[0], None)
        for match in re.finditer(r"\b[A-Z]{2,}-?\d{3,}[A-Z]*\b", text):
            yield _fact(document, name, match, "model", match[0], None)


def _fact(
    document: Document, field: str, match: re.Match[str], name: str, value: object, unit: str | None
) -> Fact:
    span = Span(field=field, start=match.start(), end=match.end())
    return Fact(
        document=document.id,
        property=name,
        value=value,  # type: ignore[arg-type]
        unit=unit,
        evidence=TextEvidence(span=span, raw=match[0]),
        confidence=0.9 if document.kind == "listing" else 0.95,
    )
