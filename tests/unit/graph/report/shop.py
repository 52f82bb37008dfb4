"""A small graph that has something of everything a report shows."""

from __future__ import annotations

from pathlib import Path

from moonshelf.graph.build import BuildSettings, build
from moonshelf.graph.documents import from_documents
from moonshelf.graph.records import Document
from moonshelf.graph.summary import Summary
from tests.unit.graph.toy_backend import ToyBackend, reply_error


def document(name: str, title: str, text: str = "", **more: str) -> Document:
    fields = (("title", title),) + ((("description", text),) if text else ())
    return Document(id=name, fields=fields, **more)  # type: ignore[arg-type]


SHOP = [
    document("fan-1", "Fan 20 W red AB100", "Runs at 2 kW, weighs 5 kg."),
    document("fan-2", "Fan 20 W red AB100"),
    document("fan-3", "Fan 30 W red AB100"),
    document("lamp", "Lamp 30 W blue", "Shines far, weighs 5 kg."),
    document("kettle", "Kettle 2 kW green"),
    document("review", "Fan of my house", "It has 70 W.", kind="review", product="fan-1"),
    document("nothing", "nothing to see"),
    document("broken", "Lamp 10 W"),
    document("wrong", "Lamp 50 W"),
]


def made(out: Path, documents: list[Document] | None = None) -> Summary:
    """A graph of these documents, by rules; ``broken`` fails and ``wrong`` invents a fact."""
    backend = ToyBackend(explode={"broken": reply_error()}, wrong=("wrong",))
    source = from_documents(SHOP if documents is None else documents)
    return build(source, backend, out, BuildSettings(workers=1))
