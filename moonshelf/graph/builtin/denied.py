"""How far a denial reaches: a few words, and the items of the list that an "or" goes on with.

"no built-in Wi-Fi and a timer"    Wi-Fi
"no timer, Wi-Fi or Bluetooth"     each of the three
"no timer, Wi-Fi"                  the timer; whether Wi-Fi, nobody knows
"no timer, 16 W"                   the timer
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from moonshelf.graph.builtin.segments import Segment

# A denial reaches over so many words: "no built-in Wi-Fi", not the rest of the sentence.
REACH = 3
# An item of more words is a clause, and so many of them are no list of denials.
_LONGEST_ITEM, _MOST_ITEMS = 6, 24
_TOKEN = re.compile(r"[^\W_]+(?:['’][^\W\d_]+)?|[,;:(){}\[\]|]|\s[-–—]\s")
_ENDS = frozenset({"but", "with", "while", "although", "though", "yet"})
_VERBS = frozenset({"has", "have", "is", "are"})
_GOES_ON = ("or", "nor")
# A list under these may go on with "and": "without wheels and handles".
_WHOLE = re.compile(r"without|w/o|lack|exclu|free|devoid|incompatible|neither", re.IGNORECASE)


@dataclass(slots=True)
class _Item:
    """Words of one item; ``joined`` is what stands before it."""

    joined: str
    start: int
    end: int
    words: int = 0
    digits: bool = False

    def add(self, token: re.Match[str]) -> None:
        self.words += 1
        if self.words <= REACH:
            self.end = token.end()
        self.digits = self.digits or token[0][0].isdigit()


def denied(text: str, guard: re.Match[str], segment: Segment) -> Iterator[tuple[int, int, bool]]:
    """Stretches (start, end) under the denial ``guard`` in its segment, and whether each surely is.

    The first begins right behind the denial; none is empty.
    """
    items = _items(text, guard.end(), segment.end)
    last = max((k for k, item in enumerate(items) if item.joined in _GOES_ON), default=0)
    for k, item in enumerate(items):
        if item.end <= item.start:
            continue
        if k <= last:
            yield item.start, item.end, True
        elif item.digits or item.words > REACH:
            return
        elif item.joined == "," or _WHOLE.match(guard[0]):
            yield item.start, item.end, False
        else:
            return


def _items(text: str, begin: int, end: int) -> list[_Item]:
    """The list that begins behind a denial."""
    items = [_Item("", begin, begin)]
    for token in _TOKEN.finditer(text, begin, end):
        word, item = token[0].lower(), items[-1]
        if word in (",", "and", *_GOES_ON):
            if not item.words and item.joined == ",":
                item.joined = word  # ", or"
                continue
            if not item.words or len(items) == _MOST_ITEMS:
                break
            items.append(_Item(word, token.end(), token.end()))
        elif (word in _VERBS and item.words) or item.words == _LONGEST_ITEM:
            # A clause of its own behind a comma.
            return items[:-1] if item.joined in (",", "and") else items
        elif word in _ENDS or not word[0].isalnum():
            break
        else:
            if item.joined and not item.words:
                item.start = token.start()
            item.add(token)
    return items
