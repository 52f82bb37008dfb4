"""One request to a model's server: bounded in time, in bytes and in tries; the key stays secret.

The ``openai`` SDK builds and sends the request. Its own retries are off: waiting is done here,
where it is bounded and counted. Bodies are read here too, so that neither a reply nor an error page
can be larger than the limit, and a server that drips their bytes meets a deadline. Headers are read
by the HTTP library, which bounds their size and each silence between them, not their time.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from moonshelf.chat.ledger import Ledger
from moonshelf.chat.replies import BadReply, Completion, NoText, completion, error_message, shown
from moonshelf.chat.settings import OPENAI, ServerSettings
from moonshelf.errors import MoonshelfError, UsageError

if TYPE_CHECKING:
    import openai

Messages = Sequence[Mapping[str, Any]]
_MOST_ERROR_BYTES = 64_000
_FIRST_WAIT_S = 0.5
# 4xx that another try may mend: time-out, conflict, too early, too many requests.
_TRANSIENT = frozenset({408, 409, 425, 429})
_DEADLINE = "moonshelf_deadline"  # of a request, where its reply finds it
_NO_KEY = "none"  # the SDK wants a text; servers without keys ignore it


class ServerError(MoonshelfError):
    """No usable reply in all attempts. ``answered``: the server said something, at least."""

    def __init__(self, what: str, *, where: str, cure: str, answered: bool) -> None:
        super().__init__(what, where=where, cure=cure)
        self.answered = answered


class NoAnswer(ServerError):
    """The model was well, and said nothing in all attempts or that it will not answer."""


class RequestRefused(MoonshelfError):
    """The server does not take this request (400, 413, 422): other content or form may do."""


class _Status(Exception):
    """A reply that is not 2xx."""

    def __init__(self, code: int, headers: Mapping[str, str], body: bytes) -> None:
        self.code, self.headers, self.body = code, headers, body
        super().__init__(f"HTTP {code}")


class Client:
    """Sends messages, gives completions, counts in a ledger. Threads may share it."""

    def __init__(
        self,
        settings: ServerSettings,
        ledger: Ledger,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._settings, self._ledger, self._sleep = settings, ledger, sleep
        self._key = _key(settings.key_variable)
        self._sdk = _sdk(settings, self._key or _NO_KEY)

    def close(self) -> None:
        self._sdk.close()

    def complete(
        self, messages: Messages, response_format: Mapping[str, Any] | None = None
    ) -> Completion:
        """The model's reply to ``messages``.

        Raises:
            RequestRefused: the server takes no such request.
            ServerError: no usable reply in all attempts; NoAnswer where the last one had no text.
            UsageError: wrong key, model or address; no document is to blame.
        """
        problem, answered, kind = "", False, ServerError
        for attempt in range(self._settings.attempts):
            if attempt:
                self._ledger.count(retries=1)
            try:
                return self._send(messages, response_format)
            except _Status as status:
                problem, answered, kind = self._problem(status), True, ServerError
                wait = self._wait(status.headers, attempt)
            except (BadReply, _Silent) as error:
                problem, answered = shown(str(error), self._key), isinstance(error, BadReply)
                kind = NoAnswer if isinstance(error, NoText) else ServerError
                wait = self._wait({}, attempt)
            if attempt + 1 < self._settings.attempts:
                self._sleep(wait)
        raise kind(
            problem,
            where=self._settings.base_url,
            cure=f"look at the server; {self._settings.attempts} attempts were made",
            answered=answered,
        )

    def _send(self, messages: Messages, response_format: Mapping[str, Any] | None) -> Completion:
        settings = self._settings
        body = request_body(settings, messages, response_format)
        start = time.monotonic()
        deadline = start + settings.timeout_s
        try:
            with (
                _silence_is_an_error(),
                self._sdk.chat.completions.with_streaming_response.create(**body) as response,
            ):
                data = _read(response.iter_bytes(), settings.most_reply_bytes, deadline)
                kind = response.headers.get("content-type", "")
        finally:
            self._ledger.count(calls=1, seconds=time.monotonic() - start)
        found = completion(data, kind, self._key)
        self._ledger.count_tokens(found.prompt_tokens, found.reply_tokens)
        return found

    def _problem(self, status: _Status) -> str:
        """What the status says; raises where no further attempt can help."""
        said = error_message(status.body, self._key)
        text = f"the server answered {status.code}" + (f": {said}" if said else "")
        where = self._settings.base_url
        if status.code in (401, 403):
            name = self._settings.key_variable or "api_key_env"
            raise UsageError(text, where=where, cure=f"put a valid key into {name}")
        if status.code == 404:
            raise UsageError(
                text, where=where, cure=f"check base_url and model {self._settings.model!r}"
            )
        if 300 <= status.code < 400:
            place = shown(status.headers.get("location", ""), self._key) or "another address"
            raise UsageError(text, where=where, cure=f"set base_url to what {place} serves")
        if 400 <= status.code < 500 and status.code not in _TRANSIENT:
            raise RequestRefused(text, where=where, cure="see what the server says")
        return text

    def _wait(self, headers: Mapping[str, str], attempt: int) -> float:
        """Seconds until the next attempt: what the server asks for, else 0.5, 1, 2, ..."""
        longest = self._settings.longest_wait_s
        asked = retry_after(headers.get("retry-after", ""))
        if asked is None:
            return min(longest, _FIRST_WAIT_S * 2**attempt)
        if asked > longest:
            raise ServerError(
                f"the server asks to wait for {asked:.0f} s, the limit is {longest:.0f} s",
                where=self._settings.base_url,
                cure="run again later, or raise longest_wait_s",
                answered=True,
            )
        return asked


def _key(variable: str | None) -> str:
    """The key in an environment variable; empty where there is none.

    Raises:
        UsageError: it holds what no header can; only the variable is named.
    """
    key = os.environ.get(variable, "").strip() if variable else ""
    if not all("!" <= c <= "~" for c in key):
        raise UsageError(
            "a key is one word of ASCII letters, digits and signs",
            where=f"environment variable {variable}",
            cure="put the key into it, and nothing else",
        )
    return key


def request_body(
    settings: ServerSettings, messages: Messages, response_format: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Arguments of ``chat.completions.create``; what is not set is not sent."""
    body: dict[str, Any] = {"model": settings.model, "messages": list(messages)}
    if settings.temperature is not None:
        body["temperature"] = settings.temperature
    if settings.seed is not None:
        body["seed"] = settings.seed
    if settings.most_reply_tokens is not None:
        body[settings.token_limit] = settings.most_reply_tokens
    if response_format is not None:
        body["response_format"] = dict(response_format)
    if settings.extra_body:
        body["extra_body"] = dict(settings.extra_body)
    return body


def retry_after(header: str, now: float | None = None) -> float | None:
    """Seconds that a Retry-After header asks for (a number or a date); None where it says none."""
    text = header.strip()
    try:
        seconds = float(text)
    except ValueError:
        try:
            date = parsedate_to_datetime(text).timestamp()
        except (ValueError, TypeError, OverflowError):
            return None
        seconds = date - (time.time() if now is None else now)
    return max(0.0, seconds) if seconds == seconds else None


class _Silent(Exception):
    """No reply, or not all of it, in time."""


@contextlib.contextmanager
def _silence_is_an_error():  # noqa: ANN202 - a context manager
    import openai

    try:
        yield
    except openai.APITimeoutError:
        raise _Silent("the server did not answer in time") from None
    except openai.APIConnectionError as error:
        cause = error.__cause__ or error
        raise _Silent(f"the server cannot be reached: {cause}") from None
    except (_Status, BadReply, _Silent):
        raise
    except openai.OpenAIError as error:
        raise _Silent(f"the request failed: {error}") from None
    except Exception as error:
        # The body breaks off: the error is one of the HTTP library under the SDK.
        if not type(error).__module__.startswith(("httpx", "httpcore", "h11")):
            raise
        raise _Silent(f"the reply broke off: {type(error).__name__} {error}") from None


def _read(chunks: Iterable[bytes], most: int, deadline: float) -> bytes:
    found = bytearray()
    for chunk in chunks:
        found += chunk
        if len(found) > most:
            raise BadReply(f"the reply is larger than {most:,} bytes")
        if time.monotonic() > deadline:
            raise _Silent("the reply did not end in time")
    return bytes(found)


def _sdk(settings: ServerSettings, key: str) -> openai.OpenAI:
    try:
        import openai
    except ImportError:
        raise UsageError(
            "asking a model needs the openai package", cure="pip install 'moonshelf[llm]'"
        ) from None

    def prepare(request: Any) -> None:
        request.extensions[_DEADLINE] = time.monotonic() + settings.timeout_s
        if settings.base_url != OPENAI:
            # What the SDK takes from OPENAI_ORG_ID, OPENAI_PROJECT_ID and OPENAI_CUSTOM_HEADERS
            # is meant for OpenAI.
            own = {
                # By this one the SDK knows that the reply is a stream.
                "x-stainless-raw-response": "stream",
                "host": request.url.netloc.decode("ascii"),
                "content-length": str(len(request.read())),
                "content-type": "application/json",
                "authorization": f"Bearer {key}",
            }
            request.headers = type(request.headers)({**http.headers, **own})

    def refuse_errors(response: Any) -> None:
        if 200 <= response.status_code < 300:
            return
        deadline = response.request.extensions[_DEADLINE]
        body = bytearray()
        with contextlib.suppress(Exception):
            for chunk in response.iter_bytes():
                body += chunk
                if len(body) > _MOST_ERROR_BYTES or time.monotonic() > deadline:
                    break
        raise _Status(response.status_code, dict(response.headers), bytes(body))

    # Redirects are not followed: they would carry product texts to a server nobody named.
    http = openai.DefaultHttpxClient(
        timeout=settings.timeout_s,
        follow_redirects=False,
        event_hooks={"request": [prepare], "response": [refuse_errors]},
    )
    return openai.OpenAI(
        api_key=key,
        base_url=settings.base_url,
        timeout=settings.timeout_s,
        max_retries=0,
        http_client=http,
    )
