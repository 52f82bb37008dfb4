"""Agent 3 of the llm backend: kind and facts in small calls, and replies that go wrong."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonshelf.errors import UsageError
from moonshelf.graph.backend import ExtractionError
from moonshelf.graph.llm.backend import LlmBackend
from moonshelf.graph.llm.prompts import pieces
from moonshelf.graph.llm.settings import LlmSettings
from moonshelf.graph.ontology import ClassDef, Ontology
from moonshelf.graph.records import Document
from moonshelf.graph.validate import check
from tests.unit.graph.fake_llm import (
    BROKEN,
    BUSY,
    ECHO,
    EXTRA,
    FENCED,
    HUGE,
    LOCKED,
    PROSE,
    REFUSES,
    TRUNCATED,
    FakeLlm,
    Fault,
    changed,
    data_of,
    schema_of,
)
from tests.unit.graph.llm.shop import DOCUMENT, FACTS, ONTOLOGY, backend, names


@pytest.fixture
def server():
    with FakeLlm() as running:
        yield running


@pytest.mark.parametrize("keys", [3, 4, 7, 20])
def test_kind_and_facts_in_small_calls(keys, server) -> None:
    found = backend(server, keys_a_call=keys).extract(DOCUMENT, ONTOLOGY)
    assert found.product_class == "SplitAirConditioner"
    assert names(found) == FACTS and not found.refusals
    facts, refusals = check(found, DOCUMENT, ONTOLOGY)
    assert len(facts) == len(FACTS) and not refusals
    for request in server.requests:
        schema = request["response_format"]["json_schema"]["schema"]
        assert len(schema["properties"]) <= keys + 1
        assert schema["required"] == list(schema["properties"])


def test_a_document_without_text_asks_nothing(server) -> None:
    empty = Document(id="x", fields=(("title", " \n"),), category="Fans")
    found = backend(server).extract(empty, ONTOLOGY)
    assert found.facts == () and server.requests == []


def test_a_slice_without_properties_asks_for_the_kind_alone(server) -> None:
    bare = ONTOLOGY.model_copy(update={"properties": ()})
    found = backend(server).extract(DOCUMENT, bare)
    assert found.product_class == "SplitAirConditioner" and len(server.requests) == 1
    server.requests.clear()
    assert backend(server).extract(DOCUMENT, Ontology()).facts == ()
    assert server.requests == []


def test_many_classes_are_offered_level_by_level(server) -> None:
    kinds = [ClassDef(name=f"Kind{k}") for k in range(120)]
    wide = ONTOLOGY.model_copy(update={"classes": (*ONTOLOGY.classes, *kinds), "properties": ()})
    wide = Ontology.model_validate(wide.model_dump())
    found = backend(server).extract(DOCUMENT, wide)
    assert found.product_class == "SplitAirConditioner"
    for request in server.requests:
        kind = request["response_format"]["json_schema"]["schema"]["properties"]["kind"]
        assert len(kind["enum"]) <= 50


def test_a_long_text_is_read_in_pieces_and_all_of_it(server) -> None:
    filler = "Cools fast and sleeps well. " * 100
    long = Document(id="x", fields=(("title", "Split AC"), ("text", filler + "Color White.")))
    found = backend(server, longest_text=1000).extract(long, ONTOLOGY)
    assert names(found) == ["color"]
    assert all(sum(map(len, data_of(r).values())) <= 1100 for r in server.requests)


@given(st.text(max_size=300), st.integers(20, 60))
def test_pieces_cover_a_text_and_overlap(text: str, longest: int) -> None:
    found = pieces(text, longest)
    assert all(len(piece) <= longest for piece in found)
    whole = found[0]
    for piece in found[1:]:
        overlap = longest // 10
        assert whole[len(whole) - overlap :] == piece[:overlap]
        whole += piece[overlap:]
    assert whole == text


@pytest.mark.parametrize(
    "fault", [TRUNCATED, PROSE, ECHO, EXTRA, FENCED, BUSY, BROKEN, HUGE], ids=lambda f: f.name
)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_one_bad_reply_anywhere_costs_nothing_but_a_retry(fault, place, server) -> None:
    found = backend(server, keys_a_call=7)
    server.faults += [None] * place + [fault]
    extraction = found.extract(DOCUMENT, ONTOLOGY)
    assert names(extraction) == FACTS and not extraction.refusals


def test_what_stays_bad_is_asked_property_by_property(server) -> None:
    """The first answer on all properties, and its retry, are cut off; singles are not."""
    found = backend(server)
    server.faults += [None, TRUNCATED, TRUNCATED]
    assert names(found.extract(DOCUMENT, ONTOLOGY)) == FACTS
    asked = [
        len(r["response_format"]["json_schema"]["schema"]["properties"]) for r in server.requests
    ]
    assert asked == [2, 12, 12, 2, 2, 3, 4, 3, 3]


def test_right_keys_of_a_bad_answer_are_used(server) -> None:
    spoilt = Fault("spoilt", text=changed(lambda f: {**f, "star_rating__value": "three"}))
    found = backend(server)
    server.faults += [None, spoilt, spoilt]
    extraction = found.extract(DOCUMENT, ONTOLOGY)
    assert names(extraction) == FACTS
    last = server.requests[-1]["response_format"]["json_schema"]["schema"]["properties"]
    assert list(last) == ["text", "star_rating__raw", "star_rating__value"]
    assert len(server.requests) == 4


def test_a_property_without_any_answer_is_a_refusal_not_a_silence(server) -> None:
    spoilt = Fault("spoilt", text=changed(lambda f: {**f, "star_rating__value": "three"}))
    found = backend(server)
    server.faults += [None, spoilt, spoilt, PROSE]
    extraction = found.extract(DOCUMENT, ONTOLOGY)
    assert names(extraction) == [name for name in FACTS if name != "star_rating"]
    (refused,) = extraction.refusals
    assert refused.step == "json" and "star_rating" in refused.candidate
    assert "happy to help" in refused.candidate
    assert found.costs()["unanswered"] == 2


def test_a_server_that_refuses_large_grammars_is_asked_in_halves(server) -> None:
    found = backend(server)
    server.pick = lambda body: REFUSES if len(schema_of(body)["properties"]) > 6 else None
    extraction = found.extract(DOCUMENT, ONTOLOGY)
    assert names(extraction) == FACTS and not extraction.refusals


def test_a_property_that_a_server_refuses_is_a_refusal(server) -> None:
    found = backend(server)
    server.pick = lambda body: (
        REFUSES if "star_rating__raw" in schema_of(body)["properties"] else None
    )
    extraction = found.extract(DOCUMENT, ONTOLOGY)
    assert names(extraction) == [name for name in FACTS if name != "star_rating"]
    (refused,) = extraction.refusals
    assert refused.step == "json" and "is not supported" in refused.reason


def test_a_text_that_a_server_refuses_is_not_asked_about_forever(server) -> None:
    found = backend(server)
    server.pick = lambda body: None if "kind" in schema_of(body)["properties"] else REFUSES
    with pytest.raises(ExtractionError, match="is not supported"):
        found.extract(DOCUMENT, ONTOLOGY)
    assert len(server.requests) <= 7, "the kind, and two properties alone"


def test_one_bad_piece_of_a_long_text_costs_that_piece_alone(server) -> None:
    filler = "Cools fast and sleeps well. " * 100
    fields = (("title", "Split AC"), ("text", f"Color White. {filler} Code SAC-183."))
    long = Document(id="x", fields=fields)
    found = backend(server, longest_text=1000)

    def spoil_the_first(body) -> Fault | None:
        asked_for_kind = "kind" in schema_of(body)["properties"]
        return PROSE if "Color White" in str(data_of(body)) and not asked_for_kind else None

    server.pick = spoil_the_first
    extraction = found.extract(long, ONTOLOGY)
    assert names(extraction) == ["codes"]
    assert {r.step for r in extraction.refusals} == {"json"}


def test_no_answer_at_all_is_an_extraction_error_with_the_reply(server) -> None:
    found = backend(server)
    server.always = PROSE
    with pytest.raises(ExtractionError, match="which kind of product") as caught:
        found.extract(DOCUMENT, ONTOLOGY)
    assert "happy to help" in (caught.value.reply or "")
    assert caught.value.errors and "ac-1" in caught.value.where
    server.faults += [None]
    with pytest.raises(ExtractionError, match="what it states"):
        found.extract(DOCUMENT, ONTOLOGY)


@pytest.mark.parametrize("fault", [BROKEN, BUSY, HUGE], ids=lambda fault: fault.name)
def test_a_server_that_fails_is_an_extraction_error(fault, server) -> None:
    found = backend(server)
    server.always = fault
    with pytest.raises(ExtractionError):
        found.extract(DOCUMENT, ONTOLOGY)
    assert len(server.requests) == 3, "no call of its own for every property"


def test_a_wrong_key_stops_everything(server) -> None:
    found = backend(server)
    server.always = LOCKED
    with pytest.raises(UsageError):
        found.extract(DOCUMENT, ONTOLOGY)


def test_an_answer_about_another_text_is_none(server) -> None:
    mixed = Fault("mixed up", text=changed(lambda f: {**f, "text": "text-00000000"}))
    found = backend(server)
    server.faults += [None, mixed]
    assert names(found.extract(DOCUMENT, ONTOLOGY)) == FACTS
    assert "got 'text-00000000'" in server.prompts()[-1]
    server.always = mixed
    with pytest.raises(ExtractionError, match="text-00000000"):
        found.extract(DOCUMENT, ONTOLOGY)


@pytest.mark.parametrize("dialect", ["json_schema", "json_object", "prompt"])
def test_every_dialect_gives_the_same_facts(dialect, server) -> None:
    server.dialects = {dialect}
    found = backend(server)
    assert found.about()["dialect"] == dialect
    assert names(found.extract(DOCUMENT, ONTOLOGY)) == FACTS


def test_a_cached_document_needs_no_server(tmp_path) -> None:
    with FakeLlm() as server:
        first = backend(server, cache=tmp_path / "cache")
        wanted = first.extract(DOCUMENT, ONTOLOGY)
        print_ = first.fingerprint
        first.close()
    again = LlmBackend(
        LlmSettings(model="fake", base_url=server.url, cache=tmp_path / "cache", attempts=1)
    )
    assert again.extract(DOCUMENT, ONTOLOGY) == wanted
    assert again.fingerprint == print_ and again.about()["remembered"]
    assert again.costs()["cached"] == 2


def test_threads_share_a_backend(server) -> None:
    found, results = backend(server), []
    documents = [DOCUMENT.model_copy(update={"id": f"d{k}"}) for k in range(12)]

    def work(document: Document) -> None:
        results.append(found.extract(document, ONTOLOGY))

    threads = [threading.Thread(target=work, args=(one,)) for one in documents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(one.document for one in results) == sorted(one.id for one in documents)
    assert all(names(one) == FACTS for one in results)


def test_nothing_of_an_answer_about_another_text_is_used(server) -> None:
    other = {"text": "text-00000000", "brand__raw": "Split"}
    mixed = Fault("mixed up", text=changed(lambda f: {**f, **other}))
    found = backend(server)
    server.faults += [None, mixed, mixed]
    extraction = found.extract(DOCUMENT, ONTOLOGY)
    assert [f.value for f in extraction.facts if f.property == "brand"] == ["voltas"]
