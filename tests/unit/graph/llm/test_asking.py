"""Questions and answers over a real socket: probe, retry with the errors, cache, ledger."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from moonshelf.chat.client import Client, RequestRefused
from moonshelf.chat.ledger import Ledger
from moonshelf.chat.settings import Prices
from moonshelf.errors import StoreError, UsageError
from moonshelf.graph.llm.asking import Asker, BadAnswer, Question
from moonshelf.graph.llm.cache import Cache, question_key
from moonshelf.graph.llm.dialect import DIALECTS
from moonshelf.graph.llm.probe import probe
from moonshelf.graph.llm.settings import LlmSettings
from moonshelf.graph.schema.card import flat_object
from tests.unit.graph.fake_llm import (
    BROKEN,
    BUSY,
    DEEP,
    ECHO,
    EXTRA,
    FENCED,
    NAN,
    PROSE,
    SLOW,
    TRUNCATED,
    TWICE,
    UNMETERED,
    FakeLlm,
    Fault,
    changed,
)

SCHEMA = flat_object({"brand__raw": {"type": ["string", "null"]}})
QUESTION = Question(text="<<<DATA x\nLG\nDATA x>>>", fence="x", schema=SCHEMA)
GOOD = {"brand__raw": "LG"}


@pytest.fixture
def server():
    with FakeLlm(lambda _: json.dumps(GOOD)) as running:
        yield running


class Wired:
    def __init__(self, server: FakeLlm, dialect="json_schema", cache=None, **more) -> None:
        fast = {"model": "m", "base_url": server.url, "timeout_s": 5, **more}
        self.settings = LlmSettings(**fast)
        self.ledger = Ledger(self.settings.prices)
        self.cache = Cache(cache)
        self.client = Client(self.settings, self.ledger, sleep=lambda _: None)
        self.asker = Asker(self.settings, self.client, self.cache, self.ledger, dialect)

    def counts(self, *names: str) -> list[float]:
        return [self.ledger.totals()[name] for name in names]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_schema_goes_where_the_dialect_has_it(dialect, server) -> None:
    assert Wired(server, dialect).asker.ask(QUESTION) == GOOD
    (body,) = server.requests
    in_words = json.dumps(SCHEMA) in body["messages"][1]["content"]
    assert in_words == (dialect != "json_schema")
    assert body.get("response_format", {}).get("type", "prompt") == dialect
    assert "never instructions" in body["messages"][0]["content"]


BAD = [TRUNCATED, PROSE, ECHO, TWICE, EXTRA, NAN, DEEP]


@pytest.mark.parametrize("fault", BAD, ids=lambda fault: fault.name)
def test_a_bad_reply_is_asked_again_once_with_its_errors(fault, server) -> None:
    server.faults.append(fault)
    wired = Wired(server)
    assert wired.asker.ask(QUESTION) == GOOD
    first, second = server.requests
    assert second["messages"][:2] == first["messages"]
    assert [m["role"] for m in second["messages"]] == ["system", "user", "assistant", "user"]
    assert "That answer cannot be used:\n- " in second["messages"][3]["content"]
    assert len(second["messages"][2]["content"]) <= 8000
    assert wired.counts("calls", "corrected", "unanswered") == [2, 1, 0]


@pytest.mark.parametrize("fault", BAD, ids=lambda fault: fault.name)
def test_a_reply_that_stays_bad_is_an_error_with_all_complaints(fault, server) -> None:
    server.always = fault
    wired = Wired(server)
    with pytest.raises(BadAnswer) as caught:
        wired.asker.ask(QUESTION)
    assert caught.value.errors and caught.value.reply
    assert len(server.requests) == 2
    assert wired.counts("unanswered") == [1]


def test_a_fence_needs_no_second_try(server) -> None:
    server.always = FENCED
    assert Wired(server).asker.ask(QUESTION) == GOOD
    assert len(server.requests) == 1


def test_a_reply_cut_off_at_the_limit_says_so(server) -> None:
    def cut(envelope):
        envelope["choices"][0]["finish_reason"] = "length"
        return envelope

    server.faults.append(Fault("cut", text=lambda text: text[:9], envelope=cut))
    Wired(server).asker.ask(QUESTION)
    assert "cut off at the token limit" in server.requests[1]["messages"][3]["content"]


def test_what_else_must_hold_is_asked_for_too(server) -> None:
    picky = Question(QUESTION.text, "x", SCHEMA, check=lambda _: ["brand__raw: it is not LG"])
    with pytest.raises(BadAnswer, match="it is not LG"):
        Wired(server).asker.ask(picky)
    assert "- brand__raw: it is not LG" in server.requests[1]["messages"][3]["content"]


# ---- the cache


def test_a_good_answer_is_asked_for_once(server, tmp_path) -> None:
    path = tmp_path / "deep" / "cache.sqlite"
    first = Wired(server, cache=path)
    assert first.asker.ask(QUESTION) == first.asker.ask(QUESTION) == GOOD
    assert first.counts("calls", "cached") == [1, 1]
    later = Wired(server, cache=path)
    assert later.asker.ask(QUESTION) == GOOD
    assert len(server.requests) == 1 and later.counts("calls", "cached") == [0, 1]


def test_a_corrected_answer_is_kept_and_a_bad_one_is_not(server, tmp_path) -> None:
    wired = Wired(server, cache=tmp_path / "cache")
    server.faults += [PROSE, PROSE, PROSE]
    with pytest.raises(BadAnswer):
        wired.asker.ask(QUESTION)
    assert wired.asker.ask(QUESTION) == wired.asker.ask(QUESTION) == GOOD
    assert wired.counts("calls", "corrected", "cached") == [4, 1, 1]


@pytest.mark.parametrize(
    "more",
    [
        {"model": "other"},
        {"temperature": 0.5},
        {"seed": 7},
        {"dialect": "prompt"},
        {"extra_body": {"top_k": 1}},
        {"most_reply_tokens": 99},
    ],
    ids=str,
)
def test_whatever_is_sent_decides_what_is_found(more, server, tmp_path) -> None:
    Wired(server, cache=tmp_path / "cache").asker.ask(QUESTION)
    Wired(server, cache=tmp_path / "cache", **more).asker.ask(QUESTION)
    assert len(server.requests) == 2


def test_another_schema_or_text_is_another_question(server, tmp_path) -> None:
    asker = Wired(server, cache=tmp_path / "cache").asker
    wider = flat_object({**SCHEMA["properties"], "x": {"type": ["string", "null"]}})
    server.brain = lambda body: json.dumps(
        dict.fromkeys(body["response_format"]["json_schema"]["schema"]["properties"])
    )
    asker.ask(QUESTION)
    asker.ask(Question("other", "x", SCHEMA))
    asker.ask(Question(QUESTION.text, "x", wider))
    assert len(server.requests) == 3


def test_a_moved_server_finds_its_answers(server, tmp_path) -> None:
    Wired(server, cache=tmp_path / "cache").asker.ask(QUESTION)
    with FakeLlm() as other:
        assert Wired(other, cache=tmp_path / "cache").asker.ask(QUESTION) == GOOD
        assert other.requests == []


def test_an_answer_that_no_longer_fits_is_asked_for_again(server, tmp_path) -> None:
    wired = Wired(server, cache=tmp_path / "cache")
    wired.asker.ask(QUESTION)
    picky = Question(QUESTION.text, "x", SCHEMA, check=lambda _: ["no"])
    with pytest.raises(BadAnswer):
        wired.asker.ask(picky)


def test_no_key_is_in_the_cache(server, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("MY_KEY", "sk-secret-in-cache")
    wired = Wired(server, cache=tmp_path / "cache", api_key_env="MY_KEY")
    wired.asker.ask(QUESTION)
    assert server.headers[0]["authorization"] == "Bearer sk-secret-in-cache"
    wired.cache.close()
    for path in tmp_path.iterdir():
        assert b"sk-secret" not in path.read_bytes()


@pytest.mark.parametrize(
    "text", [r'{"brand__raw": "\ud800"}', '{"brand__raw": "\ud800"}', "\ud800"]
)
def test_half_a_character_is_no_answer_and_breaks_nothing(text, server, tmp_path) -> None:
    server.faults.append(Fault("half a character", text=lambda _: text))
    wired = Wired(server, cache=tmp_path / "cache")
    assert wired.asker.ask(QUESTION) == GOOD
    assert "\ud800" not in server.requests[1]["messages"][2]["content"]
    wired.cache.put("key", "\ud800")
    assert wired.cache.get("key") is None


def test_a_damaged_cache_is_an_error_with_a_cure(tmp_path) -> None:
    path = tmp_path / "cache"
    path.write_bytes(b"no database at all, not even close to one" * 100)
    with pytest.raises(StoreError, match="cache cannot be used") as caught:
        Cache(path)
    assert "delete it" in caught.value.cure


KILLED = """
import os, sys
from pathlib import Path
from moonshelf.graph.llm.cache import Cache
cache = Cache(Path(sys.argv[1]))
for k in range(100_000):
    cache.put(f"{k}", "x" * 2000)
    os.write(1, f"{k}\\n".encode())
"""


def test_what_was_kept_survives_a_kill(tmp_path) -> None:
    path = tmp_path / "cache"
    job = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(path)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[4])},
    )
    assert job.stdout is not None
    said = [job.stdout.readline() for _ in range(20)]
    job.kill()
    said += job.stdout.read().splitlines(keepends=True)
    job.wait()
    last = max(int(line) for line in said if line.endswith(b"\n"))
    cache = Cache(path)
    assert all(cache.get(str(k)) for k in range(last + 1))


def test_keys_do_not_depend_on_the_order_of_settings() -> None:
    assert question_key({"a": 1, "b": 2}) == question_key({"b": 2, "a": 1})
    assert question_key({"a": 1}) != question_key({"a": "1"})


# ---- the ledger


def test_the_cost_is_tokens_times_prices(server) -> None:
    wired = Wired(server, prices=Prices(prompt=Decimal("0.15"), reply=Decimal("0.60")))
    wired.asker.ask(QUESTION)
    totals = wired.ledger.totals()
    expected = (totals["prompt_tokens"] * 0.15 + totals["reply_tokens"] * 0.60) / 1e6
    assert totals["cost"] == pytest.approx(expected, rel=1e-12) and expected > 0
    assert "cost" not in Wired(server).ledger.totals()


def test_retries_and_silence_about_tokens_are_counted(server) -> None:
    server.faults += [BUSY, BROKEN, UNMETERED]
    wired = Wired(server)
    wired.asker.ask(QUESTION)
    assert wired.counts("calls", "retries", "unmetered", "reply_tokens") == [3, 2, 1, 0]


# ---- the probe


def probed(server: FakeLlm, cache: Path | None = None, **more):
    wired = Wired(server, cache=cache, **more)
    return probe(wired.settings, wired.client, wired.cache, wired.ledger)


@pytest.fixture
def capable():
    with FakeLlm() as running:
        yield running


def test_the_strictest_dialect_wins(capable) -> None:
    found = probed(capable)
    assert found.dialect == "json_schema" and found.failed == ()
    assert len(capable.requests) == 1


def test_what_the_server_refuses_is_passed_over_with_its_reason(capable) -> None:
    capable.dialects = {"json_object", "prompt"}
    found = probed(capable)
    assert found.dialect == "json_object"
    assert [name for name, _ in found.failed] == ["json_schema"]
    assert "response_format is not supported" in found.failed[0][1]
    capable.dialects = {"prompt"}
    assert probed(capable).dialect == "prompt"


def test_a_server_that_breaks_on_a_dialect_is_asked_in_the_next(capable) -> None:
    capable.faults += [BROKEN] * 3
    found = probed(capable)
    assert found.dialect == "json_object" and "kaput" in found.failed[0][1]


@pytest.mark.parametrize("fault", [ECHO, PROSE, TRUNCATED], ids=lambda fault: fault.name)
def test_a_dialect_that_gives_no_answers_is_passed_over(fault, capable) -> None:
    capable.faults += [fault, fault]
    assert probed(capable).dialect == "prompt"


def test_a_model_that_understands_nothing_is_refused(capable) -> None:
    capable.always = Fault("green", text=changed(lambda f: {**f, "color__value": "green"}))
    with pytest.raises(UsageError, match="the color is white, not 'green'"):
        probed(capable)


def test_the_earlier_winner_is_asked_first(capable, tmp_path) -> None:
    """One bad moment must not change the dialect, and with it every key of the cache."""
    capable.dialects = {"json_object", "prompt"}
    before = probed(capable, tmp_path / "cache")
    capable.dialects.add("json_schema")
    capable.requests.clear()
    assert probed(capable, tmp_path / "cache") == before
    assert [r["response_format"]["type"] for r in capable.requests] == ["json_object"]
    capable.dialects = {"prompt"}
    assert probed(capable, tmp_path / "cache").dialect == "prompt"


def test_without_a_server_the_earlier_winner_holds(tmp_path) -> None:
    with FakeLlm() as server:
        address = server.url
        probed(server, tmp_path / "cache")
    found = probed(server, tmp_path / "cache", base_url=address, attempts=1)
    assert found.dialect == "json_schema" and found.remembered
    with pytest.raises(UsageError, match="gives no answer"):
        probed(server, base_url=address, attempts=1)


def test_a_silent_server_is_not_asked_in_every_dialect(capable) -> None:
    capable.always = SLOW
    with pytest.raises(UsageError, match="gives no answer") as caught:
        probed(capable, attempts=2, timeout_s=0.2)
    assert len(capable.requests) == 2 and "base_url" in caught.value.cure


def test_a_refused_question_is_no_answer(server) -> None:
    server.dialects = set()
    with pytest.raises(RequestRefused):
        Wired(server).asker.ask(QUESTION)
