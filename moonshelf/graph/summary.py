"""What a build did, in numbers, and the zero-loss ledger: every document is accounted for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from pydantic import Field

from moonshelf.config import Config
from moonshelf.graph.builtin.induce import LEAST
from moonshelf.graph.learn import Learned
from moonshelf.graph.ontology import Ontology
from moonshelf.graph.spending import Spent
from moonshelf.graph.state import State

# Below so many times what the rules need, most of what texts say cannot be learned.
FEW = 3


class Ledger(Config):
    """Where the documents of a source went. ``lost`` are ids, by set difference; it stays empty."""

    documents: int
    graph: int
    no_facts: int
    quarantined: int
    lost: tuple[str, ...] = ()


class Shapes(Config):
    """What the SHACL check of the whole graph said."""

    checked: int = 0
    """Documents whose graphs were checked now."""
    violations: int = 0


class Summary(Config):
    """One build. ``seconds`` are wall-clock, by stage, ``peak_memory`` bytes of the largest
    process; they and ``costs`` are of this run alone."""

    ledger: Ledger
    extracted: int = 0
    unchanged: int = 0
    gone: int = 0
    """Documents of the graph that the source holds no longer, and that were kept."""
    pruned: int = 0
    facts: int = 0
    refused: Mapping[str, int] = Field(default_factory=dict)
    """Step of the validation ladder -> candidates turned down there."""
    ontology: int = 0
    """Version."""
    classes: int = 0
    properties: int = 0
    data_properties: int = 0
    object_properties: int = 0
    feature_properties: int = 0
    used_properties: int = 0
    learned: Learned | None = None
    """How the schema was learned, in this run or an earlier one."""
    little_learned: str = ""
    """Why the schema has little or nothing in it, and what helps."""
    new_since_learned: int = 0
    """Documents that came after the schema was learned."""
    quads: int = 0
    same: int = 0
    variants: int = 0
    shapes: Shapes = Shapes()
    unfit: int = 0
    """Facts that the RDF writer refused; validation should have, so it stays 0."""
    unfit_reasons: tuple[str, ...] = ()
    """Why, of the first few."""
    remade: bool = False
    """The store was not as the last build left it, and was made anew from the state."""
    costs: Mapping[str, float] = Field(default_factory=dict)
    seconds: Mapping[str, float] = Field(default_factory=dict)
    peak_memory: int = 0
    in_all: Spent = Spent()
    """The same of every run that this graph was made by, killed ones too."""

    @property
    def sound(self) -> bool:
        """Nothing was lost and every shape holds."""
        return not self.ledger.lost and not self.shapes.violations and not self.unfit


def take_stock(state: State, given: Iterable[str]) -> Ledger:
    """The ledger of the documents ``given`` to a build. What has an outcome of an older text only
    counts as lost.
    """
    wanted = set(given)
    places = {
        "graph": state.settled("done") & wanted,
        "no_facts": state.settled("empty") & wanted,
        "quarantined": state.settled("quarantined") & wanted,
    }
    found = set().union(*places.values())
    return Ledger(
        documents=len(wanted),
        lost=tuple(sorted(wanted - found)),
        **{name: len(ids) for name, ids in places.items()},
    )


def little_learned(backend: str, texts: int, properties: int, given: Callable[[], bool]) -> str:
    """Why a schema has next to nothing in it, with the cure; empty where it has.

    Args:
        backend: its name.
        texts: that the schema was learned from.
        properties: in the schema.
        given: whether the schema began with properties that a person gave; asked where needed.
    """
    if properties and (texts >= FEW * LEAST or backend != "builtin" or given()):
        return ""
    if backend == "builtin":
        reason = f"the builtin backend learns what at least {LEAST} documents say in the same place"
    else:
        reason = "nothing recurred that would be a property"
    return (
        f"{properties:,} properties were learned from {texts:,} documents: {reason}; give more "
        "documents and --learn again, or build in a new folder with an ontology of your own "
        "(--ontology FILE)"
    )


def ontology_counts(ontology: Ontology, used: Mapping[str, int]) -> dict[str, int]:
    """Sizes of an ontology; ``used``: property -> documents with a fact of it."""
    kinds = [owned.kind for owned in ontology.properties]
    return {
        "ontology": ontology.version,
        "classes": len(ontology.classes),
        "properties": len(kinds),
        "data_properties": kinds.count("data"),
        "object_properties": kinds.count("object"),
        "feature_properties": kinds.count("feature"),
        "used_properties": sum(1 for p in ontology.properties if used.get(p.name)),
    }
