"""One question, one checked answer: cache, request, check, one retry with the exact errors.

An answer is kept under the question that was asked first, whether the first or the second try gave
it, so asking again is free and says the same.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from moonshelf.chat.client import Client, Messages, request_body
from moonshelf.chat.fence import sendable
from moonshelf.chat.ledger import Ledger
from moonshelf.graph.llm.answers import errors_of
from moonshelf.graph.llm.cache import Cache, question_key
from moonshelf.graph.llm.dialect import Dialect, NoObject, read_object, response_format
from moonshelf.graph.llm.prompts import filled
from moonshelf.graph.llm.settings import LlmSettings

_LONGEST_SHOWN = 8000  # of a bad reply, when it is shown to the model again
Check = Callable[[Mapping[str, Any]], list[str]]


@dataclass(frozen=True)
class Question:
    """What is asked, and what an answer must look like.

    Attributes:
        text: the filled prompt.
        fence: token of the data in it, which the system prompt names.
        schema: JSON schema of the answer.
        check: what else must hold, as a list of errors; empty where all is well.
    """

    text: str
    fence: str
    schema: Mapping[str, Any]
    check: Check = field(default=lambda _: [])


class BadAnswer(Exception):
    """No usable answer: every complaint about the last reply, the reply, and what it said."""

    def __init__(self, errors: Sequence[str], reply: str, found: Mapping[str, Any] | None) -> None:
        self.errors, self.reply, self.found = tuple(errors), reply, found
        super().__init__("; ".join(errors))


class Asker:
    """Asks a model through one client in one dialect. Threads may share it."""

    def __init__(
        self, settings: LlmSettings, client: Client, cache: Cache, ledger: Ledger, dialect: Dialect
    ) -> None:
        self._settings, self._client = settings, client
        self._cache, self._ledger = cache, ledger
        self.dialect: Dialect = dialect

    def ask(self, question: Question, tries: int = 2) -> dict[str, Any]:
        """A checked answer.

        Args:
            question: what to ask.
            tries: 2 for one retry with the exact errors, 1 for none.

        Raises:
            BadAnswer: the last try was no answer, either.
            ServerError, RequestRefused, UsageError: as :meth:`Client.complete`.
        """
        messages = question_messages(question, self.dialect)
        form = response_format(self.dialect, question.schema)
        key = question_key({**request_body(self._settings, messages, form)})
        kept = self._cache.get(key)
        if kept is not None:
            found, errors = _read(kept, question)
            if found is not None and not errors:
                self._ledger.count(cached=1)
                return found
        return self._ask(question, messages, form, key, tries)

    def _ask(
        self,
        question: Question,
        messages: Messages,
        form: Mapping[str, Any] | None,
        key: str,
        tries: int,
    ) -> dict[str, Any]:
        told = messages
        for attempt in range(1, tries + 1):
            reply = self._client.complete(told, form)
            found, errors = _read(reply.text, question)
            if found is not None and not errors:
                self._cache.put(key, reply.text)
                self._ledger.count(corrected=int(attempt > 1))
                return found
            if reply.cut_off:
                errors = ["the reply was cut off at the token limit: be brief", *errors]
            if attempt == tries:
                self._ledger.count(unanswered=1)
                raise BadAnswer(errors, reply.text, found)
            told = _with_errors(messages, reply.text, errors)
        raise AssertionError("tries is at least 1")


def question_messages(question: Question, dialect: Dialect) -> Messages:
    """System and user message; where no server holds the model to it, the schema is in words."""
    text = question.text
    if dialect != "json_schema":
        shown = json.dumps(question.schema, ensure_ascii=False)
        text = f"{text}\n\n{filled('schema', schema=shown)}"
    return [
        {"role": "system", "content": filled("system", fence=question.fence)},
        {"role": "user", "content": text},
    ]


def _with_errors(messages: Messages, reply: str, errors: Sequence[str]) -> Messages:
    listed = "\n".join(f"- {error}" for error in errors)
    return [
        *messages,
        {"role": "assistant", "content": sendable(reply[:_LONGEST_SHOWN])},
        {"role": "user", "content": filled("retry", errors=listed)},
    ]


def _read(text: str, question: Question) -> tuple[dict[str, Any] | None, list[str]]:
    try:
        found = read_object(text, question.schema)
    except NoObject as error:
        return None, [str(error)]
    return found, errors_of(found, question.schema) or question.check(found)
