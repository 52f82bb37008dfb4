"""Named-entity models by name: what an installed package offers, never a path or a module.

A package offers a tagger by an entry point of the group ``moonshelf.entity_taggers``:

    [project.entry-points."moonshelf.entity_taggers"]
    gliner = "my_package.tagger:make"        # make(catalog) -> EntityTagger

Only what somebody installed can be named, so neither a command line nor a file can make moonshelf
import a module of its choice. In Python any tagger can be handed to ``few_entities``.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import cast

from moonshelf.catalog.cleaning.entities import EntityTagger
from moonshelf.catalog.store import Catalog
from moonshelf.config import closest
from moonshelf.errors import UsageError

GROUP = "moonshelf.entity_taggers"


def find_tagger(name: str, catalog: Catalog) -> EntityTagger:
    """The tagger that an installed package offers as ``name``.

    Raises:
        UsageError: none does, two do, or it is no tagger.
    """
    offered = entry_points(group=GROUP)
    found = [entry for entry in offered if entry.name == name]
    if len(found) != 1:
        what = "no installed package offers" if not found else "several packages offer"
        names = sorted({entry.name for entry in offered})
        cure = closest(name, names) or f"install a package with an entry point of {GROUP}"
        raise UsageError(f"{what} a tagger {name!r}", cure=cure)
    tagger = found[0].load()(catalog)
    if not callable(tagger) or not isinstance(getattr(tagger, "name", None), str):
        raise UsageError(
            f"what {found[0].value} makes is no tagger: it needs a name and to be callable",
            cure="see moonshelf.catalog.cleaning.entities.EntityTagger",
        )
    return cast(EntityTagger, tagger)
