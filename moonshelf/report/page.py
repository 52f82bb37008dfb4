"""One self-contained HTML page: no script, no request, light and dark, everything escaped.

Sections bring finished HTML fragments from the rooms that own them (evaluation's tables, the
center's result strips), so the page itself knows only how to lay them out.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from moonshelf.center.strip import STRIP_STYLE
from moonshelf.files import write_bytes_atomically

_STYLE = """
:root{--ink:#1b1e24;--soft:#5d6573;--line:#dfe3ea;--card:#fff;--well:#f3f5f8;--bar:#2f6fde}
@media(prefers-color-scheme:dark){:root{--ink:#e8eaf0;--soft:#9aa3b2;--line:#2c323d;--card:#1a1e26;
 --well:#232935;--bar:#6aa1ff}}
*{box-sizing:border-box}
body{margin:0 auto;padding:28px 24px 80px;max-width:1180px;background:#fafbfc;color:var(--ink);
 font:15px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
@media(prefers-color-scheme:dark){body{background:#12151b}}
h1{font-size:28px;margin:0 0 6px}h2{font-size:21px;margin:44px 0 8px}
h3{font-size:17px;margin:30px 0 6px}h4{font-size:15px;margin:26px 0 6px}
p,li{color:var(--soft);max-width:78ch}nav a{color:var(--bar);margin-right:16px;text-decoration:none}
.facts{display:grid;grid-template-columns:repeat(auto-fill,minmax(150px,1fr));gap:10px;
 margin:14px 0}
.facts div{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:10px 14px}
.facts b{display:block;font-size:20px;font-variant-numeric:tabular-nums;overflow-wrap:anywhere}
.facts span{color:var(--soft);font-size:12.5px}
.scroll,.evaluation{overflow-x:auto}
table{border-collapse:collapse;font-size:13.5px;font-variant-numeric:tabular-nums;
 background:var(--card)}
th,td{border:1px solid var(--line);padding:5px 10px;text-align:right;white-space:nowrap}
th:first-child,tbody th{text-align:left}thead th{background:var(--well)}
tbody tr:nth-child(2) th{font-weight:700}
details{color:var(--soft);font-size:13px;margin:4px 0 0}summary{cursor:pointer}
.plots{display:flex;flex-wrap:wrap;gap:16px}
.plots figure{margin:0;background:#fff;border-radius:10px;
 border:1px solid var(--line);padding:8px;flex:1 1 340px;max-width:560px}
.plots svg{width:100%;height:auto;display:block}
"""


@dataclass(frozen=True)
class Section:
    """A heading, a sentence on how to read it, figures to see first, and a finished fragment."""

    title: str
    lead: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    body: str = ""

    @property
    def anchor(self) -> str:
        return re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-")

    def to_html(self) -> str:
        cards = "".join(
            f"<div><b>{html.escape(value)}</b><span>{html.escape(name)}</span></div>"
            for name, value in self.facts.items()
        )
        facts = f'<div class="facts">{cards}</div>' if cards else ""
        return (
            f'<section id="{self.anchor}"><h2>{html.escape(self.title)}</h2>'
            f"<p>{html.escape(self.lead)}</p>{facts}{self.body}</section>"
        )


def write_report(path: Path, title: str, lead: str, sections: Sequence[Section]) -> Path:
    """Writes the page whole or not at all, and returns ``path``."""
    links = "".join(f'<a href="#{s.anchor}">{html.escape(s.title)}</a>' for s in sections)
    body = "\n".join(section.to_html() for section in sections)
    page = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "img-src data:; style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'\">"
        f'<meta name="color-scheme" content="light dark"><title>{html.escape(title)}</title>'
        f"<style>{_STYLE}{STRIP_STYLE}</style></head><body><h1>{html.escape(title)}</h1>"
        f"<p>{html.escape(lead)}</p><nav>{links}</nav>\n{body}\n</body></html>\n"
    )
    write_bytes_atomically(path, page.encode())
    return path
