"""Texts compared as a reader compares them, with a way back to the original offsets.

Two wordings are equal here when they differ only in letter case, width, ligatures, kind of dash,
quote or blank, or in marks that nobody sees. Offsets are code points; whatever is found is given
back as a span of the *original* text, so evidence is always a verbatim slice.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

# Longer than one step of NFKC and case folding can need; guards against a cycle.
_ROUNDS = 4
_LONGEST_CLUSTER = 32
_LIKE = {
    **dict.fromkeys("‐‑‒–—―−﹘﹣-⁃⸺⸻", "-"),
    **dict.fromkeys("‘’‚‛′ʹʼ`´", "'"),
    **dict.fromkeys("“”„‟″ʺ«»", '"'),
    "×": "x",
    "✕": "x",
    "⁄": "/",
    "∕": "/",
}
_PLAIN = re.compile(r"[!-~]+(?: [!-~]+)*")
_SPECIAL = re.compile(r"[^!-~]+")
# Scripts that write words without blanks between them: any offset may be the edge of a word.
_UNSPACED = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uff66-\uff9f]"
)
# Marks that nobody sees, though Unicode does not call them format characters: the joiner of
# graphemes, and selectors of variants.
_SELECTORS = re.compile(r"[\u034f\u180b-\u180d\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef]")
# Nothing but the rest of a number begins with a zero behind a digit and a blank: "12 000".
_THOUSANDS = re.compile(r"\d 0\d\d(?!\d)")
_HALFWIDTH_VOICING = "\uff9e\uff9f"


@dataclass(frozen=True, slots=True)
class Folded:
    """A folded text and where its characters come from.

    Attributes:
        text: the folded text.
        pieces: runs that map one to one or one to many, as (start in ``text``, start in the
            original, length in the original, step). ``step`` 1: character k comes from character
            k; 0: every character of the run comes from the whole original run.
    """

    text: str
    pieces: tuple[tuple[int, int, int, int], ...]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Offsets [start, end) in ``text`` -> offsets in the original, grown to whole characters.

        Raises:
            ValueError: the stretch is empty or outside the text.
        """
        if not 0 <= start < end <= len(self.text):
            raise ValueError(f"no stretch [{start}, {end}) in {len(self.text)} folded characters")
        return self._origin(start)[0], self._origin(end - 1)[1]

    def edge(self, offset: int) -> bool:
        """Whether ``offset`` in ``text`` falls between two original characters."""
        if offset in (0, len(self.text)):
            return True
        return self._origin(offset - 1) != self._origin(offset)

    def _origin(self, offset: int) -> tuple[int, int]:
        place = bisect_right(self.pieces, offset, key=_first) - 1
        begin, origin, length, step = self.pieces[place]
        if step:
            origin, length = origin + offset - begin, 1
        return origin, origin + length


def fold(text: str) -> Folded:
    """Folds case, width, ligatures, dashes, quotes and blanks; drops invisible marks.

    NFKC and Unicode case folding, applied letter by letter with its marks (accents, vowel signs),
    so that composed and decomposed forms are one. Runs of blanks and control characters become one
    blank. ``4½`` becomes ``4 1/2`` and ``10²`` becomes ``10^2``, because plain NFKC would turn them
    into other numbers.
    """
    if _PLAIN.fullmatch(text):
        return Folded(text.lower(), ((0, 0, len(text), 1),))
    folder = _Folder()
    done = 0
    for match in _SPECIAL.finditer(text):
        start, end = match.span()
        # A mark, seen or not, belongs to the plain letter before it.
        if start > done and _joins(text[start - 1], text[start]):
            start -= 1
        folder.plain(text[done:start], done)
        for begin, stop in _clusters(text, start, end):
            folder.cluster(text[begin:stop], begin)
        done = end
    folder.plain(text[done:], done)
    return Folded("".join(folder.out), tuple(folder.pieces) or ((0, 0, len(text), 0),))


def fold_value(text: str) -> str:
    """The canonical form of a value that is a word: folded, without blanks or stops around it."""
    return fold(text).text.strip(" ,;:|")


def find(field_text: str | Folded, raw: str) -> list[tuple[int, int]]:
    """Where ``raw`` stands in ``field_text``, compared under folding.

    Args:
        field_text: the original text, or what :func:`fold` makes of it: for many searches.
        raw: what somebody says stands there; blanks around it do not count.

    Returns:
        Spans of the original text, in order, not overlapping. One that would cut a word or a
        number ("5 Star" within "1.5 Star", "red" within "Required") is no occurrence.
    """
    wanted = fold(raw).text.strip()
    if not wanted:
        return []
    folded = field_text if isinstance(field_text, Folded) else fold(field_text)
    found = []
    place = folded.text.find(wanted)
    while place >= 0:
        stop = place + len(wanted)
        if is_whole(folded.text, place, stop) and folded.edge(place) and folded.edge(stop):
            found.append(folded.span(place, stop))
            place = folded.text.find(wanted, stop)
        else:
            place = folded.text.find(wanted, place + 1)
    return found


def is_whole(text: str, start: int, end: int) -> bool:
    """Whether [start, end) cuts neither a word nor a number of ``text``."""
    return not (_cuts(text, start) or _cuts(text, end))


def _cuts(text: str, place: int) -> bool:
    if place <= 0 or place >= len(text):
        return False
    before, after = text[place - 1], text[place]
    if " " in (before, after):
        blank = place if after == " " else place - 1
        return blank > 0 and _THOUSANDS.match(text, blank - 1) is not None
    if _is_mark(after):
        return not before.isspace()
    if before.isdigit():
        follows = text[place + 1 : place + 2]
        return after.isdigit() or (after in ".," and follows.isdigit())
    if before in ".,":
        return after.isdigit() and text[place - 2 : place - 1].isdigit()
    if not (after.isalpha() and (before.isalpha() or _is_mark(before))):
        return False
    return not (_UNSPACED.match(before) or _UNSPACED.match(after))


class _Folder:
    """Collects folded text and its pieces."""

    def __init__(self) -> None:
        self.out: list[str] = []
        self.pieces: list[tuple[int, int, int, int]] = []
        self.length = 0
        self.last = ""

    def plain(self, text: str, origin: int) -> None:
        """Printable ASCII: one to one."""
        if text:
            self._add(text.lower(), origin, len(text), 1)

    def cluster(self, text: str, origin: int) -> None:
        """A letter with its marks, or a run of blanks."""
        folded = _fold_cluster(text)
        if folded and text[0] in _VULGAR and self.last.isdigit():
            folded = " " + folded
        elif folded.isdigit() and not text[0].isdecimal() and self.last.isdigit():
            folded = "^" + folded
        if folded == " " and self.last == " ":
            folded = ""
        if folded:
            self._add(folded, origin, len(text), 0)

    def _add(self, folded: str, origin: int, length: int, step: int) -> None:
        self.pieces.append((self.length, origin, length, step))
        self.out.append(folded)
        self.length += len(folded)
        self.last = folded[-1]


_VULGAR = frozenset("½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅐⅛⅜⅝⅞⅑⅒")


def _clusters(text: str, start: int, end: int) -> Sequence[tuple[int, int]]:
    """Letters with the marks and joined jamo that follow them."""
    found: list[tuple[int, int]] = []
    begin, last = start, text[start]
    for place in range(start + 1, end + 1):
        joined = place < end and place - begin < _LONGEST_CLUSTER and _joins(last, text[place])
        if not joined:
            found.append((begin, place))
            begin = place
        if place < end and not (joined and _is_unseen(text[place])):
            last = text[place]
    return found


def _joins(before: str, here: str) -> bool:
    """Whether ``here`` belongs to the letter that ends, or the blanks that end, in ``before``."""
    if _is_unseen(here):
        return True
    if _is_blank(before):
        return _is_blank(here)
    if _is_mark(here):
        return True
    # Korean letters are joined to syllables, whatever their width.
    here = unicodedata.normalize("NFKC", here)[0]
    if not "\u1160" <= here <= "\u11ff":
        return False
    before = unicodedata.normalize("NFKC", before)[-1]
    return "\u1100" <= before <= "\u11ff" or "\uac00" <= before <= "\ud7a3"


def _is_mark(char: str) -> bool:
    """Accents, vowel signs, voicing: what is drawn at the letter before it."""
    if unicodedata.category(char)[0] == "M":
        return _SELECTORS.match(char) is None
    return char in _HALFWIDTH_VOICING


def _is_unseen(char: str) -> bool:
    return unicodedata.category(char) == "Cf" or _SELECTORS.match(char) is not None


def _is_blank(char: str) -> bool:
    return char.isspace() or unicodedata.category(char) == "Cc"


def _fold_cluster(cluster: str) -> str:
    if _is_blank(cluster[0]):
        return " "
    folded = cluster
    for _ in range(_ROUNDS):
        shown = "".join(_LIKE.get(c, c) for c in folded if not _is_unseen(c))
        again = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", shown).casefold())
        if again == folded:
            break
        folded = again
    if folded[:1] == " " and len(folded) > 1:
        # An accent that stands alone is a blank with a mark under NFKC; it is neither.
        folded = "".join(c for c in folded if not unicodedata.combining(c)).strip()
    return folded


def _first(piece: tuple[int, int, int, int]) -> int:
    return piece[0]
