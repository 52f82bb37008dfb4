"""The cost ledger: what was asked, what it took, what it costs at the user's own prices."""

from __future__ import annotations

import threading
from decimal import Decimal

from moonshelf.chat.settings import Prices

_MILLION = Decimal(1_000_000)


class Ledger:
    """Counts of one backend. Threads may share it.

    ``calls`` are requests sent (retries among them), ``cached`` answers that needed none,
    ``unmetered`` replies whose server named no tokens: where there are any, tokens and cost are
    lower bounds. ``corrected`` answers needed a second try, ``unanswered`` questions got none.
    """

    NAMES = (
        *("calls", "cached", "retries", "seconds", "prompt_tokens", "reply_tokens", "unmetered"),
        *("corrected", "unanswered"),
    )

    def __init__(self, prices: Prices | None = None) -> None:
        self._prices = prices
        self._lock = threading.Lock()
        self._counts: dict[str, float] = dict.fromkeys(self.NAMES, 0)

    def count(self, **more: float) -> None:
        with self._lock:
            for name, amount in more.items():
                self._counts[name] += amount

    def count_tokens(self, prompt: int | None, reply: int | None) -> None:
        """Tokens of one reply; None where the server does not say."""
        if prompt is None or reply is None:
            self.count(unmetered=1)
        self.count(prompt_tokens=prompt or 0, reply_tokens=reply or 0)

    def totals(self) -> dict[str, float]:
        """All counts; ``cost`` where prices are known."""
        with self._lock:
            found = dict(self._counts)
        if self._prices is not None:
            prompt, reply = int(found["prompt_tokens"]), int(found["reply_tokens"])
            cost = (prompt * self._prices.prompt + reply * self._prices.reply) / _MILLION
            found["cost"] = float(cost)
        return found
