"""Suites: the tasks of an evaluation as data, read from TOML and checked strictly.

A suite comes with the package (``myntra``, ``hm``, ``grocery``, ``homedepot``, ``shop``, ``any``)
or from a path ending in ``.toml``. An unknown key, kind or view is an error that names it.
"""

from __future__ import annotations

from pathlib import Path
from string import Formatter
from typing import Annotated, Literal

from pydantic import Field, model_validator

from moonshelf.catalog.augmented_photos import STRENGTH
from moonshelf.catalog.product import View
from moonshelf.config import Config, closest, load_config, read_toml
from moonshelf.errors import UsageError
from moonshelf.evaluation.metrics import RETRIEVAL_METRICS

SUITES = Path(__file__).parent / "suites"
Metric = Literal["HitRate", "SetRecall", "TruncRecall", "Precision", "MRR", "NDCG"]
Ks = Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)]


class Task(Config):
    """What every task has. ``when_empty = "skip"`` lists a task for which the catalogue has no
    query as skipped (general suites) instead of raising an error (suites of one catalogue)."""

    name: Annotated[str, Field(min_length=1, max_length=80)]
    about: str = ""
    when_empty: Literal["error", "skip"] = "error"


class RetrievalTask(Task):
    """Product to product: ``query`` view against ``item`` view. See retrieval.py for what the
    three kinds of positives mean."""

    kind: Literal["retrieval"]
    query: View
    item: View
    positives: Literal["self", "title", "group"]
    unique_titles: bool = False
    gallery: Annotated[int, Field(ge=0)] = 0
    k: Ks = (1, 10)
    metrics: tuple[Metric, ...] = RETRIEVAL_METRICS

    @model_validator(mode="after")
    def _views_fit_positives(self) -> RetrievalTask:
        shared = (self.query.has_text and self.item.has_text) or (
            self.query.has_image and self.item.has_image
        )
        if self.positives != "group" and shared:
            raise ValueError(
                f"query {self.query.value!r} and item {self.item.value!r} share a modality, so "
                f"positives {self.positives!r} would find the query itself; use 'group'"
            )
        if self.positives == "group" and (self.gallery or self.unique_titles):
            raise ValueError("positives 'group' use the full pool: no gallery, no unique_titles")
        return self


class QueryTask(Task):
    """Queries of the catalogue's query log against products. ``pool`` is the whole catalogue or
    the products of the evaluated split."""

    item: View
    pool: Literal["all", "split"] = "all"
    k: Ks = (1, 10)
    metrics: tuple[Metric, ...] = RETRIEVAL_METRICS
    grade_floor: float = 0.0  # a grade at or below it is worth nothing
    relevant_from: float = 0.0  # the least grade that counts as found (HitRate, recalls, MRR)


class PhotoSearchTask(QueryTask):
    """Image-based search recall: the query's picture (and words, view mm) -> products.

    ``photos = "user"`` are those of the query log. ``"augmented"`` are made from the pictures of
    products of the split, for catalogues without a photo of a user: augmented.py says how, and what
    ``own``, ``strength`` and ``queries`` mean. No table mixes the two.
    """

    kind: Literal["photo_search"]
    query: Literal[View.IMAGE, View.BOTH] = View.IMAGE
    photos: Literal["user", "augmented"] = "user"
    own: Literal["stays", "removed"] = "stays"
    strength: Annotated[float, Field(ge=0, le=2)] = STRENGTH
    queries: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _augmented_photos_are_pictures(self) -> PhotoSearchTask:
        if self.photos == "augmented" and self.query is not View.IMAGE:
            raise ValueError("augmented photos come without words: use query 'i'")
        only = {"own", "strength", "queries"} & self.model_fields_set
        if self.photos == "user" and only:
            raise ValueError(f"{min(only)!r} is for photos = 'augmented' alone")
        return self


class TextSearchTask(QueryTask):
    """The query's words -> products; graded queries are also scored within their judged list."""

    kind: Literal["text_search"]


class LabelTask(Task):
    """Zero-shot labels: the nearest label text. ``templates`` may use ``{value}``, ``{key}`` and
    ``{category}`` (the product's leaf category); ``texts`` gives a value another wording."""

    views: Annotated[tuple[View, ...], Field(min_length=1)] = (View.IMAGE, View.TEXT, View.BOTH)
    templates: Annotated[tuple[str, ...], Field(min_length=1)] = ("{value}",)
    texts: dict[str, str] = Field(default_factory=dict)
    exclude: tuple[str, ...] = ()
    min_class: Annotated[int, Field(ge=1)] = 10
    fit_rows: Annotated[int, Field(ge=1)] = 4000  # training items for supervised centroids

    @model_validator(mode="after")
    def _templates_are_known(self) -> LabelTask:
        for template in self.templates:
            # Raises a ValueError of its own where braces do not close.
            slots = {tuple(slot) for _, *slot in Formatter().parse(template) if slot[0] is not None}
            if not slots <= {("value", "", None), ("key", "", None), ("category", "", None)}:
                raise ValueError(
                    f"template {template!r} may only use {{value}}, {{key}} and {{category}}"
                )
            if ("value", "", None) not in slots:
                raise ValueError(f"template {template!r} does not use {{value}}")
        return self


class ClassificationTask(LabelTask):
    """The label is the name at ``level`` of the category path (-1: the leaf)."""

    kind: Literal["classification"]
    level: int = -1


class AttributeTask(LabelTask):
    """The label is the value of the attribute ``key``; candidates are the values of that key."""

    kind: Literal["attribute"]
    key: str


AnyTask = Annotated[
    RetrievalTask | PhotoSearchTask | TextSearchTask | ClassificationTask | AttributeTask,
    Field(discriminator="kind"),
]


class Suite(Config):
    """Tasks with what they share: the text fields an embedder may read, seed and intervals."""

    name: str
    about: str = ""
    fields: Annotated[tuple[str, ...], Field(min_length=1)] = ("title",)
    seed: int = 0
    bootstrap: Annotated[int, Field(ge=100, le=100_000)] = 1000
    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.95
    tasks: Annotated[tuple[AnyTask, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _names_are_unique(self) -> Suite:
        names = [task.name for task in self.tasks]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two tasks are named {twice[0]!r}")
        return self


def suite_names() -> list[str]:
    """Suites that come with the package."""
    return sorted(path.stem for path in SUITES.glob("*.toml"))


def load_suite(name_or_path: str | Path) -> Suite:
    """A suite by its name, or from a ``.toml`` file.

    Raises:
        UsageError: no such suite, or a key or value in it that is not known.
    """
    text = str(name_or_path)
    if text.endswith(".toml"):
        path = Path(text)
    elif text in suite_names():
        path = SUITES / f"{text}.toml"
    else:
        raise UsageError(
            f"there is no suite {text!r}",
            cure=f"{closest(text, suite_names())}, or pass a path that ends in .toml",
        )
    return load_config(Suite, read_toml(path), where=f"suite {path.name}")
