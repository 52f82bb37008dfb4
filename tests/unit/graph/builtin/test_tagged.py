"""What a tagger finds passes where the rules' finds pass: form of values, guards, cut ends, ladder.

A stand-in says where values stand, so that every figure is known; one test trains a real one.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import pytest

from moonshelf.graph.backends import make_backend
from moonshelf.graph.builtin.backend import BuiltinBackend
from moonshelf.graph.builtin.extract import Reader
from moonshelf.graph.builtin.knowledge import Knowledge
from moonshelf.graph.builtin.tagger import Labelled, Tagged, Tagger, TaggerSettings
from moonshelf.graph.builtin.tagger_files import save
from moonshelf.graph.edits import AddProperty
from moonshelf.graph.ontology import Ontology, PropertyDef
from moonshelf.graph.records import Amount, Document, Fact, Span
from moonshelf.graph.validate import check
from tests.unit.graph.builtin.shops import kettles

PROPERTIES = (
    PropertyDef(name="brand", kind="object"),
    PropertyDef(name="series", many=True),
    PropertyDef(name="power", datatype="decimal", dimension="power", unit="watt"),
    PropertyDef(name="cups", datatype="integer"),
    PropertyDef(name="shape", options=("round", "Square")),
    PropertyDef(name="keep_warm", kind="feature", datatype="boolean"),
    PropertyDef(name="model_number", many=True),
)


class Stand:
    """A tagger that finds given words, at their first place."""

    digest = "0" * 16

    def __init__(self, *finds: tuple[str, str, float], trust: float = 1.0) -> None:
        self.finds, self.settings = finds, TaggerSettings(trust=trust)

    @property
    def taught(self) -> tuple[str, ...]:
        return tuple(sorted({name for name, _, _ in self.finds}))

    def tag(self, document: Document) -> list[Tagged]:
        found = []
        for name, raw, confidence in self.finds:
            for field, text in document.fields:
                if (start := text.find(raw)) >= 0:
                    span = Span(field=field, start=start, end=start + len(raw))
                    found.append(Tagged(property=name, span=span, raw=raw, confidence=confidence))
                    break
        return found


def facts(
    title: str,
    *finds: tuple[str, str, float],
    trust: float = 1.0,
    properties: Sequence[PropertyDef] = PROPERTIES,
    aliases: tuple[tuple[str, str], ...] = (),
) -> tuple[list[Fact], list[str]]:
    """Facts of a title behind the whole ladder, and steps of refusals. The study knows nothing."""
    ontology = Ontology(properties=tuple(properties), aliases=aliases)
    document = Document(id="d", fields=(("title", title),))
    reader = Reader(Knowledge(), ontology, Stand(*finds, trust=trust))  # type: ignore[arg-type]
    kept, refused = check(reader.extract(document), document, ontology)
    return kept, [one.step for one in refused]


def test_words_become_values_in_the_form_of_their_property() -> None:
    title = "Zephyra 1.5 kW steel pot, 7 cup marks, SQUARE, keep warm, Aurora Neo, AB - 12K"
    kept, refused = facts(
        title,
        ("brand", "Zephyra", 0.9),
        ("power", "1.5 kW", 0.9),
        ("cups", "7 cup", 0.9),
        ("shape", "SQUARE", 0.9),
        ("keep_warm", "keep warm", 0.9),
        ("series", "Aurora Neo", 0.9),
        ("model_number", "AB - 12K", 0.97),
    )
    assert {f.property: f.value for f in kept} == {
        "brand": "zephyra", "power": Amount(amount=Decimal(1500)), "cups": 7, "shape": "Square",
        "keep_warm": True, "series": "aurora neo", "model_number": "ab-12k",
    }  # fmt: skip
    assert refused == []
    assert next(f for f in kept if f.property == "power").unit == "kW"


def test_what_cannot_be_read_is_no_fact() -> None:
    finds = (("shape", "oval", 0.9), ("power", "loud", 0.9), ("cups", "1.5", 0.9), ("none", "x", 1))
    assert facts("oval loud pot of 1.5 x", *finds) == ([], [])
    # two numbers: which one is meant, nobody says
    assert facts("pot 5 W 9 W", ("power", "5 W 9 W", 0.9), properties=PROPERTIES[:2])[0] == []


def test_guards_hold_for_tagged_words_too() -> None:
    kept, refused = facts("pot without Aurora", ("series", "Aurora", 0.99))
    assert (kept, refused) == ([], ["guard"])
    kept, refused = facts("lid compatible with Zephyra pots", ("brand", "Zephyra", 0.99))
    assert (kept, refused) == ([], ["guard"])


@pytest.mark.parametrize("raw", ["HSU18C-NMW4", "HSU18C", "HSU18C-NMW"])
def test_nothing_is_taken_from_a_cut_end(raw: str) -> None:
    assert facts("big steel pot HSU18C-NMW4...", ("model_number", raw, 0.99))[0] == []
    assert facts("big steel pot HSU18C-NMW4 red", ("model_number", raw, 0.99))[0] != []


def test_a_span_that_cuts_a_word_is_refused_by_the_ladder() -> None:
    kept, refused = facts("steel pot Auroras", ("series", "Aurora", 0.99))
    assert (kept, refused) == ([], ["span"])


def test_confidence_is_the_taggers_own_times_the_trust_in_its_labels() -> None:
    (one,), _ = facts("steel pot Aurora", ("series", "Aurora", 0.9), trust=0.8)
    assert one.confidence == 0.72
    # its threshold was chosen when it was trained; what a rule needs is no concern of it
    (one,), _ = facts("steel pot Aurora", ("series", "Aurora", 0.6), trust=0.8)
    assert one.confidence == 0.48


def test_where_rule_and_tagger_stand_on_the_same_words_the_surer_one_stays() -> None:
    colors = (PropertyDef(name="color", many=True),)
    told = ("color", "Off-White Glaze", 0.99)
    kept, _ = facts("steel pot, Off-White Glaze", told, properties=colors)
    assert [f.value for f in kept] == ["off-white glaze"]
    kept, _ = facts("steel pot, Off-White Glaze", told, properties=colors, trust=0.75)
    assert [f.value for f in kept] == ["off-white"]


def test_a_property_is_found_under_its_new_name_and_by_its_wordings() -> None:
    (one,), _ = facts("pot Aurora", ("line", "Aurora", 0.9), aliases=(("line", "series"),))
    assert one.property == "series"
    (one,), _ = facts("pot Zephyra", ("Manufacturer", "Zephyra", 0.9))
    assert one.property == "brand"


def labelled(k: int) -> Labelled:
    name = ("Aurora", "Borealis", "Corona", "Delphi", "Eclipse")[k % 5]
    maker = ("Alveo", "Caldera", "Ferro")[k % 3]
    text = f"{maker} {name} edition pot, {1000 + 100 * (k % 7)} W"
    return Labelled(
        document=Document(id=f"d{k}", fields=(("title", text),)), values={"Line-Up": (name,)}
    )


SETTINGS = TaggerSettings(by_category=False, iterations=40)


def learned() -> BuiltinBackend:
    tagger = Tagger.train([labelled(k) for k in range(30)], SETTINGS)
    backend = BuiltinBackend(tagger=tagger)
    backend.study(lambda: iter([*kettles(40), *(labelled(k).document for k in range(30))]))
    return backend


def test_labels_teach_a_property_that_the_study_does_not_know() -> None:
    backend = learned()
    assert "line_up" not in {p.name for p in backend.knowledge.properties}
    new = Document(id="new", fields=(("title", "Ferro Zenith edition pot, 1200 W"),))
    proposal = backend.propose([new], Ontology())
    taught = next(p for p in proposal.properties if p.name == "line_up")
    assert (taught.datatype, taught.many, taught.label) == ("string", True, "line up")
    ontology = Ontology(properties=proposal.properties)
    kept, _ = check(backend.extract(new, ontology), new, ontology)
    assert [f.value for f in kept if f.property == "line_up"] == ["zenith"]
    edits = [e for e in backend.refine(Ontology(), {}) if isinstance(e, AddProperty)]
    assert next(e.reason for e in edits if e.element.name == "line_up").startswith("labels")


def test_the_fingerprint_knows_the_tagger_and_the_memory_does_not(tmp_path: Path) -> None:
    backend = learned()
    plain = BuiltinBackend()
    assert plain.recall(backend.memory())
    assert plain.knowledge == backend.knowledge
    assert plain.fingerprint != backend.fingerprint
    assert backend.tagger is not None
    save(backend.tagger, tmp_path / "t")
    opened = make_backend("builtin", {"tagger": str(tmp_path / "t")})
    assert isinstance(opened, BuiltinBackend) and opened.recall(backend.memory())
    assert opened.fingerprint == backend.fingerprint
    mine = backend.tagger
    surer = mine.settings.model_copy(update={"threshold": 0.9})
    for other in (
        Tagger(surer, mine.models, mine.lexicons, mine.properties),
        Tagger(mine.settings, {"": b"another"}, mine.lexicons, mine.properties),
        Tagger(mine.settings, mine.models, {}, mine.properties),
        Tagger(mine.settings, mine.models, mine.lexicons, {"": ("else",)}),
    ):
        assert other.digest != mine.digest


@pytest.mark.slow
def test_hash_seeds_change_nothing() -> None:
    script = (
        "from tests.unit.graph.builtin.test_tagged import labelled, learned\n"
        "from moonshelf.graph.ontology import Ontology\n"
        "backend = learned()\n"
        "documents = [labelled(k).document for k in range(9)]\n"
        "found = backend.propose(documents, Ontology())\n"
        "whole = Ontology(properties=tuple(p.model_copy(update={'domain': 'Product'})"
        " for p in found.properties))\n"
        "print(backend.fingerprint, [backend.extract(d, whole) for d in documents])\n"
    )
    said = set()
    for seed in ("0", "4711"):
        env = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(__file__).parents[4])}
        done = subprocess.run(
            [sys.executable, "-c", script], env=env, capture_output=True, text=True, check=True
        )
        said.add(done.stdout)
    assert len(said) == 1 and "tagger" in said.pop()
