"""What a run begins with: its encoder, built or started from another run, and its contents."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import torch

from moonshelf.catalog.crops.table import CropTable, table_file
from moonshelf.catalog.product import Content, View
from moonshelf.catalog.splits import TRAIN
from moonshelf.catalog.store import Catalog
from moonshelf.encoder import build_encoder
from moonshelf.encoder.base import Encoder
from moonshelf.encoder.language import END
from moonshelf.errors import DataError, UsageError
from moonshelf.progress import Progress
from moonshelf.training.contents import ContentSource
from moonshelf.training.decoded import decoded_contents, ready_crops
from moonshelf.training.folder import RunFolder
from moonshelf.training.parallel import Group
from moonshelf.training.precision import PROBE_ITEMS
from moonshelf.training.pretrain_settings import PretrainConfig
from moonshelf.training.questions import Questions
from moonshelf.training.recipe import Recipe
from moonshelf.training.settings import AlignConfig
from moonshelf.training.start import started_encoder


def begin(
    recipe: Recipe,
    catalog: Catalog,
    folder: RunFolder,
    *,
    device: torch.device,
    group: Group,
    progress: Progress,
    note: Callable[[str], None],
) -> tuple[Encoder, ContentSource]:
    """The encoder as it is before the first step, and contents that its stages draw from.

    Raises:
        UsageError: the run goes on, and the crops are others than those it started with.
        CatalogError, DataError: as :func:`decoded_contents`.
    """
    seed_all(recipe.seed)
    fields = tuple(recipe.data.text)
    plain = ContentSource(catalog, None, fields)
    encoder = started_encoder(recipe)
    if encoder is None:
        control = (END,) if _asking(recipe) else ()
        texts = _texts(recipe, plain)
        encoder = build_encoder(recipe.encoder, texts, seed=recipe.seed, control=control)
    encoder = encoder.to(device)
    _refuse_other_detector(encoder, catalog, folder, group)
    with group.leader_first():
        if recipe.caches_pictures:
            photos = any(stage.asks_with_photos for stage in _logged(recipe))
            source = decoded_contents(encoder, catalog, fields, photos=photos, progress=progress)
        else:
            ready_crops(encoder, catalog, progress)
            source = plain
    _keep_crops(encoder, catalog, folder, group)
    count = sum(p.numel() for p in encoder.parameters())
    products = len(catalog.split_rows("train"))
    note(f"encoder of {count / 1e6:.2f} M parameters, {products:,} train products")
    return encoder, source


def _texts(recipe: Recipe, plain: ContentSource) -> list[str]:
    """All that the tokenizer of a new encoder is made of: texts of the train split alone."""
    rows = np.asarray(plain.catalog.split_rows("train"), dtype=np.int64)
    texts = plain.texts(rows)
    if any(stage.shows_attributes for stage in recipe.stages.values()):
        texts += [" ".join(values) for values in plain.values(rows)]
    if _logged(recipe):
        asked = np.flatnonzero(plain.catalog.query_splits() == TRAIN)
        texts += plain.texts(asked + plain.products)
    for stage in _asking(recipe):
        texts += Questions(plain, stage).texts()
    return texts


def _logged(recipe: Recipe) -> list[AlignConfig]:
    return [s for s in recipe.stages.values() if isinstance(s, AlignConfig) and s.reads_log]


def _asking(recipe: Recipe) -> list[PretrainConfig]:
    return [s for s in recipe.stages.values() if isinstance(s, PretrainConfig)]


def _refuse_other_detector(
    encoder: Encoder, catalog: Catalog, folder: RunFolder, group: Group
) -> None:
    """A run that began with boxes of another version of the detector says so while they are still
    there: looking again would put others in their place."""
    cropper = encoder.cropper
    if cropper is None or not cropper.looks or not group.leads or "crops" not in folder.manifest:
        return
    if not table_file(catalog.path, cropper.name).is_file():
        return
    table = CropTable.open(catalog.path, cropper.name)
    if f"{cropper.name} {table.version}" != cropper.version:
        raise UsageError(
            f"this run started with crops by {cropper.name} {table.version}, this program has "
            f"{cropper.version}",
            where=str(table_file(catalog.path, cropper.name)),
            cure="go on with the program it started with, or pass another --out",
        )


def _keep_crops(encoder: Encoder, catalog: Catalog, folder: RunFolder, group: Group) -> None:
    """A run goes on with the boxes that it started with."""
    if encoder.cropper is None or not group.leads:
        return
    before, now = folder.manifest.get("crops"), encoder.cropper.digest
    if before not in (None, now):
        raise UsageError(
            "the crops are not those this run started with",
            where=str(catalog.path / "crops"),
            cure="put the old ones back, or pass another --out",
        )
    folder.write_manifest(crops=now)


def probe_contents(source: ContentSource) -> list[Content]:
    """A few train products, for the parity of number formats and to recognize a rebuild.

    Raises:
        DataError: the train split has none with a title or a picture.
    """
    rows = np.asarray(source.catalog.split_rows("train"), dtype=np.int64)
    rows = rows[source.usable(View.BOTH)[rows]][:PROBE_ITEMS]
    if not len(rows):
        raise DataError(
            "no train product has a title or a picture",
            where=str(source.catalog.path),
            cure="import products into the train split",
        )
    return source(rows, View.BOTH)


def seed_all(seed: int) -> None:
    """Seeds the global generators that dropout and libraries draw from."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
