"""Reads a page as a browser would and complains of everything that a report never writes."""

from __future__ import annotations

import re
from html.parser import HTMLParser

VOID = {"meta", "br"}
SVG_EMPTY = {"circle", "rect", "path", "polyline", "polygon"}
_TAGS = """
html head meta title style body header nav footer section article details summary
h1 h2 h3 h4 h5 p div span ul ol li b i small sup bdi mark code br a
table thead tbody tr th td svg g text tspan
"""
_ATTRIBUTES = """
lang charset name content http-equiv class id href style title dir role
viewbox preserveaspectratio aria-label x y dx width height rx cx cy r d points
"""
TAGS, ATTRIBUTES = {*_TAGS.split(), *SVG_EMPTY}, set(_ATTRIBUTES.split())
STYLE = re.compile(r"width:\d+(\.\d+)?%")


class Page(HTMLParser):
    """``text``: all that is shown; ``marks``: the words of each mark, without their numbers."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.pieces: list[str] = []
        self.marks: list[tuple[str, str]] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.titles: list[str] = []
        self.feed(page)
        self.close()
        assert not self.open, f"left open: {self.open}"
        assert len(set(self.ids)) == len(self.ids), "an id comes twice"
        assert {link.removeprefix("#") for link in self.links} <= set(self.ids)

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in TAGS, f"<{tag}> in {self.open}"
        for name, value in attrs:
            assert name in ATTRIBUTES, f"{name} of <{tag}>"
            if name == "style":
                assert STYLE.fullmatch(value or ""), value
            if name == "href":
                assert (value or "").startswith("#"), value
                self.links.append(value or "")
            if name == "id":
                self.ids.append(value or "")
            if name == "title":
                self.titles.append(value or "")
        if tag == "mark":
            self.marks.append((dict(attrs).get("class") or "", ""))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in SVG_EMPTY, tag
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if "style" in self.open:
            return
        self.pieces.append(data)
        if "mark" in self.open and "sup" not in self.open:
            kind, words = self.marks[-1]
            self.marks[-1] = (kind, words + data)
