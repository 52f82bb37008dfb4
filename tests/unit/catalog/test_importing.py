"""Every bad record is named with its place and cure; good ones go on where the user asks for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from moonshelf.catalog.images import Limits
from moonshelf.catalog.importing import import_records
from moonshelf.catalog.problem import Located, Problem
from moonshelf.catalog.product import Event, Query
from moonshelf.catalog.store import Catalog
from moonshelf.errors import DataError, ImageError
from moonshelf.files import DiskFullError
from tests.unit.catalog.making import picture, product

BROKEN = picture(0, 60, 60)[:-400]
BAD: dict[str, tuple[Any, str]] = {
    "duplicate id": (product(0, title="again"), "'p0' is there already"),
    "empty id": (product(5, id="  "), "id is empty"),
    "control characters": (product(5, id="a\nb"), "unprintable"),
    "long id": (product(5, id="x" * 513), "513 characters"),
    "nothing to see": (product(5, title=" ", images=()), "title is empty and there is no picture"),
    "wrong type": (product(5, title=17), "title is int, expected text"),
    "surrogate": (product(5, title="a\ud800b"), "not valid Unicode .at character 1"),
    "long title": (product(5, title="x" * 1_000_001), "1,000,001 characters"),
    "text as category": (product(5, category="shoes"), "category is str, expected a tuple"),
    "text as attribute": (product(5, attributes={"color": "red"}), "'color' is str, expected"),
    "attributes": (product(5, attributes=["red"]), "attributes are list"),
    "nan price": (product(5, price=float("nan")), "price is nan"),
    "negative price": (product(5, price=-1.0), "price is -1.0"),
    "text price": (product(5, price="9.99"), "price is str"),
    "bool price": (product(5, price=True), "price is bool"),
    "time": (product(5, time=1.5), "time is float"),
    "far time": (product(5, time=2**70), "64 bits"),
    "split": (product(5, split="dev"), "unknown split 'dev'"),
    "picture type": (product(5, images=("cat.jpg",)), "a picture is str"),
    "broken picture": (product(5, images=(BROKEN,)), "truncated or damaged"),
    "second picture": (product(5, images=(picture(5), b"no")), "picture 2: not a picture"),
    "no record": ({"id": "x"}, "dict is no record"),
    "empty query": (Query("q"), "text is empty and there is no picture"),
    "duplicate query": (Query("q0", text="x"), "query id 'q0' is there already"),
    "unknown positive": (Query("q", text="x", positives=("nobody",)), "positive 'nobody' is not"),
    "grades": (Query("q", text="x", positives=("p0",), grades=(1.0, 2.0)), "2 grades for 1"),
    "unknown item": (Event(1, "u", "nobody", "click"), "item 'nobody' is not in"),
    "unknown query": (Event(1, "u", "p0", "click", query="nix"), "query 'nix' is not in"),
    "unknown kind": (Event(1, "u", "p0", "look"), "unknown kind of event 'look'"),
    "no user": (Event(1, "", "p0", "click"), "user is empty"),
}
GOOD = [product(0), product(1), Query("q0", text="x", positives=("p1",))]
AFTER = [product(2), Event(1, "u", "p2", "click", query="q0")]


@pytest.mark.parametrize("case", BAD)
def test_a_bad_record_stops_with_its_place_and_leaves_nothing(tmp_path: Path, case: str) -> None:
    record, says = BAD[case]
    with pytest.raises(DataError, match=says) as caught:
        import_records([*GOOD, Located("items.csv row 7", record), *AFTER], tmp_path / "shop")
    assert caught.value.where.startswith("items.csv row 7")
    assert "--on-error skip" in caught.value.cure
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("case", BAD)
def test_a_bad_record_is_skipped_counted_and_listed(tmp_path: Path, case: str) -> None:
    record, _ = BAD[case]
    report = import_records(
        [*GOOD, Located("items.csv row 7", record), *AFTER], tmp_path / "shop", on_error="skip"
    )
    assert (report.products, report.queries, report.events) == (3, 1, 1)
    assert report.skipped == 1 == len(report.problems)
    assert report.skipped_path is not None
    (line,) = [json.loads(line) for line in report.skipped_path.read_text().splitlines()]
    assert line["where"].startswith("items.csv row 7")
    assert line["what"] == report.problems[0].error.what and line["cure"]
    catalog = Catalog.open(tmp_path / "shop")
    assert list(catalog) == [product(0), product(1), product(2)]
    assert catalog.queries() == GOOD[2:] and catalog.events().num_rows == 1
    catalog.verify()


def test_problems_of_a_reader_count_like_bad_records(tmp_path: Path) -> None:
    problem = Problem("a.csv row 3", ImageError("no such picture", cure="add it"))
    with pytest.raises(ImageError, match=r"a.csv row 3: no such picture"):
        import_records([problem, *GOOD], tmp_path / "shop")
    report = import_records([problem, *GOOD], tmp_path / "shop", on_error="skip")
    assert report.skipped == 1 and report.problems == (problem,)


def test_places_are_counted_where_a_reader_names_none(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        import_records([*GOOD, product(0)], tmp_path / "shop")
    assert caught.value.where == "record 4 (product 'p0')"


def test_order_does_not_matter_for_references(tmp_path: Path) -> None:
    report = import_records([*AFTER[::-1], *GOOD[::-1]], tmp_path / "shop")
    assert (report.products, report.queries, report.events, report.skipped) == (3, 1, 1, 0)


def test_nothing_good_is_an_error_that_shows_the_first(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="none of 2 records is good; the first: title is int"):
        import_records(
            [product(1, title=1), product(2, title=2)], tmp_path / "shop", on_error="skip"
        )
    with pytest.raises(DataError, match="no good product"):
        import_records([], tmp_path / "shop")
    assert list(tmp_path.iterdir()) == []


def test_skipped_rows_of_an_append_keep_the_old_list(tmp_path: Path) -> None:
    path = tmp_path / "shop"
    first = import_records([*GOOD, product(0)], path, on_error="skip")
    second = import_records([product(7), product(1)], path, on_error="skip", append=True)
    assert first.skipped_path and second.skipped_path
    assert "p0" in first.skipped_path.read_text() and "p1" in second.skipped_path.read_text()
    assert second.products == 1 and len(Catalog.open(path)) == 3


def test_picture_limits_are_the_callers(tmp_path: Path) -> None:
    small = Limits(max_side=10)
    with pytest.raises(ImageError, match="12 x 16 pixels"):
        import_records([product(1)], tmp_path / "shop", limits=small)


def test_progress_counts_every_record(tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []

    def progress(done: int, total: int | None = None, **_: object) -> None:
        seen.append((done, total))

    import_records([*GOOD, *AFTER], tmp_path / "shop", total=9, progress=progress)
    assert [done for done, _ in seen] == [1, 2, 3, 4, 5, 5] and seen[0][1] == 9


# ---- splits

LEAKS = {
    "group": (product(1, group="g"), product(2, group="g", split="test"), "group 'g'"),
    "picture": (product(1), product(2, images=product(1).images, split="val"), "one picture"),
    "second picture": (
        product(1),
        product(2, images=(picture(2), picture(1)), split="test"),
        "one picture",
    ),
    "query": (product(1), Query("q", images=product(1).images, split="test"), "query 'q' .test"),
}


@pytest.mark.parametrize("case", LEAKS)
@pytest.mark.parametrize("append", [False, True])
def test_leaks_stop_or_are_fixed(tmp_path: Path, case: str, append: bool) -> None:
    one, two, says = LEAKS[case]
    path, third = tmp_path / "shop", product(3, split="test")
    records = [one, third, two]
    if append:
        import_records([one, third], path)
        records = [two, product(4)]
    with pytest.raises(DataError, match=says) as caught:
        import_records(records, path, append=append)
    assert "'p1' (train)" in caught.value.what and "--on-split-leak fix" in caught.value.cure
    report = import_records(records, path, append=append, on_split_leak="fix")
    assert report.moved == 1
    catalog = Catalog.open(path)
    assert catalog.get("p1").split == "train" and catalog.get("p3").split == "test"
    assert {r.split for r in [*catalog, *catalog.queries()] if r.id in ("p2", "q")} == {"train"}


def test_old_products_leave_the_test_split_rather_than_leak(tmp_path: Path) -> None:
    path = tmp_path / "shop"
    import_records([product(1, group="g", split="test"), product(2)], path)
    import_records([product(3, group="g")], path, append=True, on_split_leak="fix")
    assert [p.split for p in Catalog.open(path)] == ["train"] * 3


def test_an_old_query_is_not_trained_on(tmp_path: Path) -> None:
    path = tmp_path / "shop"
    queries = [Query(f"q{k}", images=(picture(60 + k),), split="test") for k in range(3)]
    import_records([product(1), product(2), *queries], path)
    with pytest.raises(DataError, match=r"query 'q1' .test"):
        import_records([product(3, images=(picture(61),))], path, append=True)


def test_photos_of_one_product_may_stand_in_all_splits(tmp_path: Path) -> None:
    photos = [
        Query(f"q{k}", images=(picture(50 + k),), positives=("p1",), split=split)
        for k, split in enumerate(("train", "val", "test"))
    ]
    assert import_records([product(1), *photos], tmp_path / "shop").queries == 3


def test_drawn_splits_keep_groups_and_pictures_whole(tmp_path: Path) -> None:
    path = tmp_path / "shop"
    products = [
        product(k, group=f"g{k // 3}", images=(picture(k if k % 7 else k // 2),)) for k in range(90)
    ]
    import_records(products, path, splits="draw", seed=1)
    catalog = Catalog.open(path)
    counts = [len(catalog.split_rows(split)) for split in ("train", "val", "test")]
    assert counts[0] >= 72 and 1 <= counts[1] <= 9 and 1 <= counts[2] <= 9
    for name in (lambda p: p.group, lambda p: p.images[0]):
        splits: dict[Any, set[str]] = {}
        for each in catalog:
            splits.setdefault(name(each), set()).add(each.split)
        assert all(len(found) == 1 for found in splits.values())
    before = {p.id: p.split for p in catalog}
    import_records(
        [product(k, group=f"g{k - 100}") for k in range(100, 130)], path, splits="draw", append=True
    )
    after = {p.id: (p.split, p.group) for p in Catalog.open(path)}
    assert all(after[name][0] == split for name, split in before.items())
    by_group = {group: split for name, (split, group) in after.items() if name in before}
    assert all(by_group.get(group, split) == split for split, group in after.values())


# ---- a full disk


@pytest.mark.parametrize("suffix", [".jsonl", ".blob"])
def test_a_full_disk_is_never_a_skipped_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    real = Path.open

    def opened(path: Path, *args: Any, **kwargs: Any) -> Any:
        full = path.suffix == suffix
        return real(Path("/dev/full"), "wb", 0) if full else real(path, *args, **kwargs)

    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    monkeypatch.setattr(Path, "open", opened)
    with pytest.raises(DiskFullError):
        import_records([*GOOD, product(0)], tmp_path / "shop", on_error="skip")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.real_data
def test_the_myntra_set_imports_whole(shared_data: Path, tmp_path: Path) -> None:
    from moonshelf.catalog.readers import reader_for

    reader = reader_for(shared_data / "myntra")
    report = import_records(reader.read(shared_data / "myntra", {}), tmp_path / "shop")
    assert (report.products, report.skipped, report.moved) == (44_072, 0, 0)
    assert 43_000 < report.pictures < 44_072  # its README names identical pictures
    Catalog.open(tmp_path / "shop").verify()
