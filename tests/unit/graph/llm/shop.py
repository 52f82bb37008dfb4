"""What the tests of the llm backend share: an ontology, a document, a backend on a server."""

from __future__ import annotations

from moonshelf.graph.llm.backend import LlmBackend
from moonshelf.graph.llm.settings import LlmSettings
from moonshelf.graph.ontology import ClassDef, Ontology, PropertyDef
from moonshelf.graph.records import Document
from tests.unit.graph.fake_llm import FakeLlm

ONTOLOGY = Ontology(
    classes=(
        *Ontology().classes,
        ClassDef(name="AirConditioner"),
        ClassDef(name="SplitAirConditioner", parent="AirConditioner"),
        ClassDef(name="Fan"),
    ),
    properties=(
        PropertyDef(name="brand", kind="object"),
        PropertyDef(name="color", options=("black", "white")),
        PropertyDef(
            name="cooling_capacity",
            domain="AirConditioner",
            datatype="decimal",
            dimension="power",
            unit="watt",
        ),
        PropertyDef(name="star_rating", domain="AirConditioner", datatype="integer"),
        PropertyDef(name="wifi", domain="AirConditioner", kind="feature", datatype="boolean"),
        PropertyDef(name="codes", many=True),
    ),
)
DOCUMENT = Document(
    id="ac-1",
    fields=(
        ("title", "Voltas 1.5 Ton 3 Star Split AC, White, Wi-Fi"),
        ("description", "Code SAC-183 or SAC-185"),
    ),
)
FACTS = ["brand", "codes", "codes", "color", "cooling_capacity", "star_rating", "wifi"]


def backend(server: FakeLlm, **more: object) -> LlmBackend:
    found = LlmBackend(
        LlmSettings(
            **{"model": "fake", "base_url": server.url, "timeout_s": 5, "longest_wait_s": 0, **more}
        )
    )
    found.study(list)
    server.requests.clear()
    return found


def names(extraction) -> list[str]:
    return sorted(fact.property for fact in extraction.facts)
