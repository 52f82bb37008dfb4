"""Pictures as an encoder sees them, decoded once: its canvas, and the core products it is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moonshelf.catalog.crops.detector import EMBEDDED, embedded
from moonshelf.catalog.crops.looking import known_crops, look_at_pictures
from moonshelf.catalog.pixels import PixelCache
from moonshelf.progress import Progress
from moonshelf.training.contents import ContentSource

if TYPE_CHECKING:
    from moonshelf.catalog.crops.table import CropTable
    from moonshelf.catalog.store import Catalog
    from moonshelf.encoder.base import Encoder


def decoded_contents(
    encoder: Encoder,
    catalog: Catalog,
    fields: tuple[str, ...],
    *,
    photos: bool,
    progress: Progress,
) -> ContentSource:
    """Contents from pixel caches, which are built where they are not there yet.

    Args:
        encoder: of a fixed canvas and one picture a product.
        photos: whether queries show theirs too.

    Raises:
        As :meth:`PixelCache.build` and :func:`ready_crops`.
    """
    size = (encoder.pictures.height, encoder.pictures.width)
    table = ready_crops(encoder, catalog, progress)
    pixels = PixelCache.build(catalog, *size, progress)
    asked = PixelCache.build(catalog, *size, progress, of="queries") if photos else None
    if table is None:
        return ContentSource(catalog, pixels, fields, asked)
    crops = PixelCache.build(catalog, *size, progress, crops=table)
    asked_crops = None
    if photos:
        asked_crops = PixelCache.build(catalog, *size, progress, of="queries", crops=table)
    return ContentSource(catalog, pixels, fields, asked, (crops, asked_crops))


def ready_crops(encoder: Encoder, catalog: Catalog, progress: Progress) -> CropTable | None:
    """The boxes of all main pictures, which the encoder is told of; None where it is shown no
    crops. Embedded detectors look at what is new now.

    Raises:
        CatalogError: there is no table of a model's boxes, or it cannot be read or written.
        DataError: a model has not looked at all pictures.
        UsageError: the detector's library is missing.
    """
    cropper = getattr(encoder, "cropper", None)
    if cropper is None:
        return None
    name = cropper.name
    if name in EMBEDDED:
        table = look_at_pictures(catalog, embedded(name), renew=True, progress=progress).table
    else:
        table = known_crops(catalog, name)
    cropper.use(catalog)
    return table
