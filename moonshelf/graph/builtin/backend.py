"""The three agents as rules: deterministic, offline, on the same contract as the language models.

``study`` does the learning, over the whole corpus (or an even sample of a large one); ``propose``
hands over what a batch needs of it; ``refine`` mends what a trial has shown; ``extract`` reads.
A tagger that was trained on labels adds what it finds, and the properties that it was taught.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from pydantic import ValidationError

from moonshelf.graph.builtin.extract import Reader
from moonshelf.graph.builtin.induce import induce
from moonshelf.graph.builtin.knowledge import VERSION, Knowledge
from moonshelf.graph.builtin.naming import property_name
from moonshelf.graph.builtin.phrases import split
from moonshelf.graph.builtin.plan import plan_of
from moonshelf.graph.builtin.refine import refinements
from moonshelf.graph.builtin.tagger import Tagger
from moonshelf.graph.edits import Edit, Proposal, Usage
from moonshelf.graph.ontology import ROOT, ClassDef, Ontology, PropertyDef
from moonshelf.graph.records import Document, Extraction
from moonshelf.graph.schema.sample import thinned
from moonshelf.progress import Progress

STUDIED = 10_000
"""Documents that a study looks at, evenly spaced over a larger corpus."""
_TAUGHT = "as labelled by a person"


class BuiltinBackend:
    """Rules. Equal documents in equal order give equal schemas and facts, on any machine.

    Args:
        knowledge: what an earlier study learned.
        studied: documents that a study looks at.
        tagger: a trained one, whose finds are read beside the rules' (:mod:`find_tagged`).
    """

    name = "builtin"

    def __init__(
        self,
        knowledge: Knowledge | None = None,
        studied: int = STUDIED,
        tagger: Tagger | None = None,
    ) -> None:
        self._studied, self.tagger = studied, tagger
        self._learned(knowledge or Knowledge())

    @property
    def fingerprint(self) -> str:
        """Version of the rules, all that was learned, and the tagger."""
        tagger = "" if self.tagger is None else f"-tagger-{self.tagger.digest}"
        return f"builtin-{VERSION}-{self.knowledge.digest}{tagger}"

    def study(
        self, documents: Callable[[], Iterable[Document]], progress: Progress | None = None
    ) -> None:
        """Learns a corpus anew; forgets another one."""
        self._learned(induce(thinned(documents(), self._studied), progress))

    def propose(self, batch: Sequence[Document], ontology: Ontology) -> Proposal:
        """What the documents of ``batch`` use of the induced schema and ``ontology`` lacks."""
        wanted = Reader(self._wanted, self._wish(ontology), self.tagger)
        found = [wanted.extract(document) for document in batch]
        used = {fact.property for one in found for fact in one.facts}
        kinds = {name for one in found for name in wanted.ontology.lineage(one.product_class)}
        return Proposal(
            classes=tuple(
                c for c in self._wanted.classes if c.name in kinds and not _knows(ontology, c)
            ),
            properties=tuple(
                p for p in self._wanted.properties if p.name in used and not _knows(ontology, p)
            ),
        )

    def refine(self, ontology: Ontology, usage: Mapping[str, Usage]) -> list[Edit]:
        """What the study saw and the sample missed; several values; what nobody uses."""
        return refinements(self._wanted, ontology, usage)

    def extract(self, document: Document, ontology: Ontology) -> Extraction:
        """Class and candidate facts of one document. Never raises, whatever its text."""
        reader = self._reader
        if reader is None or (reader.ontology is not ontology and reader.ontology != ontology):
            reader = self._reader = Reader(self._wanted, ontology, self.tagger)
        return reader.extract(document)

    def memory(self) -> str:
        """Everything that ``study`` learned, as JSON; the tagger is not part of it."""
        return self.knowledge.model_dump_json()

    def recall(self, memory: str) -> bool:
        """Takes up what :meth:`memory` gave; False where it is of other rules."""
        try:
            found = Knowledge.model_validate_json(memory)
        except ValidationError:
            return False
        if found.version != VERSION:
            return False
        self._learned(found)
        return True

    def _learned(self, knowledge: Knowledge) -> None:
        self.knowledge: Knowledge = knowledge
        taught = () if self.tagger is None else taught_properties(self.tagger, knowledge)
        self._wanted = knowledge.model_copy(update={"properties": (*knowledge.properties, *taught)})
        self._reader: Reader | None = None

    def _wish(self, ontology: Ontology) -> Ontology:
        """``ontology`` with all that was induced or taught and that it lacks."""
        classes = [c for c in self._wanted.classes if not _knows(ontology, c)]
        there = {c.name for c in (*ontology.classes, *classes)}
        rooted = [
            c if c.parent in there else c.model_copy(update={"parent": ROOT}) for c in classes
        ]
        properties = [
            p if p.domain in there else p.model_copy(update={"domain": ROOT})
            for p in self._wanted.properties
            if not _knows(ontology, p)
        ]
        return Ontology(
            version=ontology.version,
            classes=(*ontology.classes, *rooted),
            properties=(*ontology.properties, *properties),
            aliases=ontology.aliases,
        )


def taught_properties(tagger: Tagger, knowledge: Knowledge) -> tuple[PropertyDef, ...]:
    """Properties that labels name and the study did not find: texts, any number a product."""
    plan = plan_of(knowledge.properties, knowledge)
    found: dict[str, PropertyDef] = {}
    for label in tagger.taught:
        words = split(label.replace("_", " "))
        name = property_name(words)
        if name and plan.named(label) is None:
            found.setdefault(
                name, PropertyDef(name=name, label=" ".join(words), many=True, guidance=_TAUGHT)
            )
    return tuple(found.values())


def _knows(ontology: Ontology, element: ClassDef | PropertyDef) -> bool:
    """Whether it is there, under its present, former or another name."""
    name = ontology.present(element.name)
    others = ontology.classes if isinstance(element, ClassDef) else ontology.properties
    if any(other.name == name for other in others):
        return True
    spoken = element.name.replace("_", " ")
    return any(
        spoken in other.synonyms
        and (
            not isinstance(other, PropertyDef)
            or not isinstance(element, PropertyDef)
            or (other.datatype, other.dimension) == (element.datatype, element.dimension)
        )
        for other in others
    )
