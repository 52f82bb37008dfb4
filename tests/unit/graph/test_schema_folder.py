"""The schema of a graph folder: what a person decided survives learning, and what is missing is an
error."""

from __future__ import annotations

from pathlib import Path

import pytest

from moonshelf.errors import StoreError, UsageError
from moonshelf.graph.build import BuildSettings, build
from moonshelf.graph.documents import from_documents
from moonshelf.graph.manifest import ONTOLOGY, read_manifest
from moonshelf.graph.ontology import Ontology, PropertyDef
from moonshelf.graph.records import Document
from moonshelf.graph.schema.history import History
from moonshelf.graph.state import State
from moonshelf.graph.summary import Summary
from tests.unit.graph.toy_backend import UNUSED, ToyBackend

SHOP = [
    Document(id=f"d{k}", fields=(("title", f"{kind} {k}0 W red AB100"),))
    for k, kind in enumerate(("Fan", "Lamp", "Kettle"), start=1)
]


def made(
    out: Path,
    review: Path | None = None,
    backend: ToyBackend | None = None,
    ontology: Ontology | None = None,
    **chosen: object,
) -> Summary:
    found = BuildSettings.model_validate({"workers": 1, **chosen})
    source = from_documents(SHOP)
    return build(source, backend or ToyBackend(), out, found, review=review, ontology=ontology)


def answer(review: Path, word: str) -> None:
    text = review.read_text("utf-8")
    assert '"pending"' in text
    review.write_text(text.replace('"pending"', f'"{word}"'), "utf-8")


def properties(out: Path) -> set[str]:
    return {p.name for p in History.open(out / ONTOLOGY).ontology().properties}


@pytest.mark.parametrize(("word", "there"), [("accept", False), ("reject", True)])
def test_what_a_person_decided_counts_when_the_schema_is_learned_again(
    tmp_path: Path, word: str, there: bool
) -> None:
    out, review = tmp_path / "out", tmp_path / "review.toml"
    assert made(out, review).learned.waiting == 1  # type: ignore[union-attr]
    answer(review, word)
    found = made(out, review, learn="again")
    assert found.learned is not None and found.learned.waiting == (0 if there else 1)
    last = [d for d in History.open(out / ONTOLOGY).decisions if d.decided_by == "person"]
    assert [d.accepted for d in last] == [not there]
    # The toy proposes what was dropped once more, and asks again to drop it.
    assert UNUSED.name in properties(out)
    assert ('"pending"' in review.read_text("utf-8")) == (not there)


def test_a_run_that_is_killed_while_it_learns_keeps_the_form(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Dying(ToyBackend):
        def refine(self, *_: object) -> list:  # type: ignore[override]
            raise KeyboardInterrupt

    out, review = tmp_path / "out", tmp_path / "review.toml"
    made(out, review)
    answer(review, "accept")
    written = review.read_text("utf-8")
    with pytest.raises(KeyboardInterrupt):
        made(out, review, Dying(), learn="again")
    assert review.read_text("utf-8") == written
    # Nor does it go between the new history and the note that it is there.
    remember = State.remember

    def forgetful(state: State, key: str, value: object) -> None:
        if key == "learned":
            raise KeyboardInterrupt
        remember(state, key, value)

    monkeypatch.setattr(State, "remember", forgetful)
    with pytest.raises(KeyboardInterrupt):
        made(out, review, learn="again")
    assert review.read_text("utf-8") == written
    monkeypatch.undo()
    made(out, review)
    decided = [d for d in History.open(out / ONTOLOGY).decisions if d.decided_by == "person"]
    assert len(decided) == 1


def test_a_lost_form_comes_back(tmp_path: Path) -> None:
    out, review = tmp_path / "out", tmp_path / "review.toml"
    made(out, review)
    written = review.read_text("utf-8")
    review.unlink()
    made(out, review)
    assert review.read_text("utf-8") == written


@pytest.mark.parametrize("learn", ["once", "again"])
@pytest.mark.parametrize("damage", ["missing", "empty", "short"])
def test_a_graph_without_its_history_is_not_emptied(
    tmp_path: Path, learn: str, damage: str
) -> None:
    out = tmp_path / "out"
    made(out)
    log = out / ONTOLOGY / "log.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    log.unlink()
    if damage == "empty":
        History.open(out / ONTOLOGY)  # as a reader may
    if damage == "short":
        log.write_bytes(b"".join(lines[:-2]))
    with pytest.raises(StoreError, match="missing, or ends too early") as caught:
        made(out, learn=learn)
    assert caught.value.where == str(log) and caught.value.cure
    assert read_manifest(out)["status"] == "building"
    log.write_bytes(b"".join(lines))
    assert made(out).extracted == 0


@pytest.mark.parametrize(
    "element",
    [
        PropertyDef(name="x", datatype="decimal", dimension="power", unit="horsefly"),
        PropertyDef(name="x", guidance="\ud800"),
    ],
)
def test_a_base_that_cannot_be_written_is_refused_before_anything_is_asked(
    tmp_path: Path, element: PropertyDef
) -> None:
    backend = ToyBackend()
    with pytest.raises(UsageError, match="'x'"):
        made(tmp_path / "out", backend=backend, ontology=Ontology(properties=(element,)))
    assert (backend.studied, backend.extracted) == (0, [])
