"""Photo search with augmented photos: a strongly changed picture of a product asks for its style.

For catalogues without a photo of a user. Photos are made from products' own pictures
(catalog/augmented_photos.py) and follow from seed and product id alone, so neither order nor number
of queries changes one. The items stay as they are.

The identity guard of methods.md 10.2 asks for the query's own picture to leave the pool. Here the
query is another picture, so there are two tasks, and each says which it is:

* ``own = "stays"``: the photographed product and the other variants of its group are right, as
  for a user's photo of something that the shop has. Its picture is in the pool unchanged: the
  pixel and color controls say how far that alone goes.
* ``own = "removed"``: the product and whatever shares a byte-identical picture leave the pool, the
  other variants are right, and products without another variant ask nothing.

Either way a product of another group with a byte-identical picture leaves that query's pool: it
can be neither right nor wrong. The pool is all products of the split (or of the catalogue) that the
item view shows whole. ``queries`` > 0 asks with that many products, those whose hash of seed and id
is least; the rest only fill the pool. Photos of one group are drawn together for the interval.
"""

from __future__ import annotations

import dataclasses
import hashlib

import numpy as np

from moonshelf.catalog.augmented_photos import augmented_photo
from moonshelf.catalog.crops.cropper import crop_notes, made_photo
from moonshelf.catalog.product import View
from moonshelf.evaluation.metrics import mid_ranks
from moonshelf.evaluation.protocol import VectorCache
from moonshelf.evaluation.results import Sampling, TaskResult
from moonshelf.evaluation.retrieval import (
    NoQueries,
    Question,
    columns,
    mates_of,
    retrieval_result,
    twins_of,
)
from moonshelf.evaluation.shelf import Shelf
from moonshelf.evaluation.suite import PhotoSearchTask


def run_augmented(
    task: PhotoSearchTask, shelf: Shelf, vectors: VectorCache, split: str, sampling: Sampling
) -> list[TaskResult]:
    """Measures one photo search with augmented photos.

    Raises:
        NoQueries: no product of the split has a picture and a right answer.
    """
    question = ask_with_photos(task, shelf, split, sampling.seed)
    rows = question.query_rows
    encoder = getattr(vectors.embedder, "encoder", None)
    asked = vectors.contents(
        View.IMAGE,
        [("augmented", sampling.seed, task.strength, shelf.ids[row]) for row in rows],
        lambda k: made_photo(
            product_photo(shelf, int(rows[k]), sampling.seed, task.strength), encoder
        ),
    )
    items = vectors.rows(task.item, question.item_rows)
    ranks = mid_ranks(asked, items, question.positives, question.removed)
    result = retrieval_result(
        task,
        f"i->{task.item.value}",
        ranks,
        len(question.item_rows),
        question.protocol,
        (*question.notes, *crop_notes(encoder)),
        sampling,
        shelf.clusters(rows),
    )
    return [dataclasses.replace(result, photos="augmented")]


def product_photo(shelf: Shelf, row: int, seed: int, strength: float) -> bytes:
    """The augmented photo of a product's first picture."""
    product = shelf.catalog[row]
    return augmented_photo(product.images[0], product.id, seed, strength)


def ask_with_photos(task: PhotoSearchTask, shelf: Shelf, split: str, seed: int) -> Question:
    """Who asks, the pool, what is right; the same for every embedder."""
    own_rows = shelf.split_rows(split)
    rows = own_rows if task.pool == "split" else np.arange(len(shelf.ids))
    items = rows[shelf.complete(task.item)[rows]]
    pictured = shelf.complete(View.IMAGE)
    asking = np.flatnonzero(np.isin(items, own_rows) & pictured[items])
    mates, twins = mates_of(shelf, items), twins_of(shelf, items)
    stays = task.own == "stays"
    found: list[tuple[int, list[int], list[int]]] = []
    for place in asking.tolist():
        alike, style = twins.get(place, {place}), mates.get(place, {place})
        removed = alike - style if stays else alike | {place}
        right = style - removed
        if right:
            found.append((place, sorted(right), sorted(removed)))
    if not found:
        raise NoQueries(
            f"no product of split {split!r} has a picture and a right answer in the pool",
            where=f"task {task.name}",
            cure="choose another split; own = 'removed' needs groups of two products",
        )
    notes = [] if stays else [f"{len(asking) - len(found):,} products without another variant"]
    if task.queries and task.queries < len(found):
        notes.append(f"{task.queries:,} of {len(found):,} products ask, the rest fill the pool")
        found = sorted(found, key=lambda one: _lot(seed, shelf.ids[items[one[0]]]))[: task.queries]
        found.sort()
    return Question(
        items[[place for place, _, _ in found]],
        items,
        columns([(k, item) for k, (_, right, _) in enumerate(found) for item in right]),
        columns([(k, item) for k, (_, _, gone) in enumerate(found) for item in gone]),
        _protocol(task, split, len(found), len(items)),
        tuple(notes),
    )


def _lot(seed: int, key: str) -> bytes:
    """A number that decides who asks, whoever else is there."""
    text = f"{seed} {key}".encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, digest_size=8).digest()


def _protocol(task: PhotoSearchTask, split: str, queries: int, pool: int) -> str:
    where = "the whole catalogue" if task.pool == "all" else f"the products of split {split}"
    right = (
        "right are the photographed product, whose unchanged picture is in the pool, and its "
        "variants"
        if task.own == "stays"
        else "right are the product's other variants; the product itself is removed from the pool"
    )
    return (
        f"i->{task.item.value}: {queries:,} augmented photos (strength {task.strength:g}, made "
        f"from pictures of split {split}; no user took them) against {where} ({pool:,} products); "
        f"{right}. Not comparable with figures on photos of users."
    )
