"""A model server in this process: the chat protocol over a real socket, misbehaving on cue.

    with FakeLlm() as server:
        server.faults += [FENCED, None, BUSY]     # one a request; None and the end: behave
        ... LlmSettings(base_url=server.url, model="fake") ...

Its "model" is a few regular expressions over the fenced product text, so that what it answers is
right, deterministic, and found by looking at nothing but the request.
"""

from __future__ import annotations

import json
import re
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Brain = Callable[[Mapping[str, Any]], str]

# What the fake model understands, by property name: the words that state a value.
WORDS: dict[str, str] = {
    "brand": r"\b(?:Voltas|Daikin|LG|Blue Star|Bajaj)\b",
    "color": r"\b(?:White|Black|Silver|Red)\b",
    "cooling_capacity": r"\b\d+(?:\.\d+)? ?(?:Ton|kW|BTU/h)\b",
    "star_rating": r"\b[1-5] Star\b",
    "wifi": r"\bWi-?Fi\b",
    "inverter": r"\bInverter\b",
    "sweep": r"\b\d+ ?mm\b",
    "codes": r"\b[A-Z]{2,4}-\d{3,4}\b",
}
FENCE = r"(?sm)^<<<DATA (\w{16})\n(.*?)\nDATA \1>>>$"
KINDS = {"SplitAirConditioner": "split", "WindowAirConditioner": "window", "Fan": "fan"}
PROPOSED: tuple[dict[str, Any], ...] = (
    {"name": "brand", "of": "Product", "type": "entity", "unit": None},
    {"name": "color", "of": "Product", "type": "text", "unit": None},
    {"name": "cooling_capacity", "of": "AirConditioner", "type": "number", "unit": "kW"},
    {"name": "star_rating", "of": "AirConditioner", "type": "integer", "unit": None},
    {"name": "wifi", "of": "AirConditioner", "type": "feature", "unit": None},
    {"name": "sweep", "of": "Fan", "type": "number", "unit": "mm"},
)


@dataclass(frozen=True)
class Fault:
    """How one reply is spoilt: the model's text, its envelope, or the bytes on the wire."""

    name: str
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    text: Callable[[str], str] = lambda text: text
    envelope: Callable[[dict[str, Any]], Any] = lambda envelope: envelope
    body: Callable[[bytes], bytes] = lambda body: body
    delay_s: float = 0.0
    drip_s: float = 0.0
    hang_up: bool = False
    """Close before the whole body was sent."""
    flood: int = 0
    """Bytes to go on sending after the body, as long as the client takes them."""


def changed(change: Callable[[dict[str, Any]], Any]) -> Callable[[str], str]:
    """A change to the object that the model answers."""
    return lambda text: json.dumps(change(json.loads(text)))


def without(key: str) -> Callable[[dict[str, Any]], Any]:
    return lambda envelope: {k: v for k, v in envelope.items() if k != key}


def error_body(message: str) -> Callable[[bytes], bytes]:
    return lambda _: json.dumps({"error": {"message": message}}).encode()


TRUNCATED = Fault("truncated", text=lambda text: text[: len(text) * 2 // 3])
FENCED = Fault("fenced", text=lambda text: f"Here you are:\n```json\n{text}\n```\nAnything else?")
PROSE = Fault("prose", text=lambda _: "I am happy to help! The product is white.")
EMPTY = Fault("empty", text=lambda _: "")
ECHO = Fault("echo")  # the server fills in the schema that it was sent
TWICE = Fault("a key twice", text=lambda text: text[:-1] + ", " + text[1:])
EXTRA = Fault("extra key", text=changed(lambda found: {**found, "note": "hi"}))
NAN = Fault("not a number", text=lambda _: '{"color__value": NaN}')
DEEP = Fault("deep", text=lambda _: '{"a":' * 100_000)
BUSY = Fault("busy", status=429, headers={"Retry-After": "0"}, body=error_body("slow down"))
BROKEN = Fault("broken", status=500, body=error_body("kaput"))
HTML = Fault(
    "html", headers={"Content-Type": "text/html"}, body=lambda _: b"<html>Sign in to this Wi-Fi"
)
HUGE = Fault("huge", body=lambda body: body[:-1] + b" " * 5_000_000 + b"}")
HALF = Fault("half", hang_up=True)
SLOW = Fault("slow", delay_s=30)
DRIP = Fault("drip", drip_s=0.05)
UNMETERED = Fault("unmetered", envelope=without("usage"))
NO_CHOICES = Fault("no choices", envelope=without("choices"))
NOT_JSON = Fault("not json", body=lambda body: body[: len(body) // 2])
REFUSES = Fault("refuses", status=400, body=error_body("response_format is not supported"))
LOCKED = Fault("locked", status=401, body=error_body("bad key"))


class _Quiet(ThreadingHTTPServer):
    """Clients that hang up are no news here."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass


class FakeLlm:
    """A server on a free port of this machine; a context manager."""

    def __init__(self, brain: Brain | None = None) -> None:
        self.faults: deque[Fault | None] = deque()
        self.always: Fault | None = None
        self.pick: Callable[[dict[str, Any]], Fault | None] | None = None
        """Chooses by the request itself, for clients whose order is not known."""
        self.dialects = {"json_schema", "json_object", "prompt"}
        """What it accepts; anything else is answered 400."""
        self.flooded = 0
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.brain: Brain = brain or competent
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._server = _Quiet(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def __enter__(self) -> FakeLlm:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def prompts(self) -> list[str]:
        """All that was said to the model, one text a request."""
        return ["\n".join(m["content"] for m in r["messages"]) for r in self.requests]

    def next_fault(self, body: dict[str, Any], headers: Mapping[str, str]) -> Fault | None:
        with self._lock:
            self.requests.append(body)
            self.headers.append({name.lower(): value for name, value in headers.items()})
            form = (body.get("response_format") or {}).get("type", "prompt")
            if form not in self.dialects:
                return REFUSES
            if self.pick is not None:
                return self.pick(body)
            return self.faults.popleft() if self.faults else self.always

    def wait(self, seconds: float) -> None:
        self._closing.wait(seconds)


def _handler(server: FakeLlm) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:
            pass

        def do_GET(self) -> None:
            listed = {"object": "list", "data": [{"id": "fake", "object": "model"}]}
            self._send(Fault("models"), json.dumps(listed).encode())

        def do_POST(self) -> None:
            data = self.rfile.read(int(self.headers["Content-Length"]))
            body = json.loads(data)
            fault = server.next_fault(body, self.headers) or Fault("none")
            server.wait(fault.delay_s)
            text = json.dumps(schema_of(body)) if fault is ECHO else server.brain(body)
            usage = {"prompt_tokens": len(data) // 4, "completion_tokens": len(text) // 4}
            message = {"role": "assistant", "content": fault.text(text)}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            envelope = fault.envelope(
                {"id": "x", "object": "chat.completion", "choices": [choice], "usage": usage}
            )
            self._send(fault, fault.body(json.dumps(envelope).encode()))

        def _send(self, fault: Fault, body: bytes) -> None:
            try:
                self.send_response(fault.status)
                headers = {"Content-Type": "application/json", **fault.headers}
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body) + fault.flood))
                self.end_headers()
                if fault.drip_s:
                    for byte in body:
                        self.wfile.write(bytes([byte]))
                        server.wait(fault.drip_s)
                elif fault.hang_up:
                    self.wfile.write(body[: len(body) // 2])
                    self.close_connection = True
                else:
                    self.wfile.write(body)
                for _ in range(0, fault.flood, 65_536):
                    self.wfile.write(b" " * 65_536)
                    server.flooded += 65_536
            except OSError:  # the client gave up, as it should
                self.close_connection = True

    return Handler


# ---- the model


def schema_of(body: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON schema of a request, from where its dialect puts it."""
    form = body.get("response_format") or {}
    if form.get("type") == "json_schema":
        return form["json_schema"]["schema"]
    asked = next(m["content"] for m in body["messages"] if m["role"] == "user")
    return json.loads(asked[asked.rindex("repeat the schema:\n") :].split("\n", 1)[1])


def data_of(body: Mapping[str, Any]) -> dict[str, str]:
    """The product texts of a request by name, and only those: names of texts are numbered."""
    found = fenced_of(body)
    return {name: text for name, text in found.items() if re.match(r"(?:text )?\d", name)}


def fenced_of(body: Mapping[str, Any]) -> dict[str, str]:
    """All that stands in fences by name: product texts, and lists that quote them."""
    asked = next(m["content"] for m in body["messages"] if m["role"] == "user")
    found = re.findall(FENCE, asked)
    assert found or "<<<DATA" not in asked
    pieces = [p for _, data in found for p in re.split(r"(?m)^\[([^\]\n]+)\]\n", data)[1:]]
    return dict(zip(pieces[::2], (text.rstrip("\n") for text in pieces[1::2]), strict=True))


def competent(body: Mapping[str, Any]) -> str:
    """Answers every prompt of the backend rightly, as far as ``WORDS`` goes."""
    schema, texts = schema_of(body), data_of(body)
    wanted = schema["properties"]
    whole = "\n".join(text for name, text in texts.items() if "category" not in name)
    if "edits" in wanted:
        found: dict[str, Any] = {"edits": _edits(body)}
    elif "classes" in wanted:
        found = _proposal(whole)
    elif "kind" in wanted:
        found = {"kind": _kind(whole, wanted["kind"]["enum"])}
    elif "count__value" in wanted:
        found = {"color__value": "white", "count__value": None}
    else:
        found = _stated(whole, wanted)
    if "text" in wanted:
        asked = next(m["content"] for m in body["messages"] if m["role"] == "user")
        found["text"] = re.findall(r'"(text-[0-9a-f]{8})"', asked)[-1]
    return json.dumps(found)


def _kind(text: str, offered: list[str | None]) -> str | None:
    folded = text.lower()
    fits = [kind for kind, word in KINDS.items() if word in folded and kind in offered]
    if fits:
        return fits[0]
    cooling = "air conditioner" in folded or " ac" in folded
    return "AirConditioner" if cooling and "AirConditioner" in offered else None


def _stated(text: str, wanted: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, schema in wanted.items():
        name, _, part = key.partition("__")
        matches = re.findall(WORDS.get(name, r"(?!)"), text)
        if part == "raw":
            many = "array" in schema["type"]
            found[key] = (matches or None) if many else (matches[0] if matches else None)
        elif part == "value" and matches:
            found[key] = _value(matches[0], schema)
        elif part == "unit" and matches:
            found[key] = re.sub(r"^[\d. ]+", "", matches[0])
        elif part:
            found[key] = None
    return found


def _value(words: str, schema: Mapping[str, Any]) -> Any:
    if "enum" in schema:
        return words.lower() if words.lower() in schema["enum"] else None
    if "boolean" in schema["type"]:
        return True
    number = re.search(r"\d+(?:\.\d+)?", words)
    if number is None:
        return None
    return int(number[0]) if "integer" in schema["type"] else float(number[0])


def _proposal(text: str) -> dict[str, Any]:
    named = [kind for kind, word in KINDS.items() if word in text.lower()]
    cooling = any("Air" in kind for kind in named)
    classes = [
        {"name": kind, "parent": "AirConditioner" if "Air" in kind else "Product"} for kind in named
    ]
    if cooling:
        classes.insert(0, {"name": "AirConditioner", "parent": "Product"})
    properties = []
    for made in PROPOSED:
        match = re.search(WORDS[made["name"]], text)
        if match:
            rest = {"several": False, "about": f"the {made['name']}", "words": []}
            properties.append({**made, **rest, "example": match[0]})
    return {
        "classes": [
            {**c, "about": "a kind", "words": [KINDS.get(c["name"], "ac")]} for c in classes
        ],
        "properties": properties,
    }


def _edits(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    asked = next(m["content"] for m in body["messages"] if m["role"] == "user")
    names = re.findall(r"^- ([a-z_]+): ", asked, re.M)
    edits = [{"op": "merge", "name": "colour", "into": ["color"], "text": None, "reason": "same"}]
    return edits if {"color", "colour"} <= set(names) else []
