"""What was found is not lost: while a table is replaced, and behind a picture that fails."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from moonshelf.catalog.crops.box import Box, Looked
from moonshelf.catalog.crops.keeping import later_file
from moonshelf.catalog.crops.looking import look_at_pictures
from moonshelf.catalog.crops.table import CropTable
from moonshelf.catalog.store import Catalog
from moonshelf.errors import CatalogError
from tests.unit.catalog.test_crop_table import Scripted, shop


class Breaking(Scripted):
    """Gives up after ``most`` pictures."""

    def __init__(self, version: str, most: int) -> None:
        super().__init__(version)
        self.most = most

    def detect(self, picture: np.ndarray, title: str = "") -> Looked:
        if len(self.seen) == self.most:
            raise RuntimeError("gone")
        return super().detect(picture, title)


def standing(catalog: Catalog) -> tuple[str, int]:
    table = CropTable.open(catalog.path, "foreground")
    return table.version, len(table)


def test_a_table_stands_until_its_successor_is_whole(tmp_path: Path) -> None:
    catalog = shop(tmp_path / "shop", *"abcde")
    look_at_pictures(catalog, Scripted("1"))
    for most in (0, 2, 1):  # broken off at once, then with 2 of 6, then with 3
        with pytest.raises(RuntimeError):
            look_at_pictures(catalog, Breaking("2", most), replace=True, threads=1)
        assert standing(catalog) == ("1", 6)
    with pytest.raises(CatalogError, match="--replace"):
        look_at_pictures(catalog, Scripted("2"))
    rest = Scripted("2")
    found = look_at_pictures(catalog, rest, replace=True)
    assert found.looked == len(rest.seen) == 3 and len(found.table) == 6
    assert standing(catalog) == ("2", 6)
    assert not list((catalog.path / "crops").glob("*.new.arrow"))
    # At the same version, too, and a third one takes nothing over from the second.
    assert look_at_pictures(catalog, Scripted("2"), replace=True).looked == 6
    with pytest.raises(RuntimeError):
        look_at_pictures(catalog, Breaking("3", 2), replace=True, threads=1)
    assert look_at_pictures(catalog, Scripted("4"), replace=True).looked == 6
    assert standing(catalog) == ("4", 6)


def test_nothing_found_anew_replaces_nothing(tmp_path: Path) -> None:
    catalog = shop(tmp_path / "shop", "a", "b")
    look_at_pictures(catalog, Scripted("1"))
    busy = Scripted("2", fails=("a", "b", "words"))
    found = look_at_pictures(catalog, busy, replace=True)
    assert (found.looked, found.put_off, len(found.table)) == (0, 3, 3)
    assert standing(catalog) == ("1", 3)


def test_an_empty_table_of_another_version_is_no_obstacle(tmp_path: Path) -> None:
    catalog = shop(tmp_path / "shop", "a")
    CropTable.of("foreground", "1", {}).write(catalog.path)
    assert look_at_pictures(catalog, Scripted("2")).looked == 2
    assert standing(catalog) == ("2", 2)


def test_answers_behind_a_failing_one_are_kept(tmp_path: Path) -> None:
    catalog = shop(tmp_path / "shop", *"abcd")
    others = threading.Event()

    class FirstFails(Scripted):
        def detect(self, picture: np.ndarray, title: str = "") -> Looked:
            if title == "a":
                assert others.wait(20)
                raise RuntimeError("gone")
            if title == "d":
                others.set()
            return Box(0.25, 0.25, 0.75, 0.75)

    with pytest.raises(RuntimeError):
        look_at_pictures(catalog, FirstFails("1"), threads=2)
    table = CropTable.open(catalog.path, "foreground")
    seen = [table.get(catalog.picture_digest(2 * k)) is not None for k in range(4)]
    assert seen == [False, True, True, True]


@pytest.mark.parametrize("note", [b"", b"{", b"[1]", b'["zz"]', b"\xff", b"3", b"[" * 100_000])
def test_a_damaged_note_of_what_was_put_off_costs_its_order_alone(
    tmp_path: Path, note: bytes
) -> None:
    catalog = shop(tmp_path / "shop", "a", "b")
    look_at_pictures(catalog, Scripted(fails=("a",)))
    later_file(catalog.path, "foreground").write_bytes(note)
    assert look_at_pictures(catalog, Scripted()).looked == 1
