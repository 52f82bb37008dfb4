"""What became of one document, and how it is written down: a row of plain texts."""

from __future__ import annotations

import hashlib
import json
from functools import cached_property
from typing import Any, Literal, TypeAlias

from pydantic import TypeAdapter

from moonshelf.config import Config
from moonshelf.graph.ontology import Ontology
from moonshelf.graph.quarantine import Quarantined
from moonshelf.graph.records import Fact, Refusal

Status: TypeAlias = Literal["done", "empty", "quarantined"]
Packed: TypeAlias = tuple[Any, ...]
STATUSES: tuple[Status, ...] = ("done", "empty", "quarantined")
_FACTS: TypeAdapter[tuple[Fact, ...]] = TypeAdapter(tuple[Fact, ...])
_REFUSALS: TypeAdapter[tuple[Refusal, ...]] = TypeAdapter(tuple[Refusal, ...])


class Outcome(Config):
    """What became of one document."""

    document: str
    status: Status
    product_class: str = ""
    digest: str
    """Of the document."""
    slice: str
    """Of what the ontology offered; see :func:`slice_digest`."""
    fingerprint: str
    """Of the backend."""
    version: int
    """Of the ontology."""
    facts: tuple[Fact, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    problem: Quarantined | None = None

    @cached_property
    def content(self) -> str:
        """Hash of all that the RDF store is given."""
        given = [self.product_class, self.fingerprint, self.version, _json(_FACTS, self.facts)]
        return hashlib.sha256(json.dumps(given).encode()).hexdigest()


def slice_digest(ontology: Ontology, product_class: str) -> str:
    """Hash of what a document of this class is extracted by: its properties, and all classes.

    The classes are in it because any of them may be the one that fits better; a property of
    another class is not, so that a change to fans leaves air conditioners alone.
    """
    known = {found.name for found in ontology.classes}
    name = ontology.present(product_class)
    properties = ontology.slice(name) if name in known else ()
    parts = [
        sorted(
            json.dumps(found.model_dump(mode="json", exclude={"comment", "label", "locked"}))
            for found in ontology.classes
        ),
        [owned.model_dump(mode="json", exclude={"locked"}) for owned in properties],
    ]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def packed(outcome: Outcome) -> Packed:
    """An outcome as :meth:`State.finish` takes it: plain texts, made where it was extracted, so
    that the process that writes has nothing left to do. The status is at place 1."""
    return (
        *(outcome.document, outcome.status, outcome.product_class, outcome.digest, outcome.slice),
        *(outcome.fingerprint, outcome.version, outcome.content),
        *(_json(_FACTS, outcome.facts), _json(_REFUSALS, outcome.refusals)),
        None if outcome.problem is None else outcome.problem.model_dump_json(),
    )


def unpacked(row: Packed) -> Outcome:
    """The outcome that :func:`packed` was given."""
    return outcome_of((*row[:7], *row[8:]))


def _json(adapter: TypeAdapter[Any], value: Any) -> str:
    return adapter.dump_json(value).decode()


def outcome_of(row: tuple[Any, ...]) -> Outcome:
    name, status, owner, digest, part, fingerprint, version, facts, refusals, problem = row
    return Outcome(
        document=name,
        status=status,
        product_class=owner,
        digest=digest,
        slice=part,
        fingerprint=fingerprint,
        version=version,
        facts=_FACTS.validate_json(facts),
        refusals=_REFUSALS.validate_json(refusals),
        problem=None if problem is None else Quarantined.model_validate_json(problem),
    )
