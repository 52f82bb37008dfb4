"""Properties: what they hold, how many documents state them, how their values are spread."""

from __future__ import annotations

from collections.abc import Sequence

from moonshelf.graph.report.charts import bins, histogram, numbers, word_bars
from moonshelf.graph.report.findings import Findings, PropertyUse
from moonshelf.graph.report.picture import KINDS, kind_of, name_of
from moonshelf.graph.report.sections.section import Section
from moonshelf.graph.report.sections.values import symbol
from moonshelf.graph.report.texts import bar, bdi, esc, left_out, percent, share_of

MOST_CARDS, MOST_FLAGS = 60, 90
_GROUPS = (("Numbers", ("num",)), ("Words and shared entities", ("node", "word")))


def properties(found: Findings) -> Section:
    """Cards for numbers and words, one line each for what is yes or no."""
    used = [use for use in found.properties if use.documents]
    unused = len(found.properties) - len(used)
    lead = (
        f"{len(used):,} of {len(found.properties):,} properties are stated by at least one "
        "document. A share is of the documents whose class can have the property."
    )
    body = []
    for title, kinds in _GROUPS:
        some = [use for use in used if kind_of(use) in kinds]
        if some:
            made = "".join(map(_card, some[:MOST_CARDS]))
            rest = left_out(min(len(some), MOST_CARDS), len(some), "properties")
            body.append(f'<h3>{title}</h3><div class="grid">{made}</div>{rest}')
    flags = [use for use in used if kind_of(use) == "flag"]
    if flags:
        rest = left_out(min(len(flags), MOST_FLAGS), len(flags), "properties")
        body.append(f"<h3>{KINDS['flag'].capitalize()}</h3>{_flags(flags[:MOST_FLAGS])}{rest}")
    if unused:
        names = ", ".join(name_of(use) for use in found.properties if not use.documents)
        body.append(f'<p class="note">Stated by no document: {esc(names, 1000)}</p>')
    return Section("properties", "Properties", lead, "".join(body))


def _card(use: PropertyUse) -> str:
    owned, kind = use.definition, kind_of(use)
    share = share_of(use.documents, use.possible)
    unit = symbol(owned.unit)
    told = " \u00b7 ".join(p for p in (owned.datatype, unit, f"of {owned.domain}") if p)
    many = " \u00b7 several values" if owned.many else ""
    examples = ", ".join(f"\u201c{bdi(text, 40)}\u201d" for text in use.examples)
    quoted = f'<p class="said">{examples}</p>' if examples else ""
    return (
        f'<article class="card k-{kind}"><h4>{esc(name_of(use), 60)}</h4>'
        f'<p class="soft">{esc(told)}{many}</p>'
        f'<p class="use">{bar(share)}<span>{use.documents:,} \u00b7 {percent(share)}</span></p>'
        f"{_spread(use, unit)}{quoted}</article>"
    )


def _spread(use: PropertyUse, unit: str) -> str:
    """Bins of numbers, or the most frequent words."""
    ranges = f'<p class="note">and {use.ranges:,} ranges</p>' if use.ranges else ""
    if kind_of(use) == "num":
        spread = bins(numbers(use.values))
        return ("" if spread is None else histogram(spread, unit)) + ranges
    return word_bars(use.values, use.statements)


def _flags(some: Sequence[PropertyUse]) -> str:
    most = max(use.documents for use in some)
    lines = []
    for use in some:
        said = dict(use.values)
        no = said.get("false", 0)
        denied = f' <small class="no">{no:,} no</small>' if no else ""
        lines.append(
            f'<li><span class="v">{bdi(name_of(use), 60)}{denied}</span>'
            f'{bar(share_of(use.documents, most))}<span class="n">{use.documents:,}</span></li>'
        )
    return f'<ul class="words flags k-flag">{"".join(lines)}</ul>'
