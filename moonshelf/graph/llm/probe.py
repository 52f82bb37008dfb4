"""Finds out, by asking, in which dialect a server answers. Flags and manuals cannot be trusted.

The probe is a small task whose answer is known. What is found out is whether an answer can be used;
every later one is checked all the same.
"""

from __future__ import annotations

import json
from typing import Any

from moonshelf.chat.client import Client, RequestRefused, ServerError
from moonshelf.chat.fence import fence, fenced
from moonshelf.chat.ledger import Ledger
from moonshelf.config import Config
from moonshelf.errors import UsageError
from moonshelf.graph.llm.asking import Asker, BadAnswer, Question
from moonshelf.graph.llm.cache import Cache, question_key
from moonshelf.graph.llm.dialect import DIALECTS, Dialect
from moonshelf.graph.llm.prompts import filled
from moonshelf.graph.llm.settings import LlmSettings
from moonshelf.graph.schema.card import flat_object

_TEXT = "Enamel mug, white with a blue rim; sold singly or by the dozen"
_COLORS = ("blue", "green", "white")


class Probed(Config):
    """The dialect that won, and why the stricter ones did not."""

    dialect: Dialect
    failed: tuple[tuple[str, str], ...] = ()
    remembered: bool = False
    """The server could not be reached: this is what an earlier probe found."""


def probe(settings: LlmSettings, client: Client, cache: Cache, ledger: Ledger) -> Probed:
    """The strictest dialect in which the server gives a usable answer.

    What an earlier probe found (it is in the cache) is tried first, so that one bad moment of a
    server does not change the dialect, and with it every key of the cache. Without a server, the
    earlier finding holds: a build whose answers are all in the cache needs none.

    Raises:
        UsageError: no dialect works, or the server cannot be reached and never was.
    """
    key = question_key({"probe": settings.base_url, "model": settings.model})
    before = _remembered(cache.get(key))
    first: Dialect = before.dialect if before is not None else DIALECTS[0]
    ordered: list[Dialect] = [first, *(d for d in DIALECTS if d != first)]
    failed: list[tuple[str, str]] = []
    for dialect in ordered:
        try:
            Asker(settings, client, Cache(None), ledger, dialect).ask(_question(), tries=1)
        except (BadAnswer, RequestRefused) as error:
            failed.append((dialect, str(error)[:300]))
            continue
        except ServerError as error:
            # Some servers break on a dialect that they do not know; a silent one is not asked on.
            if error.answered:
                failed.append((dialect, error.what[:300]))
                continue
            if before is not None and not failed:
                return before.model_copy(update={"remembered": True})
            raise UsageError(
                f"the model server gives no answer: {error.what}",
                where=settings.base_url,
                cure="start it, or check base_url",
            ) from error
        earlier = before.failed if before is not None and dialect == before.dialect else ()
        found = Probed(dialect=dialect, failed=earlier or tuple(failed))
        cache.put(key, found.model_dump_json())
        return found
    reasons = "; ".join(f"{dialect}: {reason}" for dialect, reason in failed)
    raise UsageError(
        f"the model cannot answer in JSON ({reasons})",
        where=f"{settings.base_url} {settings.model}",
        cure="try a larger or another model",
    )


def _question() -> Question:
    token = fence([_TEXT])
    schema = flat_object(
        {
            "color__value": {"type": ["string", "null"], "enum": [*_COLORS, None]},
            "count__value": {"type": ["integer", "null"]},
        }
    )
    data = fenced({"1": _TEXT}, token)
    text = filled("probe", data=data, color="color__value", count="count__value")
    return Question(text=text, fence=token, schema=schema, check=_sensible)


def _sensible(found: Any) -> list[str]:
    """A model that cannot tell white from green is of no use, whatever its JSON is like."""
    right = found["color__value"] in ("white", "blue")
    return [] if right else [f"the color is white, not {found['color__value']!r}"]


def _remembered(text: str | None) -> Probed | None:
    try:
        return None if text is None else Probed.model_validate(json.loads(text))
    except ValueError:
        return None
