"""A simulated model: it knows what people marked in some texts, and errs at stated rates.

It is asked over the protocol (``tests/unit/graph/fake_llm.py`` serves it) and sees nothing but the
request, which names its text. Whether it errs is drawn from the seed, the text and the property, so
every arm meets the same errors, whatever it asks first.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field

from moonshelf.config import Config
from moonshelf.graph.evaluate.gold import GoldFact, GoldProperty, Labelled
from moonshelf.graph.llm.prompts import text_name
from tests.unit.graph.fake_llm import (
    ECHO,
    EXTRA,
    PROSE,
    TRUNCATED,
    Fault,
    changed,
    schema_of,
)

MIXED_UP = Fault("mixed up", text=changed(lambda found: {**found, "text": "text-00000000"}))
BROKEN_ANSWERS = (TRUNCATED, PROSE, ECHO, EXTRA, MIXED_UP)
_WORD = re.compile(r"\S+")
_SYLLABLES = ("ba", "den", "fi", "kor", "lum", "ne", "pra", "sol", "tu", "vex", "wo", "zin")


class Faults(Config):
    """How often the model errs. Of a slot, that is a property of a text, at most one happens."""

    invented: float = Field(default=0.0, ge=0, le=1)
    """Of all slots: a value that nobody wrote. Where the text states one, in its place."""
    foreign: float = Field(default=0.0, ge=0, le=1)
    """Of all slots: what another listing states."""
    shifted: float = Field(default=0.0, ge=0, le=1)
    """Of stated slots: the right value, with the words one further left or right as its proof."""
    broken: float = Field(default=0.0, ge=0, le=1)
    """Of all replies: no usable answer (cut off, prose, the schema, a key too many, of another
    text)."""


class SimulatedModel:
    """``brain`` and ``pick`` of a ``FakeLlm``.

    Args:
        texts: what it can be asked about, with all that is stated there.
        properties: that it can be asked for.
        kinds: class by document, None where the text names none.
        faults: how it errs.
        seed: of the errors.
    """

    def __init__(
        self,
        texts: Sequence[Labelled],
        properties: Mapping[str, GoldProperty],
        kinds: Mapping[str, str | None],
        faults: Faults,
        seed: int = 0,
    ) -> None:
        self._texts = {text_name(one.document): one for one in texts}
        self._properties, self._kinds = properties, kinds
        self._faults, self._seed = faults, seed

    def pick(self, body: Mapping[str, Any]) -> Fault | None:
        """Which fault spoils the whole reply, if any. A retry is another request, drawn anew."""
        if "count__value" in schema_of(body)["properties"]:
            return None  # the probe
        draw = random.Random(f"{self._seed} {json.dumps(body['messages'])}")
        return draw.choice(BROKEN_ANSWERS) if draw.random() < self._faults.broken else None

    def brain(self, body: Mapping[str, Any]) -> str:
        """The answer to one request."""
        wanted = schema_of(body)["properties"]
        if "count__value" in wanted:
            return json.dumps({"color__value": "white", "count__value": None})
        asked = body["messages"][1]["content"]
        name = re.findall(r'"(text-[0-9a-f]{8})"', asked)[-1]
        text = self._texts[name]
        found: dict[str, Any] = {"text": name}
        if "kind" in wanted:
            return json.dumps({**found, "kind": self._kinds[text.document.id]})
        for key, schema in wanted.items():
            owned, _, part = key.partition("__")
            if part:
                found[key] = _part(part, schema, self._said(text, owned))
        return json.dumps(found)

    def _said(self, text: Labelled, name: str) -> list[dict[str, Any]]:
        """What the model says of one slot: words, value and unit of every value."""
        right = [_told(text, fact) for fact in text.text.facts if fact.property == name]
        draw = random.Random(f"{self._seed} {text.document.id} {name}")
        chance = draw.random()
        for kind, rate in (
            ("invented", self._faults.invented),
            ("foreign", self._faults.foreign),
            ("shifted", self._faults.shifted if right else 0.0),
        ):
            if chance < rate:
                return self._wrong(kind, text, name, right, draw)
            chance -= rate
        return right

    def _wrong(
        self,
        kind: str,
        text: Labelled,
        name: str,
        right: list[dict[str, Any]],
        draw: random.Random,
    ) -> list[dict[str, Any]]:
        if kind == "invented":
            return [invented(name, self._properties[name], draw)]
        if kind == "foreign":
            others = [
                (one, fact)
                for one in self._texts.values()
                for fact in one.text.facts
                if fact.property == name and one is not text
            ]
            return [_told(*draw.choice(others))] if others else right
        whole = text.document.field(text.field)
        return [{**one, "raw": shifted(whole, one["start"], one["end"], draw)} for one in right]


def invented(name: str, owned: GoldProperty, draw: random.Random) -> dict[str, Any]:
    """A value of the right form that no text states, but by accident."""
    if owned.kind == "boolean":
        return {"raw": name.replace("_", " "), "value": True, "unit": None}
    if owned.kind in ("number", "integer"):
        number = draw.randint(11, 99)
        unit = owned.unit if owned.kind == "number" else None
        return {"raw": f"{number} {unit or ''}".strip(), "value": number, "unit": unit}
    value = draw.choice(owned.values) if owned.values else None
    word = "".join(draw.choices(_SYLLABLES, k=3)).capitalize()
    return {"raw": value or word, "value": value, "unit": None}


def shifted(text: str, start: int, end: int, draw: random.Random) -> str:
    """As many words, one further left or right; the same where the text has no others."""
    words = [match.span() for match in _WORD.finditer(text)]
    inside = [k for k, (a, b) in enumerate(words) if a < end and start < b]
    steps = [step for step in (-1, 1) if inside[0] + step >= 0 and inside[-1] + step < len(words)]
    if not steps:
        return text[start:end]
    step = draw.choice(steps)
    return text[words[inside[0] + step][0] : words[inside[-1] + step][1]]


def _told(text: Labelled, fact: GoldFact) -> dict[str, Any]:
    value = fact.value
    if not isinstance(value, bool | int | str):
        value = float(value)
    return {
        "raw": text.document.field(text.field)[fact.start : fact.end],
        "value": value,
        "unit": fact.unit,
        "start": fact.start,
        "end": fact.end,
    }


def _part(part: str, schema: Mapping[str, Any], said: Sequence[Mapping[str, Any]]) -> Any:
    if not said:
        return None
    if part == "raw" and "array" in schema["type"]:
        return [one["raw"] for one in said]
    return said[0][part]
