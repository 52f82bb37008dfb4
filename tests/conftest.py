"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# OpenMP threads that spin at barriers starve each other on a busy machine; see docs/log.md.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with the real sets; the test is skipped where there is none."""
    beside = Path(__file__).resolve().parents[1].parent / "shared" / "data"
    folder = Path(os.environ.get("MOONSHELF_DATA", beside))
    if not folder.is_dir():
        pytest.skip("no real data here: set MOONSHELF_DATA to a folder with hm/, myntra/, ...")
    return folder
