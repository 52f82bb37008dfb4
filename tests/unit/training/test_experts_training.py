"""Which words of a step are marked, and what training with experts tells and starts from."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from moonshelf.catalog.marks import Mark, Marked, Span
from moonshelf.catalog.product import Content, Product, Query, View, product_content, product_text
from moonshelf.catalog.store import Catalog
from moonshelf.catalog.writer import CatalogWriter
from moonshelf.encoder import VlmConfig, build_encoder
from moonshelf.errors import UsageError
from moonshelf.training.augment import augment_text
from moonshelf.training.checkpoint import LoopState
from moonshelf.training.contents import ContentSource, Draws
from moonshelf.training.loop import run_loop
from moonshelf.training.optim import build_optimizer, embedding_names
from moonshelf.training.precision import Precision
from moonshelf.training.recipe import Recipe
from moonshelf.training.schedule import Schedule
from moonshelf.training.settings import AlignConfig, AugmentConfig, PairConfig, TermConfig
from moonshelf.training.stages.align import AlignStage
from moonshelf.training.start import check_start, started_encoder
from tests.invariants.parallel_job import CPU, ENCODERS
from tests.small_shop import picture

LOOKS = [("red", "bar"), ("blue", "cross"), ("black", "square"), ("green", "frame")]
FIELDS = ("title", "category", "attributes", "description")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    path, rng = tmp_path_factory.mktemp("shop") / "catalog", np.random.default_rng(0)
    with CatalogWriter(path) as writer:
        for row in range(24):
            color, shape = LOOKS[row % 4]
            writer.add_product(
                Product(
                    f"p{row}",
                    f"the {color} number {row}",
                    (picture(color, shape, "large", rng),),
                    ("shapes", shape),
                    {"color": (color, "plain"), "form": (shape,)},
                    "a story of cloth and color",
                )
            )
        writer.add_query(Query("q", "a red bar", positives=("p0",)))
        writer.commit()
    return Catalog.open(path)


def said(content: Content) -> list[tuple[str, Mark]]:
    assert content.text is not None
    return [(content.text[start:stop], mark) for start, stop, mark in content.marks]


def test_fields_are_marked_and_their_text_is_what_it_was(shop: Catalog) -> None:
    product = shop[1]
    whole = product_content(product, View.BOTH, FIELDS)
    assert whole.text == product_text(product, FIELDS)
    assert whole.text == (
        "the blue number 1 | shapes > cross | color: blue, plain; form: cross | "
        "a story of cloth and color"
    )
    assert said(whole) == [
        ("shapes > cross", Mark.CATEGORY),
        ("color: blue, plain; form: cross", Mark.ATTRIBUTE),
    ]
    rows = np.array([1, len(shop)])
    read = ContentSource(shop, None, FIELDS)(rows, View.TEXT)
    assert said(read[0]) == said(whole) and read[0].text == whole.text
    assert (read[1].text, read[1].marks) == ("a red bar", ())  # what is typed is general
    assert ContentSource(shop, None)(rows, View.BOTH)[0].marks == ()
    assert product_content(product, View.IMAGE, FIELDS).marks == ()


@pytest.mark.parametrize("shown", ["attributes", "richer"])
def test_drawn_values_are_marked_whatever_words_are_dropped(shop: Catalog, shown: str) -> None:
    source = ContentSource(shop, None)
    rows = np.arange(24)
    dropping = AugmentConfig(**{shown: 1.0, "word_drop": 0.3, "description_words": 2})
    colors = {color for color, _ in LOOKS} | {"plain"}
    shapes, seen = {shape for _, shape in LOOKS}, set()
    for step in range(8):
        for content in source(rows, View.TEXT, dropping, Draws((step,), 24)):
            text = content.text or ""
            marked = said(content)
            seen |= set(marked)
            places = {place for start, stop, _ in content.marks for place in range(start, stop)}
            rest = "".join(" " if k in places else c for k, c in enumerate(text)).split()
            if shown == "attributes":
                assert not rest
            assert not {"plain", *shapes} & set(rest)
    # A value that names the leaf of the category too is category.
    assert seen == {(c, Mark.ATTRIBUTE) for c in colors} | {(s, Mark.CATEGORY) for s in shapes}


def test_richer_text_keeps_the_marks_of_the_title() -> None:
    title = Marked("a mug | cups", (Span(8, 12, Mark.CATEGORY),))
    values = [Marked.whole("blue", Mark.ATTRIBUTE), Marked("")]
    found = augment_text(title, "of old", values, AugmentConfig(richer=1.0), 0)
    assert found == (
        "a mug | cups blue of old",
        (Span(8, 12, Mark.CATEGORY), Span(13, 17, Mark.ATTRIBUTE)),
    )


def trained(shop: Catalog, mini_batch: int | None, **experts: Any) -> list[dict[str, Any]]:
    """Lines of the log of two steps."""
    config = VlmConfig.model_validate(ENCODERS["vlm"].model_dump() | {"experts": experts})
    source = ContentSource(shop, None)
    encoder = build_encoder(config, source.texts(np.arange(len(source))), seed=1)
    values = PairConfig(query=View.TEXT, item=View.BOTH, query_attributes=1.0)
    term = TermConfig(query=View.TEXT, item=View.IMAGE, together={"values": values})
    settings = AlignConfig(steps=2, log_every=1, batch=12, mini_batch=mini_batch, terms={"x": term})
    stage = AlignStage("align", settings, encoder, source, seed=7, device=CPU)
    optimizer = build_optimizer(
        encoder.named_parameters(), settings.optimizer, embeddings=embedding_names(encoder)
    )
    lines: list[Any] = []
    run_loop(
        stage,
        optimizer,
        Schedule(settings),
        settings,
        state=LoopState("align"),
        precision=Precision(torch.float32, None, "test"),
        device=CPU,
        hooks=[lambda state, line, last: lines.append(line)],
    )
    return lines


def test_a_log_tells_of_experts_the_same_in_mini_batches(shop: Catalog) -> None:
    whole, cut = (trained(shop, mini, kind="guided", load_balance=0.5) for mini in (None, 5))
    first = whole[0]
    assert {k for k in first if k.startswith(("experts/", "balance"))} == {
        "balance",
        *(f"experts/1/share/{e}" for e in (0, 1, 2, 3, "category", "attribute")),
        *(f"experts/1/a/{name}" for name in ("category", "attribute")),
        "experts/1/entropy",
        "experts/1/dropped",
    }
    assert first["experts/1/dropped"] == 0 and first["experts/1/a/category"] == 0.5
    assert all(0 < first[f"experts/1/share/{name}"] < 0.5 for name in ("category", "attribute"))
    assert sum(first[f"experts/1/share/{e}"] for e in range(4)) == pytest.approx(2)
    assert 0 < first["experts/1/entropy"] <= math.log(4) + 1e-6 and first["balance"] >= 1 - 1e-6
    for name in first.keys() & {"loss", "gradient_norm", "balance", "experts/1/entropy"}:
        assert cut[0][name] == pytest.approx(first[name], rel=2e-5), name
    assert first["loss"] > first["contrast"]
    assert not any(k.startswith("experts/") for k in trained(shop, None, kind="none")[0])


def test_a_dense_run_starts_one_with_experts(shop: Catalog, tmp_path: Path) -> None:
    dense = build_encoder(ENCODERS["vlm"], ["a red bar", "a blue cross"], seed=1)
    torch.nn.init.normal_(
        dense.get_parameter("backbone.language_model.layers.1.mlp.down_proj.weight")
    )
    dense.save(tmp_path / "encoder")
    term = {"x": {"query": "t", "item": "i"}}

    def recipe(seed: int = 0, **experts: Any) -> Recipe:
        config = ENCODERS["vlm"].model_dump() | {"experts": experts}
        stages = {"align": {"steps": 1, "terms": term}}
        given = {"seed": seed, "start": str(tmp_path), "encoder": config, "stages": stages}
        return Recipe.model_validate(given)

    contents = [product_content(shop[row], View.BOTH, FIELDS) for row in range(6)]
    grown = started_encoder(recipe(kind="guided"))
    assert grown is not None and grown.config.kind == "vlm"
    assert grown.config.experts.kind == "guided"
    assert np.abs(grown.embed(contents) - dense.embed(contents)).max() < 1e-5
    again, other = (started_encoder(recipe(seed, kind="guided")) for seed in (0, 1))
    assert again is not None and other is not None
    name = "backbone.language_model.layers.1.mlp.router.weight"
    assert torch.equal(again.get_parameter(name), grown.get_parameter(name))
    assert not torch.equal(other.get_parameter(name), grown.get_parameter(name))
    grown.save(tmp_path / "encoder")
    assert started_encoder(recipe(kind="guided")) is not None
    for wrong in ({"kind": "none"}, {"kind": "unguided"}, {"kind": "guided", "top_k": 1}):
        with pytest.raises(UsageError, match="experts"):
            check_start(recipe(**wrong))
