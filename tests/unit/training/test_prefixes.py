"""Stage align with Matryoshka: prefixes are trained beside the whole vector."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from moonshelf.catalog.pixels import PixelCache
from moonshelf.catalog.product import View
from moonshelf.encoder import build_encoder
from moonshelf.errors import UsageError
from moonshelf.objectives.contrastive import info_nce_dense
from moonshelf.training.contents import ContentSource
from moonshelf.training.settings import AlignConfig, TermConfig
from moonshelf.training.stages.align import AlignStage
from tests.small_encoder import FAST
from tests.small_shop import write_small_shop


def test_prefixes_are_trained_beside_the_whole(tmp_path: Path):
    """The loss is the mean over widths of the loss of unit prefixes; all of them are told."""
    shop = write_small_shop(tmp_path / "catalog", 24)
    terms = {"x": TermConfig(query=View.TEXT, item=View.IMAGE)}
    config = AlignConfig(steps=1, batch=16, terms=terms, matryoshka=(2, 4))
    source = ContentSource(shop, PixelCache.build(shop, 32, 32))
    encoder = build_encoder(FAST, ["a red bar", "a green bar"])
    found = AlignStage("align", config, encoder, source, seed=0, device=torch.device("cpu"))
    work = found.work(0)
    query, item = (torch.cat([encoder(collate()) for collate in side]) for side in work.sides)
    total, report = found.loss(work, query, item)
    (keep_out,) = work.about.keep_out
    by_width = [
        info_nce_dense(
            torch.nn.functional.normalize(query[:, :width], dim=1),
            torch.nn.functional.normalize(item[:, :width], dim=1),
            found.temperature(),
            keep_out=keep_out,
            symmetric=True,
        ).loss
        for width in (2, 4, 8)
    ]
    torch.testing.assert_close(total, sum(by_width) / 3, rtol=1e-5, atol=1e-6)
    for width, loss in zip((2, 4, 8), by_width, strict=True):
        assert float(report[f"contrast@{width}"]) == pytest.approx(float(loss.detach()), rel=1e-5)
    wide = config.model_copy(update={"matryoshka": (4, 16)})
    with pytest.raises(UsageError, match="a prefix of 16 numbers of vectors of 8"):
        AlignStage("align", wide, encoder, source, seed=0, device=torch.device("cpu"))
    with pytest.raises(ValueError, match="increase"):
        AlignConfig(steps=1, terms=terms, matryoshka=(4, 4))
