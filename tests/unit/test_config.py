"""Settings: TOML in, TOML out, overrides, and mistakes that name their cure."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from moonshelf.config import Config, differences, load_config, read_toml, to_toml, with_overrides
from moonshelf.errors import UsageError


class Inner(Config):
    width: int = 3
    names: tuple[str, ...] = ()
    note: str | None = None


class Outer(Config):
    rate: float = 0.5
    text: str = ""
    inner: Inner = Inner()
    table: dict[str, Inner] = Field(default_factory=dict)
    many: tuple[Inner, ...] = ()


def test_overrides_reach_any_depth_and_keep_the_original():
    data = {"inner": {"width": 1}, "many": [{"width": 1}, {"width": 2}]}
    changed = with_overrides(
        data,
        ["rate=0.25", "inner.names=['a', 'b']", "table.x.width=7", "many.1.width=9", "text=plain"],
    )
    outer = load_config(Outer, changed)
    assert (outer.rate, outer.inner.width, outer.inner.names) == (0.25, 1, ("a", "b"))
    assert outer.table["x"].width == 7 and outer.many[1].width == 9 and outer.text == "plain"
    assert data == {"inner": {"width": 1}, "many": [{"width": 1}, {"width": 2}]}
    assert load_config(Outer, with_overrides(changed, ["rate="])).rate == 0.5


@pytest.mark.parametrize(
    "word, message",
    [
        ("rate", "not key=value"),
        ("=3", "not key=value"),
        ("a..b=3", "not key=value"),
        ("rate.x=3", "single value"),
        ("many.5.width=3", "no place in it"),
    ],
)
def test_bad_overrides_are_told(word, message):
    with pytest.raises(UsageError, match=message):
        with_overrides({"rate": 1, "many": [{}]}, [word])


@pytest.mark.parametrize(
    "word, key, cure",
    [
        ("rat=1", "'rat'", "'rate'"),
        ("inner.widht=1", "'inner.widht'", "'width'"),
        ("table.x.nmes=[]", "'table.x.nmes'", "'names'"),
        ("inner.zzz=1", "'inner.zzz'", "names, note, width"),
    ],
)
def test_unknown_key_names_the_closest(word, key, cure):
    with pytest.raises(UsageError) as caught:
        load_config(Outer, with_overrides({}, [word]), where="here")
    assert key in caught.value.what and cure in caught.value.cure
    assert caught.value.where == "here"


def test_wrong_type_says_what_was_got():
    with pytest.raises(UsageError, match=r"inner.width: .*integer.*got 'many'"):
        load_config(Outer, {"inner": {"width": "many"}})


text = st.text(st.characters(blacklist_categories=("Cs",)), max_size=8)
inner = st.builds(Inner, width=st.integers(-9, 9), names=st.lists(text, max_size=3).map(tuple))
outer = st.builds(
    Outer,
    rate=st.floats(allow_nan=False, allow_infinity=False),
    text=text,
    inner=inner,
    table=st.dictionaries(text.filter(bool), inner, max_size=3),
    many=st.lists(inner, max_size=2).map(tuple),
)


@given(outer)
def test_toml_round_trip(value):
    assert load_config(Outer, tomllib.loads(to_toml(value))) == value


def test_differences_name_keys():
    old, new = Outer(), Outer(rate=1, inner=Inner(width=4))
    assert differences(old.model_dump(), new.model_dump()) == [
        "rate: 0.5 -> 1.0",
        "inner.width: 3 -> 4",
    ]


def test_unreadable_files_are_told(tmp_path: Path):
    bad = tmp_path / "x.toml"
    for content, message in (
        (b"a = ", "not valid TOML"),
        (b"a = '\xff'", "not UTF-8"),
        (b"#" * (1 << 20) + b"##", "larger than 1 MiB"),
    ):
        bad.write_bytes(content)
        with pytest.raises(UsageError, match=message):
            read_toml(bad)
    with pytest.raises(UsageError, match="no such file"):
        read_toml(tmp_path / "none.toml")
    with pytest.raises(UsageError):
        read_toml(tmp_path)
