"""How well an encoder answers questions about held-out products: loss and written answers.

A language prior answers much (most shirts are for men), and a title spells much. So every figure
stands beside what the same model says of the picture of another product, and what needs no model:
the most frequent answer of the train split (for a title: some train product's). Questions that
show the picture alone are apart from those that show the title too.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np

from moonshelf.catalog.attribute_text import plain, read_line
from moonshelf.catalog.pairs import group_codes
from moonshelf.encoder.language import LanguageModel, Question
from moonshelf.evaluation.bootstrap import intervals, resample
from moonshelf.evaluation.chrf import chrf, chrf_counts
from moonshelf.progress import Progress, silent
from moonshelf.training.heldout import answer_sums, held_out, plain_draws
from moonshelf.training.pretrain_settings import Task
from moonshelf.training.questions import Questions, named

Arm = Literal["picture", "picture and title", "another picture", "no model"]
ARMS: tuple[Arm, ...] = ("picture", "picture and title", "another picture", "no model")
Values = frozenset[str]
Known = dict[str, Values]
"""Key -> values of a product, folded."""


@dataclass(frozen=True)
class Score:
    """One figure with a 95 % interval over products, drawn by group."""

    value: float
    low: float
    high: float
    products: int


@dataclass(frozen=True)
class Answers:
    """The figures of one run: ``scores[measure][arm]``, and ``keys[key][arm]``, the share of a
    key's values that are exactly right where all attributes were asked for."""

    name: str
    split: str
    seed: int
    scores: dict[str, dict[Arm, Score]]
    keys: dict[str, dict[Arm, Score]]


class Examination:
    """The questions of one split, put to one model after the other.

    Args:
        items: products of each task at most, chosen by ``seed``.

    Raises:
        DataError: the split has no product with a picture and an answer.
    """

    def __init__(
        self, questions: Questions, tasks: Sequence[Task], *, split: str, items: int, seed: int
    ) -> None:
        self.questions, self.split, self.seed = questions, split, seed
        self.rows = held_out(questions, tasks, items=items, seed=seed, split=split)
        self._groups = group_codes(questions.catalog)
        self._prior = Prior(questions)

    def __call__(
        self, name: str, language: LanguageModel, *, bf16: bool = False, progress: Progress = silent
    ) -> Answers:
        """The figures of one model."""
        scores: dict[str, dict[Arm, Score]] = {}
        keys: dict[str, dict[Arm, Score]] = {}
        steps: list[tuple[Task, Arm]] = [(task, arm) for task in self.rows for arm in ARMS]
        for done, (task, arm) in enumerate(steps):
            progress(done, len(steps), task=task)
            if arm == "picture and title" and task == "title":
                continue
            rows = self.rows[task]
            draws = plain_draws(len(rows), self.seed)
            asked = self._asked(task, arm, draws)
            if arm != "no model":
                sums = answer_sums(language, asked, bf16=bf16)
                scores.setdefault(f"{task}: loss", {})[arm] = self._score(rows, sums, _ratio)
                written = language.write(asked, bf16=bf16) if task != "describe" else []
            else:
                written = self._prior.answers(task, rows, self.questions.asked_keys(rows, draws))
            for measure, (counts, value) in self._counted(task, rows, asked, written).items():
                scores.setdefault(measure, {})[arm] = self._score(rows, counts, value)
            if task == "attributes":
                for key, part, counts in self._by_key(rows, written):
                    keys.setdefault(key, {})[arm] = self._score(part, counts, _ratio)
        return Answers(name, self.split, self.seed, scores, keys)

    def _asked(self, task: Task, arm: Arm, draws: np.ndarray) -> list[Question]:
        rows = self.rows[task]
        asked = self.questions(task, rows, draws, float(arm == "picture and title"))
        if arm != "another picture":
            return asked
        # Half the split away: neighbors may be variants of one style.
        half = len(asked) // 2
        others = asked[half:] + asked[:half]
        return [replace(q, content=o.content) for q, o in zip(asked, others, strict=True)]

    def _counted(
        self, task: Task, rows: np.ndarray, asked: Sequence[Question], written: Sequence[str]
    ) -> dict[str, tuple[np.ndarray, Callable[[np.ndarray], np.ndarray]]]:
        """Counts of each product [n, ...] by measure, and what makes a figure of their sums."""
        true = [question.answer for question in asked]
        if task == "title":
            texts = ([fold(t) for t in written], [fold(t) for t in true])
            return {"title: chrF": (chrf_counts(*texts), chrf)}
        if task == "subject":
            hits = [fold(a) == fold(b) for a, b in zip(written, true, strict=True)]
            return {"subject: exact": (_with_ones(hits), _ratio)}
        if task == "attribute":
            hits = [_values(a) == _values(b) for a, b in zip(written, true, strict=True)]
            return {"attribute: exact": (_with_ones(hits), _ratio)}
        if task == "attributes":
            pairs = list(zip(map(read, written), self._known(rows), strict=True))
            return {
                "attributes: exact": (np.array([_exact(*p) for p in pairs]), _ratio),
                "attributes: F1": (np.array([_overlap(*p) for p in pairs]), _ratio),
            }
        return {}

    def _known(self, rows: np.ndarray) -> list[Known]:
        return [known(own) for own in self.questions.attributes(rows)]

    def _by_key(
        self, rows: np.ndarray, written: Sequence[str]
    ) -> list[tuple[str, np.ndarray, np.ndarray]]:
        true, said = self._known(rows), [read(text) for text in written]
        found = []
        for key in dict.fromkeys(fold(named(key)) for key in self.questions.keys):
            own = np.array([key in one for one in true])
            if own.any():
                hits = [s.get(key) == t[key] for s, t in zip(said, true, strict=True) if key in t]
                found.append((key, rows[own], _with_ones(hits)))
        return found

    def _score(
        self, rows: np.ndarray, counts: np.ndarray, value: Callable[[np.ndarray], np.ndarray]
    ) -> Score:
        flat = counts.reshape(len(counts), -1)

        def of(weights: np.ndarray) -> np.ndarray:
            return value((weights @ flat).reshape(-1, *counts.shape[1:]))[:, None]

        groups = self._groups[rows]
        clusters = np.where(groups < 0, -1 - rows, groups)  # a product without a group stands alone
        samples = resample(of, len(rows), seed=self.seed, clusters=clusters)
        (interval,) = intervals(samples)
        whole = float(of(np.ones((1, len(rows))))[0, 0])
        return Score(whole, interval.low, interval.high, len(rows))


class Prior:
    """What is answered without looking: of the train split, the most frequent value of each key
    and leaf of the categories; as a title, that of some product."""

    def __init__(self, questions: Questions) -> None:
        self._questions = questions
        train = questions.train
        count: dict[str, Counter[tuple[str, ...]]] = {key: Counter() for key in questions.keys}
        for own in questions.attributes(train):
            for key, values in own.items():
                count[key][values] += 1
        self._values = {key: c.most_common(1)[0][0] for key, c in count.items() if c}
        # A line names the keys that most products have.
        usual = [key for key, c in count.items() if 2 * c.total() > len(train)]
        self._line = "; ".join(f"{named(k)}: {', '.join(self._values[k])}" for k in usual)
        leaves = Counter(questions.answers("subject", train))
        self._leaf = leaves.most_common(1)[0][0] if leaves else ""

    def answers(self, task: Task, rows: np.ndarray, keys: Sequence[str]) -> list[str]:
        """An answer to each question; ``keys`` are those asked for."""
        if task == "attribute":
            return [", ".join(self._values.get(key, ())) for key in keys]
        if task == "title":
            chosen = np.random.default_rng(0).choice(self._questions.train, len(rows))
            return self._questions.answers("title", chosen)
        return [{"attributes": self._line, "subject": self._leaf}.get(task, "")] * len(rows)


def fold(text: str) -> str:
    """As two texts are compared: width, case and spaces do not count."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def read(line: str) -> Known:
    """What a written line of attributes says."""
    return known(read_line(line))


def known(attributes: dict[str, tuple[str, ...]]) -> Known:
    return {fold(named(k)): frozenset(fold(v) for v in values) for k, values in attributes.items()}


def _values(text: str) -> Values:
    return frozenset(fold(word) for part in text.split(",") if (word := plain(part)))


def _exact(said: Known, true: Known) -> tuple[int, int]:
    """Keys with exactly the true values, and true keys."""
    return sum(said.get(key) == values for key, values in true.items()), len(true)


def _overlap(said: Known, true: Known) -> tuple[int, int]:
    """Twice the values said that are true, and all that are said and that are true: their ratio
    is F1."""
    shared = sum(len(values & true.get(key, frozenset())) for key, values in said.items())
    return 2 * shared, sum(map(len, said.values())) + sum(map(len, true.values()))


def _with_ones(hits: Sequence[bool]) -> np.ndarray:
    return np.stack([np.array(hits, dtype=np.int64), np.ones(len(hits), np.int64)], axis=1)


def _ratio(sums: np.ndarray) -> np.ndarray:
    """First over second of [..., 2]; 0 where there is nothing."""
    return sums[..., 0] / np.where(sums[..., 1] > 0, sums[..., 1], 1)


def as_json(found: Answers, keys: Sequence[str]) -> dict[str, Any]:
    """One run's figures for a file."""
    return {**asdict(found), "asked_keys": list(keys)}
