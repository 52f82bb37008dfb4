"""The threshold is chosen on texts that were not learned from; products are never split."""

from __future__ import annotations

from typing import ClassVar

import pytest

from moonshelf.graph.builtin.tagger import Labelled, Tagged, TaggerSettings
from moonshelf.graph.evaluate import thresholds
from moonshelf.graph.evaluate.thresholds import choose, first_values, is_held
from moonshelf.graph.records import Document, Span


def example(k: int, product: str = "") -> Labelled:
    document = Document(id=f"d{k}", fields=(("title", f"Fan {k} red"),), product=product)
    return Labelled(document=document, values={"color": ("red",)})


class Trained:
    """Says red at .45 and, wrongly, Fan at .3."""

    learned: ClassVar[list[list[str]]] = []

    @classmethod
    def train(cls, examples, settings=None, progress=None):
        cls.learned.append([one.document.id for one in examples])
        return cls()

    def tag(self, document: Document, threshold: float) -> list[Tagged]:
        where = Span(field="title", start=0, end=3)
        found = [
            Tagged(property="color", span=where, raw="red", confidence=0.45),
            Tagged(property="maker", span=where, raw="Fan", confidence=0.3),
        ]
        return [one for one in found if one.confidence >= threshold]


def test_the_best_threshold_and_the_highest_of_equals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thresholds, "Tagger", Trained)
    examples = [example(k) for k in range(60)]
    examples = [one.model_copy(update={"values": {**one.values, "maker": ()}}) for one in examples]
    choice = choose(examples, TaggerSettings())
    assert choice is not None and choice.threshold == 0.4
    assert choice.f1["0.5"] == 0 and choice.f1["0.4"] == 1 and choice.f1["0.3"] < 1
    held = {one.document.id for one in examples if is_held(one.document)}
    assert choice.held_out == len(held) == 60 - choice.learned_from
    assert not held & set(Trained.learned[-1])
    assert choose([], None) is None


def test_texts_of_one_product_and_equal_titles_stay_together() -> None:
    held = [is_held(example(k).document) for k in range(400)]
    assert 40 < sum(held) < 120
    for k in range(30):
        assert len({is_held(example(n, product=f"p{k}").document) for n in range(5)}) == 1
    same = Document(id="other", fields=(("title", "Fan 3 red"), ("description", "x")))
    assert is_held(same) == is_held(example(3).document)


def test_the_first_value_of_a_property_is_taken() -> None:
    where = Span(field="title", start=0, end=3)
    told = [Tagged(property="a", span=where, raw=raw, confidence=0.5) for raw in ("x", "y")]
    assert first_values(told) == {"a": "x"}
