"""The page: one file of HTML without scripts, pictures or requests, light and dark."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from moonshelf.files import write_bytes_atomically
from moonshelf.graph.report.findings import Findings
from moonshelf.graph.report.gather import gather
from moonshelf.graph.report.sections.evidence import MOST_FACTS, evidence
from moonshelf.graph.report.sections.head import hero, sizes
from moonshelf.graph.report.sections.links import links
from moonshelf.graph.report.sections.machine import machine
from moonshelf.graph.report.sections.ontology import ontology
from moonshelf.graph.report.sections.properties import properties
from moonshelf.graph.report.sections.reach import reach
from moonshelf.graph.report.sections.story import story
from moonshelf.graph.report.sections.troubles import troubles
from moonshelf.graph.report.texts import esc
from moonshelf.graph.stages import Stages, quiet

FILE = "report.html"
_SECTIONS = (sizes, ontology, properties, evidence, reach, troubles, links, story, machine)
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'"


def write_report(graph: Path, path: Path | None = None, stages: Stages = quiet) -> Findings:
    """Reads a graph folder and writes its page, whole or not at all.

    Args:
        graph: a folder that ``graph build`` finished.
        path: of the page; ``report.html`` in the folder by default.
        stages: shows how far it is.

    Raises:
        StoreError: see :func:`~moonshelf.graph.report.gather.gather`.
    """
    found = gather(graph, stages)
    write_bytes_atomically(path or graph / FILE, to_html(found).encode())
    return found


def to_html(found: Findings) -> str:
    """The whole page."""
    sections = [make(found) for make in _SECTIONS]
    links_to = "".join(f'<a href="#{one.anchor}">{one.anchor.capitalize()}</a>' for one in sections)
    body = "\n".join(section.to_html() for section in sections)
    title = f"{found.about.name}: product knowledge graph"
    top = f"{hero(found)}<nav>{links_to}</nav>\n"
    return framed(title, f"{top}{body}", found.about.moonshelf)


def framed(title: str, body: str, version: str, facts: int = MOST_FACTS) -> str:
    """A page around ``body`` (HTML): head, style, and a policy that lets nothing in.

    Args:
        title: plain text.
        body: its texts are escaped.
        version: of moonshelf.
        facts: how many facts of one document are shown at most.
    """
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f'<meta name="color-scheme" content="light dark"><title>{esc(title, 120)}</title>'
        f"<style>{_style(facts)}</style></head><body>{body}\n"
        f"<footer>Made by moonshelf {esc(version)}. This page runs no script and "
        "asks for nothing.</footer></body></html>\n"
    )


def _style(facts: int) -> str:
    """The style sheet, and a rule a fact: pointing at its words or at it shows both."""
    sheet = files("moonshelf.graph.report").joinpath("style.css").read_text(encoding="utf-8")
    pairs = ",".join(
        f".doc:has(.f{k}:hover) .m{k},.doc:has(.m{k}:hover) .f{k}" for k in range(1, facts + 1)
    )
    return f"{sheet}{pairs}{{background:var(--hit)}}"
