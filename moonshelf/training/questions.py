"""Questions about products and their answers, made from a catalogue (methods.md 3.3).

The paper names the tasks: picture description, attribute extraction, title generation, main-subject
recognition. It leaves open their form. We chose:

task | shown | asked | answer
---|---|---|---
describe | picture, perhaps title | a description | the description
attribute | picture, perhaps title | one key | ``value, value``
attributes | picture, perhaps title | all keys, in a fixed order | ``Key: value, value; Key: value``
title | picture | a title | the title
subject | picture, perhaps title | the kind of product | the leaf of the category

Everything a shop writes is put on one line; names and values lose the signs of the answer's form
(``catalog/attribute_text.py``), so no value can end its place or pose as another key.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from moonshelf.catalog.attribute_text import line_of, plain
from moonshelf.catalog.product import View
from moonshelf.catalog.store import Catalog
from moonshelf.encoder.language import Question
from moonshelf.training.contents import ContentSource, flat_column
from moonshelf.training.pretrain_settings import PretrainConfig, Task
from moonshelf.training.wording import load_wording

pc: Any = pyarrow.compute  # its functions are made as it loads: no checker sees them
DRAWS = 3
"""Random numbers a question is made from: wording, whether the title is shown, key."""


class Questions:
    """Questions about the products of one catalogue.

    Args:
        source: pictures of the products; only its products are asked about.
        config: wording, keys and limits.

    Raises:
        UsageError: there are no such templates.
    """

    def __init__(self, source: ContentSource, config: PretrainConfig) -> None:
        self._source, self._show_title = source, config.show_title
        self.catalog: Catalog = source.catalog
        self.wording = load_wording(config.templates)
        self._columns: dict[str, pa.Array] = {
            name: flat_column(self.catalog.column(name))
            for name in ("title", "description", "category", "attributes")
        }
        self.keys = config.keys or _common_keys(self._columns["attributes"], self.train, config)

    @property
    def train(self) -> np.ndarray:
        """The rows that questions are learned from, and keys are counted on."""
        return np.asarray(self.catalog.split_rows("train"), dtype=np.int64)

    def answered(self, task: Task) -> np.ndarray:
        """bool [N]: products of which the catalogue knows the answer."""
        if task == "attribute" or task == "attributes":
            return _carries(self._columns["attributes"], self.keys)
        if task == "subject":
            lengths = pc.fill_null(pc.list_value_length(self._columns["category"]), 0)
            return lengths.to_numpy(zero_copy_only=False) > 0
        column = self._columns["title" if task == "title" else "description"]
        words = pc.utf8_trim_whitespace(pc.fill_null(column, ""))
        return pc.greater(pc.utf8_length(words), 0).to_numpy(zero_copy_only=False)

    def pictured(self) -> np.ndarray:
        """bool [N]: products with a picture that can be shown."""
        return self._source.usable(View.IMAGE)[: len(self.catalog)]

    def __call__(
        self, task: Task, rows: np.ndarray, draws: np.ndarray, show_title: float | None = None
    ) -> list[Question]:
        """Questions about ``rows`` [n] with their answers; ``draws`` [n, DRAWS] in [0, 1).

        Args:
            show_title: chance that the title is shown; by default as the config says.
        """
        chance = 0.0 if task == "title" else self._show_title if show_title is None else show_title
        pictures = self._source(rows, View.IMAGE)
        titles = [_line(text) for text in self._taken("title", rows)]
        keys = self.asked_keys(rows, draws) if task == "attribute" else [""] * len(rows)
        answers = self.answers(task, rows, keys)
        return [
            Question(
                replace(picture, text=title if draw[1] < chance and title else None),
                self.wording.question(task, float(draw[0]), named(key)),
                answer,
            )
            for picture, title, key, answer, draw in zip(
                pictures, titles, keys, answers, draws, strict=True
            )
        ]

    def asked_keys(self, rows: np.ndarray, draws: np.ndarray) -> list[str]:
        """The key that each product is asked for: one of its own, all equally likely; "" where it
        has none."""
        known = [list(found) for found in self.attributes(rows)]
        return [
            keys[int(draw[2] * len(keys))] if keys else ""
            for keys, draw in zip(known, draws, strict=True)
        ]

    def attributes(self, rows: np.ndarray) -> list[dict[str, tuple[str, ...]]]:
        """Key -> values of each product, in the order of ``keys``; values as an answer has them,
        and keys without any left out."""
        found = []
        for pairs in self._taken("attributes", rows):
            own: Mapping[str, Sequence[str]] = dict(pairs or ())
            read = {
                key: [word for v in own.get(key) or () if (word := plain(v))] for key in self.keys
            }
            found.append({key: tuple(dict.fromkeys(v)) for key, v in read.items() if v})
        return found

    def answers(self, task: Task, rows: np.ndarray, keys: Sequence[str] = ()) -> list[str]:
        """What the catalogue says of each product, "" where it says nothing; ``keys`` [n] are those
        asked for (task ``attribute``)."""
        if task == "attribute":
            known = self.attributes(rows)
            return [", ".join(own.get(key, ())) for own, key in zip(known, keys, strict=True)]
        if task == "attributes":
            return [
                line_of({named(key): values for key, values in own.items()})
                for own in self.attributes(rows)
            ]
        if task == "subject":
            return [plain(path[-1]) if path else "" for path in self._taken("category", rows)]
        return [
            _line(text) for text in self._taken("title" if task == "title" else "description", rows)
        ]

    def _taken(self, column: str, rows: np.ndarray) -> list:
        return self._columns[column].take(pa.array(rows)).to_pylist()

    def texts(self) -> list[str]:
        """What a tokenizer of these questions should have read besides titles: the answers of the
        train products, and the wordings about as often as they are asked."""
        rows = self.train
        tasks: tuple[Task, ...] = ("describe", "attributes", "subject")
        found = [text for task in tasks for text in self.answers(task, rows) if text]
        fields = [name for name in type(self.wording).model_fields if name != "format"]
        wordings = [text for name in fields for text in getattr(self.wording, name)]
        return found + list(itertools.islice(itertools.cycle(wordings), len(rows)))


def named(key: str) -> str:
    """A key as it stands in questions and answers."""
    return plain(key.replace("_", " "))


def _line(text: str | None) -> str:
    return " ".join((text or "").split())


def _common_keys(attributes: pa.Array, rows: np.ndarray, config: PretrainConfig) -> tuple[str, ...]:
    """The keys that most of ``rows`` carry, the most frequent first."""
    carried = attributes.take(pa.array(rows))
    count = {
        entry["values"]: entry["counts"] for entry in pc.value_counts(carried.keys).to_pylist()
    }
    known = [key for key in count if named(key)]
    return tuple(sorted(known, key=lambda key: (-count[key], key))[: config.most_keys])


def _carries(attributes: pa.Array, keys: Sequence[str]) -> np.ndarray:
    """bool [N]: rows with at least one of ``keys``."""
    hit = pc.is_in(attributes.keys, value_set=pa.array(keys, pa.string()))
    before = np.concatenate([[0], np.cumsum(hit.to_numpy(zero_copy_only=False))])
    offsets = attributes.offsets.to_numpy()
    return before[offsets[1:]] > before[offsets[:-1]]
