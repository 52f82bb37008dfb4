"""The client over a real socket, against a server that misbehaves in every way on cue."""

from __future__ import annotations

import json
import logging
import threading
import time

import pytest

from moonshelf.chat.client import Client, RequestRefused, ServerError, retry_after
from moonshelf.chat.ledger import Ledger
from moonshelf.config import load_config
from moonshelf.errors import UsageError
from moonshelf.graph.llm.settings import LlmSettings
from tests.unit.graph.fake_llm import (
    BROKEN,
    BUSY,
    DRIP,
    EMPTY,
    HALF,
    HTML,
    HUGE,
    LOCKED,
    NO_CHOICES,
    NOT_JSON,
    REFUSES,
    SLOW,
    UNMETERED,
    FakeLlm,
    Fault,
    error_body,
)

ASK = [{"role": "user", "content": "hello"}]


@pytest.fixture
def server():
    with FakeLlm(lambda body: f"said {body['messages'][-1]['content']}") as running:
        yield running


class Wired:
    """A client, its ledger and the pauses that it would have made."""

    def __init__(self, server: FakeLlm, **more: object) -> None:
        self.pauses: list[float] = []
        self.ledger = Ledger()
        settings = LlmSettings(**{"model": "m", "base_url": server.url, "timeout_s": 5, **more})
        self.client = Client(settings, self.ledger, sleep=self.pauses.append)

    def ask(self):
        return self.client.complete(ASK)


def test_a_reply_with_its_tokens(server) -> None:
    wired = Wired(server, extra_body={"top_k": 1}, most_reply_tokens=77)
    found = wired.ask()
    assert found.text == "said hello" and not found.cut_off
    (body,) = server.requests
    assert {**body, "messages": ASK} == {
        "model": "m",
        "messages": ASK,
        "temperature": 0.0,
        "seed": 0,
        "max_tokens": 77,
        "top_k": 1,
    }
    counts = wired.ledger.totals()
    assert counts["calls"] == 1 and counts["retries"] == counts["unmetered"] == 0
    assert counts["prompt_tokens"] == found.prompt_tokens
    assert counts["reply_tokens"] == found.reply_tokens
    assert counts["prompt_tokens"] > 0 and counts["reply_tokens"] > 0 and counts["seconds"] > 0


def test_what_is_unset_is_not_sent(server) -> None:
    Wired(
        server,
        temperature=None,
        seed=None,
        most_reply_tokens=8000,
        token_limit="max_completion_tokens",
    ).ask()
    assert sorted(server.requests[0]) == ["max_completion_tokens", "messages", "model"]


def test_no_usage_is_counted_as_such(server) -> None:
    server.always = UNMETERED
    wired = Wired(server)
    assert wired.ask().reply_tokens is None
    counts = wired.ledger.totals()
    assert counts["unmetered"] == 1 and counts["prompt_tokens"] == 0


@pytest.mark.parametrize(
    "fault",
    [BUSY, BROKEN, HTML, HALF, NOT_JSON, NO_CHOICES, EMPTY, HUGE],
    ids=lambda fault: fault.name,
)
def test_what_another_try_mends(fault, server) -> None:
    server.faults.append(fault)
    wired = Wired(server)
    assert wired.ask().text == "said hello"
    assert wired.ledger.totals()["retries"] == 1
    assert wired.pauses == [0.0 if fault is BUSY else 0.5]


@pytest.mark.parametrize(
    ("fault", "complaint"),
    [
        (BUSY, "answered 429: slow down"),
        (BROKEN, "answered 500: kaput"),
        (HTML, "sent text/html, not JSON"),
        (HALF, "broke off"),
        (NOT_JSON, "JSON cannot be read"),
        (NO_CHOICES, "holds no message"),
        (EMPTY, "holds no text"),
        (HUGE, "larger than 2,000,000 bytes"),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_what_no_try_mends_is_an_error_after_three(fault, complaint, server) -> None:
    server.always = fault
    wired = Wired(server)
    with pytest.raises(ServerError, match=complaint) as caught:
        wired.ask()
    assert len(server.requests) == 3 and len(wired.pauses) == 2
    assert caught.value.where == server.url and caught.value.cure
    assert caught.value.answered == (fault is not HALF)


def test_pauses_double_and_are_bounded(server) -> None:
    server.always = BROKEN
    wired = Wired(server, attempts=6, longest_wait_s=3)
    with pytest.raises(ServerError):
        wired.ask()
    assert wired.pauses == [0.5, 1, 2, 3, 3]


def test_retry_after_is_honored(server) -> None:
    server.faults.append(Fault("busy", status=429, headers={"Retry-After": "7"}))
    wired = Wired(server)
    wired.ask()
    assert wired.pauses == [7]


def test_a_pause_that_is_too_long_is_not_made(server) -> None:
    server.faults.append(Fault("busy", status=503, headers={"Retry-After": "3600"}))
    wired = Wired(server)
    with pytest.raises(ServerError, match="asks to wait for 3600 s, the limit is 60 s"):
        wired.ask()
    assert wired.pauses == [] and len(server.requests) == 1


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("12", 12),
        (" 1.5 ", 1.5),
        ("-3", 0),
        ("Thu, 01 Jan 1970 00:01:40 GMT", 90),
        ("Thu, 01 Jan 1970 00:00:01 GMT", 0),
        ("", None),
        ("soon", None),
        ("nan", None),
        ("Thu, 99 Foo 1970", None),
    ],
)
def test_retry_after_headers(header, seconds) -> None:
    assert retry_after(header, now=10.0) == seconds


LEAK = Fault("leak", status=500, body=error_body("x" * 100), drip_s=0.05)


@pytest.mark.parametrize("fault", [SLOW, DRIP, LEAK], ids=lambda fault: fault.name)
def test_neither_silence_nor_a_drip_lasts_longer_than_the_limit(fault, server) -> None:
    server.always = fault
    wired = Wired(server, timeout_s=0.3, attempts=2)
    start = time.monotonic()
    with pytest.raises(ServerError, match="answered 500" if fault is LEAK else "in time") as caught:
        wired.ask()
    assert time.monotonic() - start < 10
    assert caught.value.answered == (fault is LEAK)


def test_a_server_that_is_not_there(server) -> None:
    wired = Wired(server, base_url="http://127.0.0.1:9/v1")
    with pytest.raises(ServerError, match="cannot be reached") as caught:
        wired.ask()
    assert not caught.value.answered


def test_a_refused_request_is_not_sent_again(server) -> None:
    server.always = REFUSES
    wired = Wired(server)
    with pytest.raises(RequestRefused, match="400: response_format is not supported"):
        wired.ask()
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("fault", "cure"),
    [
        (LOCKED, "api_key_env"),
        (Fault("gone", status=404, body=error_body("no such model")), "model 'm'"),
        (
            Fault("moved", status=307, headers={"Location": "http://example.org/v1"}),
            "http://example.org/v1",
        ),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_a_wrong_set_up_is_the_users_error_at_once(fault, cure, server) -> None:
    server.always = fault
    wired = Wired(server)
    with pytest.raises(UsageError) as caught:
        wired.ask()
    assert cure in caught.value.cure
    assert len(server.requests) == 1, "neither sent again nor followed to another server"


@pytest.mark.parametrize("status", [200, 500])
def test_a_flood_is_left_before_its_end(status, server) -> None:
    server.always = Fault("flood", status=status, flood=65_536 * 1500)
    with pytest.raises(ServerError):
        Wired(server, attempts=1).ask()
    assert server.flooded < 20_000_000, "what fits in buffers, not all 98 MB"


def test_an_error_page_is_short_and_printable(server) -> None:
    server.always = Fault("page", status=500, body=lambda _: b"\x1b[2J" + b"x" * 300_000)
    wired = Wired(server, attempts=1)
    with pytest.raises(ServerError) as caught:
        wired.ask()
    assert len(caught.value.what) < 400 and "\x1b" not in caught.value.what


KEY = "sk-very-secret-0123456789"


def test_the_key_goes_to_its_server_and_nowhere_else(server, monkeypatch, caplog) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    caplog.set_level(logging.DEBUG)
    server.faults += [Fault("tells", status=500, body=error_body(f"bad key {KEY}")), LOCKED]
    wired = Wired(server, api_key_env="MY_KEY", attempts=1)
    with pytest.raises(ServerError) as told:
        wired.ask()
    with pytest.raises(UsageError) as locked:
        wired.ask()
    assert server.headers[0]["authorization"] == f"Bearer {KEY}"
    assert "***" in told.value.what and "MY_KEY" in locked.value.cure
    said = [caplog.text, *map(str, (told.value, locked.value, told.value.__cause__))]
    assert KEY not in "".join(said)


LONG_KEY = "sk-" + "0123456789" * 12


@pytest.mark.parametrize(
    "fault",
    [
        Fault("across the cut", status=500, body=error_body("x" * 250 + LONG_KEY)),
        Fault("not JSON", status=500, body=lambda _: ("x" * 250 + LONG_KEY).encode()),
        Fault("redirect", status=302, headers={"Location": f"http://a.example/?key={LONG_KEY}"}),
        Fault("far redirect", status=302, headers={"Location": "http://" + "a" * 250 + LONG_KEY}),
        Fault("kind", headers={"Content-Type": "text/" + "a" * 270 + LONG_KEY}),
        Fault("no choices", envelope=lambda _: {"error": {"message": "x" * 250 + LONG_KEY}}),
        Fault(
            "refusal",
            envelope=lambda _: {"choices": [{"message": {"refusal": "x" * 190 + LONG_KEY}}]},
        ),
    ],
    ids=lambda fault: fault.name,
)
def test_no_part_of_the_key_is_told(fault, server, monkeypatch) -> None:
    monkeypatch.setenv("MY_KEY", LONG_KEY)
    server.always = fault
    with pytest.raises((ServerError, UsageError)) as told:
        Wired(server, api_key_env="MY_KEY", attempts=1).ask()
    assert "sk-0" not in str(told.value) and "01234" not in str(told.value)


def test_a_key_in_an_address_is_hidden(server, monkeypatch) -> None:
    monkeypatch.setenv("MY_KEY", "sk/secret+key")
    server.always = Fault("to", status=302, headers={"Location": "http://a/?k=sk%2Fsecret%2Bkey"})
    with pytest.raises(UsageError) as told:
        Wired(server, api_key_env="MY_KEY").ask()
    assert "secret" not in str(told.value) and "http://a/?k=***" in told.value.cure


def test_a_line_end_behind_the_key_is_no_part_of_it(server, monkeypatch) -> None:
    monkeypatch.setenv("MY_KEY", f" {KEY}\n")
    Wired(server, api_key_env="MY_KEY").ask()
    assert server.headers[0]["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("key", ["sk-sécret", "sk-secret\nX-Other: 1", "sk secret", "\x7fsecret"])
def test_what_is_no_key_is_refused_without_being_told(key, server, monkeypatch) -> None:
    monkeypatch.setenv("MY_KEY", key)
    with pytest.raises(UsageError, match="MY_KEY") as told:
        Wired(server, api_key_env="MY_KEY")
    assert "cret" not in str(told.value)


def test_the_openai_key_is_for_openai_alone(server, monkeypatch) -> None:
    for name in ("API_KEY", "ADMIN_KEY", "ORG_ID", "PROJECT_ID"):
        monkeypatch.setenv(f"OPENAI_{name}", KEY)
    headers = ("Authorization: Bearer", "X-Mine:", "Content-Type:", "User-Agent:", "Cookie:")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "\n".join(f"{h} {KEY}" for h in headers))
    Wired(server).ask()
    assert KEY not in json.dumps(server.headers + server.requests)
    monkeypatch.setenv("MY_KEY", "own")
    Wired(server, api_key_env="MY_KEY").ask()
    assert server.headers[1]["authorization"] == "Bearer own"
    assert LlmSettings(model="m").key_variable == "OPENAI_API_KEY"


@pytest.mark.parametrize(
    "address",
    [
        *("ftp://example.org", "example.org/v1", "http://", "file:" + "///x", ""),
        "http://user:" + "word@example.org/v1",
        "https://example.org/v1?key=1",
        "javascript:alert(1)",
    ],
)
def test_addresses_that_are_none(address) -> None:
    with pytest.raises(UsageError, match="base_url"):
        load_config(LlmSettings, {"model": "m", "base_url": address})


def test_threads_share_a_client(server) -> None:
    wired = Wired(server)
    threads = [threading.Thread(target=wired.ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wired.ledger.totals()["calls"] == len(server.requests) == 8
