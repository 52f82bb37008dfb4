"""Fixtures shared by all tests."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import pytest

# OpenMP threads that spin at barriers starve each other on a busy machine; see docs/log.md.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where processes share the files (``make test``), those with slow tests go first: at the end
    only short ones are left to share."""
    if hasattr(config, "workerinput"):
        slow = {item.path for item in items if item.get_closest_marker("slow")}
        items.sort(key=lambda item: item.path not in slow)


def pytest_collection_finish() -> None:
    """What lives until the end (tests, libraries) is visited no more when garbage is collected;
    every full collection would take as long as a dozen tests."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with the real sets; the test is skipped where there is none."""
    beside = Path(__file__).resolve().parents[1].parent / "shared" / "data"
    folder = Path(os.environ.get("MOONSHELF_DATA", beside))
    if not folder.is_dir():
        pytest.skip("no real data here: set MOONSHELF_DATA to a folder with hm/, myntra/, ...")
    return folder
