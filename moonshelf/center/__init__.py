"""The representation center: a catalogue's vectors by id, and search over them."""

from moonshelf.center.embed import embed_catalog
from moonshelf.center.store import Hit, Store

__all__ = ["Hit", "Store", "embed_catalog"]
