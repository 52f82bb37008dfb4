"""A graph that is built again and again: it ends as if it had been built once, whatever came
between."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from moonshelf.errors import DataError
from moonshelf.graph.build import BuildSettings, build
from moonshelf.graph.documents import Unread, from_documents
from moonshelf.graph.edits import Edit, Proposal, Rename, Retype, Usage
from moonshelf.graph.ontology import ROOT, ClassDef, Ontology
from moonshelf.graph.quarantine import read_quarantine
from moonshelf.graph.rdf.store import GraphStore
from moonshelf.graph.records import Amount, Document, Extraction
from moonshelf.graph.summary import Summary
from tests.unit.graph.toy_backend import COLOR, MODEL, POWER, ToyBackend, facts

BASE = Ontology(
    classes=(ClassDef(name=ROOT, parent=None), ClassDef(name="Fan"), ClassDef(name="Lamp")),
    properties=(POWER, COLOR, MODEL),
)


class Editing(ToyBackend):
    """Refines by ``edits``, once; reads by what properties are called and measured in now."""

    def __init__(self, *edits: Edit) -> None:
        super().__init__()
        self.edits = list(edits)

    def refine(self, ontology: Ontology, usage: Mapping[str, Usage]) -> list[Edit]:
        edits, self.edits = self.edits, []
        return edits

    def extract(self, document: Document, ontology: Ontology) -> Extraction:
        known = {p.name: p for p in ontology.properties}
        found = []
        for fact in facts(document):
            owned = known.get(ontology.present(fact.property))
            if owned is None:
                continue
            value = fact.value
            if owned.unit == "kilowatt" and isinstance(value, Amount):
                value = Amount(amount=value.amount / 1000)
            found.append(fact.model_copy(update={"property": owned.name, "value": value}))
        read = super().extract(document, ontology)
        return read.model_copy(update={"facts": tuple(found)})


class Silent(ToyBackend):
    """Wants no change of the schema."""

    def propose(self, batch: Sequence[Document], ontology: Ontology) -> Proposal:
        return Proposal()

    def refine(self, ontology: Ontology, usage: Mapping[str, Usage]) -> list[Edit]:
        return []


def document(name: str, title: str, **more: str) -> Document:
    return Document(id=name, fields=(("title", title),), **more)  # type: ignore[arg-type]


def made(
    out: Path, documents: Sequence[Document | Unread], backend: ToyBackend, **chosen: object
) -> Summary:
    found = BuildSettings.model_validate({"workers": 1, **chosen})
    return build(from_documents(documents), backend, out, found)


def frozen(out: Path, documents: Sequence[Document | Unread], **chosen: object) -> Summary:
    """A build by ``BASE``, which nobody changes."""
    found = BuildSettings.model_validate({"workers": 1, "learn": "never", **chosen})
    return build(from_documents(documents), Silent(), out, found, ontology=BASE)


def dump(out: Path) -> bytes:
    with GraphStore.open(out / "store", read_only=True) as store:
        store.dump(out / "dump.nq")
    return (out / "dump.nq").read_bytes()


def values(out: Path, name: str) -> list[tuple[str, str]]:
    """(title, value) of one property."""
    sparql = f"SELECT ?t ?v {{ GRAPH ?g {{ ?x p:{name} ?v; rdfs:label ?t }} }} ORDER BY ?t"
    with GraphStore.open(out / "store", read_only=True) as store:
        rows = store.query(sparql).rows
    return [(row[0].value, row[1].value) for row in rows if row[0] and row[1]]


SHOP = [document("a", "Fan 20 W red"), document("b", "Fan 30 W"), document("c", "Fan 2 kW")]
# ---- documents that the source holds no longer


def test_what_the_source_lacks_is_read_by_the_schema_of_now(tmp_path: Path) -> None:
    out = tmp_path / "out"
    made(out, SHOP, Editing())
    retype = Retype(name="power", unit="kilowatt", reason="shorter")
    found = made(out, SHOP[1:], Editing(retype), learn="again")
    assert (found.gone, found.extracted, found.unchanged, found.sound) == (1, 3, 0, True)
    wanted = [("Fan 2 kW", "2"), ("Fan 20 W red", "0.02"), ("Fan 30 W", "0.03")]
    assert [(t, str(Decimal(v).normalize())) for t, v in values(out, "power")] == wanted


def test_what_the_source_lacks_follows_a_new_name(tmp_path: Path) -> None:
    """Reviews that come alone are settled against the listing that they are about."""
    out = tmp_path / "out"
    made(out, SHOP, Editing())
    reviews = [document("r", "Fan 20 W blue", kind="review", product="a")]
    rename = Rename(name="color", to="hue", reason="a better word")
    found = made(out, reviews, Editing(rename), learn="again", prune=True)
    assert (found.gone, found.pruned, found.sound) == (0, 0, True)
    assert found.refused == {"conflict": 1}, "the listing has the last word"
    assert values(out, "hue") == [("Fan 20 W red", "red")]
    assert values(out, "color") == []
    shutil.rmtree(out / "store")
    again = made(out, reviews, Editing())
    assert (again.unfit, again.sound) == (0, True)


def test_what_the_graph_uses_is_not_dropped_after_a_small_trial(tmp_path: Path) -> None:
    out = tmp_path / "out"
    shop = [document(f"d{k}", "Fan 20 W") for k in range(12)]
    shop[7] = document("d7", "Fan 20 W AB100")
    learning = {"learning": {"trial": 3, "stopping": {"most": 1}}}
    backend = Editing()
    made(out, shop, backend)
    # Its next trial sees no model code, and its refinement drops what no document uses.
    found = made(out, shop, ToyBackend(), learn="again", **learning)
    assert found.learned is not None and found.learned.tried < 12
    assert values(out, "model") == [("Fan 20 W AB100", "ab100")]


# ---- ids


def test_a_review_does_not_take_the_place_of_a_listing(tmp_path: Path) -> None:
    out = tmp_path / "out"
    frozen(out, SHOP)
    before = dump(out)
    taken = document("a", "Fan 30 W", kind="review", product="b")
    found = frozen(out, [taken], prune=True)
    assert dump(out) == before
    assert (found.ledger.documents, found.ledger.quarantined, found.pruned) == (1, 1, 0)
    (told,) = read_quarantine(out / "quarantine.jsonl")
    assert told.document == "a (a review)" and "taken by a listing" in told.what
    # A source that answers for listings may say that there is none any more.
    frozen(out, [SHOP[1], taken], prune=True)
    frozen(tmp_path / "fresh", [SHOP[1], taken])
    assert dump(out) == dump(tmp_path / "fresh")


def test_every_row_is_in_the_ledger_under_a_name_of_its_own(tmp_path: Path) -> None:
    names = ["a", "a (again, item 3)", "a", "a"]
    found = frozen(tmp_path / "out", [document(name, "Fan 20 W") for name in names])
    assert (found.ledger.documents, found.ledger.graph, found.ledger.quarantined) == (4, 2, 2)
    assert (found.unchanged, found.extracted) == (0, 2)


def test_pruning_keeps_rows_that_are_no_documents(tmp_path: Path) -> None:
    out, row = tmp_path / "out", Unread("items.csv row 3", DataError("no id"))
    frozen(out, [*SHOP, row])
    for _ in range(2):
        found = frozen(out, [*SHOP[:2], row], prune=True)
        assert (found.ledger.quarantined, found.ledger.lost, found.sound) == (1, (), True)
    assert found.unchanged == 2, "a row that cannot be read is none that is as it was"


# ---- any sequence

TITLES = ("Fan 20 W red", "Fan 30 W red AB100", "Fan 20 W red, new", "Lamp 30 W blue", "a thing")
LISTINGS = st.builds(document, st.sampled_from(["l1", "l2", "x"]), st.sampled_from(TITLES))
REVIEWS = st.builds(
    document,
    st.sampled_from(["r1", "r2", "x"]),
    st.sampled_from(TITLES),
    kind=st.just("review"),
    product=st.sampled_from(["l1", "l2"]),
)
ROWS = st.sampled_from(["row 3", "l1", "r1"]).map(lambda name: Unread(name, DataError("no text")))
SOURCES = st.lists(LISTINGS | REVIEWS | ROWS, min_size=1, max_size=5, unique_by=lambda one: one.id)
STEPS = st.tuples(SOURCES, st.booleans(), st.sampled_from(["once", "again", "never"]))


@settings(max_examples=9, deadline=None, phases=[Phase.generate])  # shrinking takes minutes
@given(steps=st.lists(STEPS, min_size=2, max_size=4))
def test_any_sequence_of_sources_ends_in_the_graph_of_one_build(
    steps: list[tuple[list[Document | Unread], bool, str]],
) -> None:
    known: dict[str, Document] = {}
    with tempfile.TemporaryDirectory() as folder:
        out, fresh = Path(folder) / "out", Path(folder) / "fresh"
        for source, prune, learn in steps:
            read = {one.id: one for one in source if isinstance(one, Document)}
            unread = {one.id for one in source} - set(read)
            held = {one.kind for one in read.values()}
            # An id is of one kind, until a source that answers for that kind says otherwise.
            taken = {
                n: d for n, d in read.items() if n not in known or known[n].kind in {d.kind, *held}
            }
            answered = {one.kind for one in taken.values()}
            if prune:
                known = {n: d for n, d in known.items() if d.kind not in answered}
            known |= taken
            found = frozen(out, source, prune=prune, learn=learn)
            assert found.sound and found.ledger.documents == len(source)
        wanted = [one for one in known.values() if one.id not in unread]
        if not wanted:
            return
        frozen(fresh, wanted)
        assert dump(out) == dump(fresh)
