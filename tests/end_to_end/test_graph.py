"""Listings to a graph through the command line: built, killed, updated, asked, exported."""

from __future__ import annotations

import csv
import os
import random
import time
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.command import answer, said, start

BRANDS = ("Norvik", "Sundara", "Kelvo", "Aerotal", "Brisia")
FEATURES = ("Wi-Fi", "Anti Dust Filter", "Auto Clean", "Sleep Mode")


def listings(count: int = 120) -> list[dict[str, str]]:
    """Titles as shops write them, of products that do not exist."""
    rng = random.Random(11)
    rows = []
    for k in range(count):
        brand, ton = rng.choice(BRANDS), rng.choice(("0.8", "1", "1.5", "2"))
        kind = rng.choice(("Split AC", "Window AC", "Split Air Conditioner"))
        stars, year = rng.randrange(1, 6), rng.choice(("2021", "2022", "2023"))
        code = (
            f"{brand[:2].upper()}{rng.randrange(10, 99)}{rng.choice('XYZ')}{rng.randrange(1, 9)}QL"
        )
        inside = (rng.choice(("Copper", "Alloy")), *rng.sample(FEATURES, 2), f"{year} Model", code)
        title = f"{brand} {ton} Ton {stars} Star Inverter {kind} ({', '.join(inside)}, White)"
        if k % 9 == 0:
            title = title[:70] + "..."
        rows.append({"sku": f"L{k:03}", "name": title})
    return rows


def written(path: Path, rows: list[dict[str, str]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["sku", "name"])
        writer.writeheader()
        writer.writerows(rows)
    return path


def dump(graph: Path) -> bytes:
    path = graph.with_suffix(".nq")
    said("graph", "export", graph, "--to", path)
    return path.read_bytes()


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("listings") / "items.csv", listings())


@pytest.fixture(scope="module")
def built(table: Path) -> tuple[Path, dict[str, Any]]:
    graph = table.parent / "graph"
    return graph, answer("graph", "build", "--from", table, "--to", graph, fresh=True)


@pytest.mark.slow
def test_every_listing_is_in_the_graph_with_its_evidence(
    built: tuple[Path, dict[str, Any]], table: Path
) -> None:
    graph, summary = built
    assert summary["ledger"]["lost"] == [] and summary["ledger"]["documents"] == 120
    assert summary["ledger"]["quarantined"] == 0 and summary["sound"]
    assert summary["facts"] > 5 * 120
    sparql = "SELECT ?d ?r ?f ?s ?e { GRAPH ?g { ?x v:raw ?r; v:field ?f; v:start ?s; v:end ?e; \
        prov:wasDerivedFrom ?d } }"
    rows = answer("graph", "query", graph, sparql, "--limit", 100_000)["rows"]
    ids = answer("graph", "query", graph, "SELECT ?d ?i { GRAPH ?g { ?d a v:Document; \
        dcterms:identifier ?i } }", "--limit", 1000)["rows"]  # fmt: skip
    names = {row["d"]["value"]: row["i"]["value"] for row in ids}
    titles = {row["sku"]: row["name"] for row in listings()}
    assert len(rows) == summary["facts"]
    for row in rows:
        text = titles[names[row["d"]["value"]]]
        assert text[int(row["s"]["value"]) : int(row["e"]["value"])] == row["r"]["value"]
    assert answer("graph", "validate", graph)["conforms"]


@pytest.mark.slow
def test_a_build_killed_at_any_time_goes_on_to_the_same_bytes(
    built: tuple[Path, dict[str, Any]], table: Path, tmp_path: Path
) -> None:
    """Another hash seed, other processes, four deaths."""
    rng, graph = random.Random(2), tmp_path / "graph"
    for _ in range(4):
        process = start("graph", "build", "--from", table, "--to", graph, "--workers", 2)
        time.sleep(rng.uniform(0.5, 4.0))
        process.kill()
        process.communicate()
    # Its processes notice that it is gone and end; they stay listed until somebody takes note.
    deadline = time.monotonic() + 5
    while _listed(process.pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    summary = answer("graph", "build", "--from", table, "--to", graph)
    assert summary["ledger"] == built[1]["ledger"]
    assert dump(graph) == dump(built[0])


def _listed(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.slow
def test_an_update_does_what_changed_and_deletes_what_is_gone(
    built: tuple[Path, dict[str, Any]], table: Path, tmp_path: Path
) -> None:
    graph = tmp_path / "graph"
    rows = listings()
    written(tmp_path / "items.csv", rows)
    answer("graph", "build", "--from", tmp_path / "items.csv", "--to", graph)
    before = dump(graph)
    rows[3]["name"] = rows[4]["name"].replace("Star", "star")
    written(tmp_path / "items.csv", rows[:-2])
    words = ("graph", "build", "--from", tmp_path / "items.csv", "--to", graph)
    summary = answer(*words, "--prune")
    assert (summary["extracted"], summary["pruned"]) == (1, 2)
    assert summary["ledger"]["documents"] == 118 and summary["sound"]
    assert dump(graph) != before
    written(tmp_path / "items.csv", listings())
    assert answer(*words, "--prune")["extracted"] == 3
    assert dump(graph) == before, "what came back is as it was"


@pytest.mark.slow
def test_exports_agree_on_the_products(built: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    graph, summary = built
    counts = {
        format: answer("graph", "export", graph, "--to", tmp_path / f"x.{format}")["products"]
        for format in ("ttl", "jsonld", "csv")
    }
    assert set(counts.values()) == {summary["ledger"]["graph"]}


@pytest.mark.real_data
def test_six_hundred_real_listings(shared_data: Path, tmp_path: Path) -> None:
    """Nothing lost, everything grounded, every shape holds. Time is told, not judged."""
    words = ("--from", shared_data / "air_conditioners" / "listings.parquet")
    columns = ("--set", "id=id", "--set", "title=name")
    summary = answer("graph", "build", *words, *columns, "--to", tmp_path / "graph", limit=300)
    ledger = summary["ledger"]
    assert (ledger["documents"], ledger["lost"], ledger["quarantined"]) == (600, [], 0)
    assert summary["shapes"]["violations"] == 0 and summary["sound"]
    assert summary["used_properties"] >= 0.97 * summary["properties"]
    print("600 listings:", summary["seconds"], summary["facts"], "facts")
