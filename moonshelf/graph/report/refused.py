"""What a refused candidate would have been."""

from __future__ import annotations

from pydantic import ValidationError

from moonshelf.graph.records import Fact, Refusal


def candidate(refusal: Refusal) -> Fact | None:
    """The fact in a refusal; None where it never had the form of one."""
    try:
        return Fact.model_validate_json(refusal.candidate)
    except ValidationError:
        return None
