"""Products that are one, products that are variants of one another."""

from __future__ import annotations

from moonshelf.graph.report.findings import Disagreement, Findings, Group, Links, Variants
from moonshelf.graph.report.links import difference_name
from moonshelf.graph.report.sections.section import Section
from moonshelf.graph.report.texts import bdi, count, esc, left_out
from moonshelf.graph.schema.apply import spoken


def links(found: Findings) -> Section:
    """Groups of the same product, kinds of variants, and what the same product's texts dispute."""
    what = found.links
    lead = (
        f"{count(what.group_count, 'group')} of products that are one and the same "
        f"({count(what.same, 'sameAs link')}), {count(what.variants, 'pair')} of variants; "
        f"{count(what.compared, 'pair')} compared."
    )
    if what.held_back:
        held = count(what.held_back, "pair was", "pairs were")
        lead += f" {held} held back, as joining them would make variants one product."
    return Section("links", "Same products and variants", lead, _same(what) + _variants(what))


def _same(what: Links) -> str:
    if not what.groups:
        return ""
    made = "".join(map(_group, what.groups))
    body = f'<h3>One and the same</h3><div class="grid two">{made}</div>'
    body += left_out(len(what.groups), what.group_count, "groups")
    if what.disagreements:
        lines = "".join(f"<li>{_dispute(one)}</li>" for one in what.disagreements)
        body += (
            "<h4>What they disagree on</h4><p>Linked by an identifier, and yet described "
            f'differently: worth a look.</p><ul class="turned">{lines}</ul>'
        )
        body += left_out(len(what.disagreements), what.disagreement_count, "disagreements")
    return body


def _group(one: Group) -> str:
    lines = "".join(
        f"<li>{bdi(title, 140)} <small>{bdi(name, 40)}</small></li>" for name, title in one.members
    )
    rest = left_out(len(one.members), one.size, "members")
    return (
        f'<article class="card"><p class="eyebrow">{one.size:,} products \u00b7 weakest link '
        f'{one.score:.2f}</p><ul class="members">{lines}</ul>{rest}</article>'
    )


def _dispute(one: Disagreement) -> str:
    values = ", ".join(f"<b>{bdi(value, 60)}</b> ({bdi(name, 40)})" for name, value in one.values)
    return f"{esc(spoken(one.property), 60)}: {values}"


def _variants(what: Links) -> str:
    if not what.kinds:
        return ""
    made = "".join(map(_kind, what.kinds))
    return (
        f'<h3>Variants, by what they differ in</h3><div class="grid two">{made}</div>'
        f"{left_out(len(what.kinds), what.kind_count, 'kinds of variants')}"
    )


def _kind(one: Variants) -> str:
    names = "".join(
        f'<span class="step">{esc(difference_name(n))}</span> ' for n in one.differences
    )
    pair = "".join(f"<li>{bdi(title, 140)}</li>" for _, title in (one.left, one.right))
    return (
        f'<article class="card"><p class="eyebrow">{count(one.pairs, "pair")}</p>'
        f'<p>{names}</p><ul class="members">{pair}</ul></article>'
    )
