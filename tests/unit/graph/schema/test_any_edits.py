"""Whatever agents and people ask: the ontology is valid, replay is identical, no data vanishes."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from moonshelf.graph.edits import (
    AddClass,
    AddProperty,
    Drop,
    Edit,
    Merge,
    Rename,
    Retype,
    Split,
    Usage,
)
from moonshelf.graph.ontology import ROOT, ClassDef, Ontology, PropertyDef
from moonshelf.graph.schema.apply import EditError, apply
from moonshelf.graph.schema.gatekeeper import Gatekeeper
from moonshelf.graph.schema.history import History

CLASSES = st.sampled_from([ROOT, "A", "Bee", "Bees", "Lock", "D"])
NAMES = st.sampled_from(["color", "colour", "colors", "size", "brand", "a", "b"])
BASE = Ontology(
    classes=(*Ontology().classes, ClassDef(name="Lock", locked=True)),
    properties=(PropertyDef(name="brand", domain="Lock", locked=True), PropertyDef(name="color")),
)


def valid(build, **parts):
    """Definitions of any parts that a definition can have."""

    def built(values):
        try:
            return build(**values)
        except ValidationError:
            return None

    return st.fixed_dictionaries(parts).map(built).filter(lambda found: found is not None)


TYPES = st.sampled_from(
    [
        {},
        {"datatype": "integer"},
        {"datatype": "decimal", "dimension": "power", "unit": "watt"},
        {"datatype": "decimal", "dimension": "mass", "unit": "gram"},
        {"datatype": "boolean", "kind": "feature"},
        {"options": ("red", "blue")},
    ]
)
PROPERTIES = st.tuples(NAMES, CLASSES, TYPES, st.booleans()).map(
    lambda t: PropertyDef(name=t[0], domain=t[1], many=t[3], **t[2])
)
REASON = st.just("because")
EDITS = st.one_of(
    valid(
        AddClass,
        element=valid(ClassDef, name=CLASSES, parent=CLASSES, locked=st.booleans()),
        reason=REASON,
    ),
    valid(AddProperty, element=PROPERTIES, reason=REASON),
    valid(
        Merge,
        names=st.lists(st.one_of(NAMES, CLASSES), min_size=2, max_size=3).map(tuple),
        into=st.one_of(NAMES, CLASSES),
        reason=REASON,
    ),
    st.tuples(NAMES, NAMES).map(lambda t: Merge(names=t, into=t[0], reason="because")),
    st.tuples(CLASSES, CLASSES).map(lambda t: Merge(names=t, into=t[0], reason="because")),
    valid(Rename, name=st.one_of(NAMES, CLASSES), to=st.one_of(NAMES, CLASSES), reason=REASON),
    valid(
        Split,
        name=NAMES,
        into=st.lists(PROPERTIES, min_size=2, max_size=3).map(tuple),
        reason=REASON,
    ),
    valid(
        Retype,
        name=NAMES,
        datatype=st.sampled_from([None, "string", "integer"]),
        domain=st.one_of(st.none(), CLASSES),
        options=st.sampled_from([None, (), ("red",)]),
        many=st.sampled_from([None, True, False]),
        reason=REASON,
    ),
    valid(Drop, name=st.one_of(NAMES, CLASSES), reason=REASON),
)
USAGES = st.dictionaries(
    st.one_of(NAMES, CLASSES),
    st.builds(
        Usage,
        name=st.just("x"),
        documents=st.integers(0, 5),
        values=st.sampled_from([(), (("red", 4),), (("blue", 2), ("red", 2))]),
        several=st.integers(0, 1),
        clashes=st.sampled_from([None, (), (("color", 1),)]),
    ),
)
ROUNDS = st.lists(
    st.tuples(st.lists(EDITS, max_size=6), USAGES, st.sampled_from(["agent", "person"])),
    max_size=5,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(ROUNDS)
def test_any_sequence_of_edits(rounds: list[tuple[list[Edit], dict[str, Usage], str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        history = History.open(Path(folder), BASE)
        gate = Gatekeeper(history)
        for edits, usage, by in rounds:
            before = gate.ontology
            present = names(before)
            decisions = gate.submit(edits, usage, by)
            assert len(decisions) == len(edits)
            after = gate.ontology
            assert after == Ontology.model_validate(after.model_dump()), "it is valid"
            assert after.version - before.version == sum(d.accepted for d in decisions)
            for name, counted in usage.items():
                if counted.documents and before.present(name) in present:
                    assert after.present(name) in names(after), f"data of {name} vanished"
            for element in (*BASE.classes, *BASE.properties):
                if element.locked:
                    assert element in (*after.classes, *after.properties)
            assert all(after.present(old) in names(after) for old, _ in after.aliases)
        again = History.open(Path(folder))
        assert again.ontology().model_dump_json() == gate.ontology.model_dump_json()
        assert again.replay().model_dump_json() == gate.ontology.model_dump_json()


@settings(max_examples=100, deadline=None)
@given(st.lists(EDITS, max_size=8))
def test_apply_gives_a_valid_next_version_or_one_reason(edits: list[Edit]) -> None:
    found = BASE
    for edit in edits:
        try:
            after = apply(found, edit)
        except EditError as error:
            assert error.what
            continue
        assert after.version == found.version + 1
        assert after == Ontology.model_validate(after.model_dump())
        found = after


def names(ontology: Ontology) -> set[str]:
    return {e.name for e in (*ontology.classes, *ontology.properties)}
