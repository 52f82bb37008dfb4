"""Backends by name."""

from __future__ import annotations

import pytest

from moonshelf.errors import UsageError
from moonshelf.graph.backends import make_backend


def test_the_llm_backend_takes_a_table() -> None:
    found = make_backend("llm", {"model": "m", "base_url": "http://127.0.0.1:9/v1"})
    assert found.name == "llm"


def test_the_builtin_backend_takes_a_table() -> None:
    assert make_backend("builtin").name == "builtin"
    assert make_backend("builtin", {"studied": 5}).fingerprint


@pytest.mark.parametrize(
    ("name", "settings", "complaint"),
    [
        ("lmm", {}, "did you mean 'llm'"),
        ("builtin", {"studeid": 5}, "did you mean 'studied'"),
        ("llm", {}, "key 'model' is missing"),
        ("llm", {"model": "m", "timeuot_s": 3}, "did you mean 'timeout_s'"),
        ("llm", {"model": "m", "timeout_s": -3}, "timeout_s"),
        ("llm", {"model": "m", "prices": {"prompt": -1, "reply": 1}}, "prices.prompt"),
    ],
)
def test_mistakes_name_the_key(name, settings, complaint) -> None:
    with pytest.raises(UsageError, match=complaint):
        make_backend(name, settings)
