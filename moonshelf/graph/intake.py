"""What a source holds now, taken into the state: every row under an id that nothing else has."""

from __future__ import annotations

from dataclasses import dataclass, field

from moonshelf.errors import DataError, MoonshelfError
from moonshelf.graph.documents import Source, Unread
from moonshelf.graph.outcome import Outcome, packed
from moonshelf.graph.quarantine import quarantined
from moonshelf.graph.records import Document
from moonshelf.graph.state import State
from moonshelf.progress import Progress

_SEEN_TOGETHER = 1000


@dataclass
class Intake:
    """Reads a source once. ``given``: ids of all its rows; ``unread``: those that are no documents.

    An id belongs to the kind of document that had it first: a review of the same name does not
    take a listing's place, unless the source answers for listings too and has none of that id.
    """

    state: State
    run: int
    given: set[str] = field(default_factory=set)
    unread: list[Unread] = field(default_factory=list)
    _kinds: set[str] = field(default_factory=set)
    """Kinds that the source answers for."""
    _known: dict[str, str] = field(default_factory=dict)
    """Kind of every document from before."""

    def read(self, source: Source, progress: Progress) -> None:
        """Writes the documents down; :meth:`finish` does so with the rows that are none."""
        self._known = self.state.kinds()
        self._kinds = set(source.kinds)
        batch: list[tuple[int, Document]] = []
        other: list[tuple[int, Document]] = []
        for place, item in enumerate(source):
            item = self._named(item, place)
            self.given.add(item.id)
            if isinstance(item, Unread):
                self.unread.append(item)
            else:
                self._kinds.add(item.kind)
                same = self._known.get(item.id, item.kind) == item.kind
                (batch if same else other).append((place, item))
            if len(batch) == _SEEN_TOGETHER:
                self.state.see(batch, self.run)
                batch = []
            progress(place + 1, source.total, unreadable=len(self.unread))
        self.state.see([*batch, *self._in_place(other)], self.run)

    def finish(self) -> None:
        """Quarantines the rows that are no documents, under their places."""
        self.state.finish(packed(_outcome(one)) for one in self.unread)

    def _named(self, item: Document | Unread, place: int) -> Document | Unread:
        """``item`` under an id that nothing else has and that can be written down."""
        try:
            (item.about if isinstance(item, Document) else item.id).encode()
        except UnicodeEncodeError as error:
            shown = item.id.encode("utf-8", "backslashreplace").decode()
            item = Unread(shown, DataError(f"its id is no text: {error.reason}", where=shown))
        if item.id not in self.given:
            return item
        name = self._free(item.id, f"again, item {place + 1}")
        if isinstance(item, Unread):
            return Unread(name, item.error)
        return Unread(name, _taken(item, name, ""))

    def _in_place(self, items: list[tuple[int, Document]]) -> list[tuple[int, Document]]:
        """Those of another kind than the document of their id, where that one is gone."""
        kept = []
        for place, item in items:
            before = self._known[item.id]
            if before in self._kinds:
                kept.append((place, item))
                continue
            self.given.discard(item.id)
            name = self._free(item.id, f"a {item.kind}")
            self.given.add(name)
            self.unread.append(Unread(name, _taken(item, name, f" by a {before}")))
        return kept

    def _free(self, name: str, mark: str) -> str:
        while name in self.given or name in self._known:
            name = f"{name} ({mark})"
        return name


def _taken(item: Document, where: str, by: str) -> DataError:
    return DataError(f"id {item.id!r} is taken{by}", where=where, cure="give each row its own id")


def _outcome(item: Unread) -> Outcome:
    error: MoonshelfError = item.error
    return Outcome(
        document=item.id,
        status="quarantined",
        digest="",
        slice="",
        fingerprint="",
        version=0,
        problem=quarantined(item.id, "read", error),
    )
