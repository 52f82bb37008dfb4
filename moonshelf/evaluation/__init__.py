"""Honest evaluation: suites as data, controls in every table, intervals on every figure."""

from __future__ import annotations

from moonshelf.evaluation.protocol import Embedder, EncoderEmbedder
from moonshelf.evaluation.results import Results, TaskResult
from moonshelf.evaluation.suite import Suite, load_suite
from moonshelf.evaluation.tasks import evaluate

__all__ = [
    "Embedder",
    "EncoderEmbedder",
    "Results",
    "Suite",
    "TaskResult",
    "evaluate",
    "load_suite",
]
