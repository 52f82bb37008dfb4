"""A catalogue looked at through a server on a real socket: what is kept when it fails."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from moonshelf.catalog.crops.grounding import NO_ANSWER, Grounding, GroundingSettings
from moonshelf.catalog.crops.keeping import later_file
from moonshelf.catalog.crops.looking import REFUSED, look_at_pictures
from moonshelf.catalog.crops.table import CropTable, table_file
from moonshelf.catalog.product import Product
from moonshelf.catalog.store import Catalog
from moonshelf.catalog.writer import CatalogWriter
from moonshelf.chat.client import ServerError
from moonshelf.errors import UsageError
from tests.unit.catalog.making import picture
from tests.unit.graph.fake_llm import BROKEN, HALF, REFUSES, FakeLlm, Fault

GOOD = '{"bbox_2d": [14, 28, 42, 84]}'
LOST = "http://127.0.0.1:9/v1"  # nobody listens there


def shop(path: Path, first: int, count: int) -> Catalog:
    with CatalogWriter(path, append=first > 0) as writer:
        for k in range(first, first + count):
            images = (picture(k, 56, 112),)
            writer.add_product(Product(id=f"p{k:02d}", title=f"mug {k}.", images=images))
        return writer.commit()


def asked(url: str, model: str = "m") -> Grounding:
    settings = GroundingSettings(model=model, base_url=url, timeout_s=5, attempts=1)
    return Grounding(settings, sleep=lambda _: None)


def number(body: Mapping[str, Any]) -> int:
    found = re.search(r"mug (\d+)\.", json.dumps(body))
    assert found
    return int(found[1])


def at(fault: Fault, *numbers: int) -> Callable[[Mapping[str, Any]], Fault | None]:
    return lambda body: fault if number(body) in numbers else None


def kept(catalog: Catalog) -> dict[str, int]:
    return CropTable.open(catalog.path, "grounding").counts()


def test_what_failed_comes_again_and_a_bad_server_is_not_asked_for_ever(tmp_path: Path) -> None:
    catalog = shop(tmp_path / "shop", 0, 6)
    with FakeLlm(lambda _: GOOD) as server:
        server.pick = at(BROKEN, 3)
        first = look_at_pictures(catalog, asked(server.url), threads=3)
        assert (first.looked, first.put_off) == (5, 1)
        server.pick = None
        second = look_at_pictures(catalog, asked(server.url), threads=3)
        assert (second.looked, second.put_off, len(second.table)) == (1, 0, 6)
        assert len(server.requests) == 7
        server.always = BROKEN
        with pytest.raises(ServerError, match="answered 500"):  # not picture after picture
            look_at_pictures(catalog, asked(server.url, "other"), replace=True, threads=1)
        assert len(server.requests) == 12
    assert kept(catalog) == {"box": 6}  # the old boxes stand


def test_silence_at_one_picture_puts_it_off_and_a_silent_server_ends_the_call(
    tmp_path: Path,
) -> None:
    catalog = shop(tmp_path / "shop", 0, 6)
    with pytest.raises(ServerError, match="cannot be reached"):
        look_at_pictures(catalog, asked(LOST), threads=1)
    assert not table_file(catalog.path, "grounding").is_file()
    with FakeLlm(lambda _: GOOD) as server:
        server.pick = at(HALF, 4)
        found = look_at_pictures(catalog, asked(server.url), threads=1)
        assert (found.looked, found.put_off) == (5, 1)
        assert number(server.requests[-1]) == 0  # it met the deaf server, so it came last
        server.pick = at(HALF, *range(20))
        with pytest.raises(ServerError):
            look_at_pictures(catalog, asked(server.url), threads=1)


def test_a_wrong_setting_stops_the_call_and_marks_no_picture(tmp_path: Path) -> None:
    catalog = shop(tmp_path / "shop", 0, 9)
    with FakeLlm(lambda _: GOOD) as server:
        server.always = REFUSES
        for threads in (1, 4):
            with pytest.raises(UsageError, match=r"refused the first 3.*400.*--set") as error:
                look_at_pictures(catalog, asked(server.url), threads=threads)
            assert error.value.where == server.url
        assert not table_file(catalog.path, "grounding").is_file()
        server.always = None
        # Two that are refused before anything was taken are marked once something is.
        catalog = shop(tmp_path / "other", 0, 9)
        server.pick = at(REFUSES, 0, 1, 5)
        look_at_pictures(catalog, asked(server.url), threads=1)
        assert kept(catalog) == {"box": 6, REFUSED: 3}
        # A mended server: everything once more, at the same version, too.
        server.pick = None
        found = look_at_pictures(catalog, asked(server.url), threads=1, replace=True)
        assert found.looked == 9 and kept(catalog) == {"box": 9}


def test_pictures_that_are_refused_for_themselves_do_not_stop_it_for_good(tmp_path: Path) -> None:
    catalog = shop(tmp_path / "shop", 0, 9)
    with FakeLlm(lambda _: GOOD) as server:
        server.pick = at(REFUSES, 0, 1, 2, 3)
        with pytest.raises(UsageError, match="refused the first 3"):
            look_at_pictures(catalog, asked(server.url), threads=1)
        look_at_pictures(catalog, asked(server.url), threads=1)
        assert kept(catalog) == {"box": 5, REFUSED: 4}
        assert json.loads(later_file(catalog.path, "grounding").read_text()) == []
        # Nothing else is left to ask about, and this model took the others: they are to blame.
        catalog = shop(tmp_path / "other", 0, 9)
        server.pick = at(BROKEN, 0, 1, 2)
        assert look_at_pictures(catalog, asked(server.url), threads=1).put_off == 3
        server.pick = at(REFUSES, 0, 1, 2)
        look_at_pictures(catalog, asked(server.url), threads=1)
        assert kept(catalog) == {"box": 6, REFUSED: 3}
        # New ones are not: the settings may have changed.
        catalog = shop(tmp_path / "other", 9, 4)
        server.pick = at(REFUSES, 9, 10, 11, 12)
        with pytest.raises(UsageError, match="refused the first 3"):
            look_at_pictures(catalog, asked(server.url), threads=1)
        assert kept(catalog) == {"box": 6, REFUSED: 3}


def test_pictures_that_fail_again_and_again_keep_no_others_waiting(tmp_path: Path) -> None:
    catalog = shop(tmp_path / "shop", 0, 8)
    with FakeLlm(lambda _: GOOD) as server:
        server.pick = at(BROKEN, 0, 1, 2, 3, 4)
        with pytest.raises(ServerError):
            look_at_pictures(catalog, asked(server.url), threads=1)
        with pytest.raises(ServerError):
            look_at_pictures(catalog, asked(server.url), threads=1)
        assert kept(catalog) == {"box": 3}
        catalog = shop(tmp_path / "shop", 8, 3)
        with pytest.raises(ServerError):
            look_at_pictures(catalog, asked(server.url), threads=1)
        assert kept(catalog) == {"box": 6}


def test_a_model_without_words_has_answered(tmp_path: Path) -> None:
    catalog = shop(tmp_path / "shop", 0, 12)
    with FakeLlm(lambda body: "" if number(body) < 6 else GOOD) as server:
        found = look_at_pictures(catalog, asked(server.url), threads=1)
        assert found.put_off == 0 and kept(catalog) == {"box": 6, NO_ANSWER: 6}
        assert look_at_pictures(catalog, asked(server.url), threads=1).looked == 0
