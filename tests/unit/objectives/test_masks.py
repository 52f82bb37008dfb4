"""Labels, joined tile by tile, give the boolean mask that nobody stores."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings

from moonshelf.errors import UsageError
from moonshelf.objectives.contrastive import KeepOut, info_nce
from moonshelf.objectives.masks import LabelMask, _distinct
from tests.unit.objectives.batches import Batch, batches


def brute_force(keep_out: KeepOut, rows: int, items: int, offset: int, extra: int) -> torch.Tensor:
    """[rows, items + extra] bool: True where labels keep a pair out."""
    out = torch.zeros(rows, items + extra, dtype=torch.bool)
    pairs = (
        (keep_out.item_ids, keep_out.extra_item_ids),
        (keep_out.groups, keep_out.extra_groups),
        (keep_out.queries, keep_out.extra_queries),
        (keep_out.texts, keep_out.extra_texts),
    )
    for own, more in pairs:
        if own is not None:
            more = torch.full((extra,), -1) if more is None else more
            mine, columns = own[offset : offset + rows], torch.cat([own, more])
            out |= (mine[:, None] == columns) & (mine[:, None] >= 0)
    if keep_out.known is not None and keep_out.item_ids is not None:
        more = keep_out.extra_item_ids
        more = torch.full((extra,), -1) if more is None else more
        columns = torch.cat([keep_out.item_ids, more])
        for row, item_id in keep_out.known.tolist():
            out[row] |= (columns == item_id) & (item_id >= 0)
    out[torch.arange(rows), torch.arange(rows) + offset] = False
    return out


@given(batch=batches())
@settings(deadline=None, max_examples=150)
def test_tiles_of_the_mask_are_the_mask(batch: Batch) -> None:
    keep_out = batch.options.get("keep_out") or KeepOut()
    extra = batch.extra()
    rows, items, offset = len(batch.query), len(batch.item), batch.options["offset"]
    more = 0 if extra is None else len(extra)
    want = brute_force(keep_out, rows, items, offset, more)
    mask = LabelMask(keep_out, rows, offset, more)
    for low in range(0, items + more, batch.tile):
        high = min(low + batch.tile, items + more)
        stripe = mask.stripe(low, high)
        for top in range(0, rows, batch.tile):
            bottom = min(top + batch.tile, rows)
            tile = torch.zeros(bottom - top, high - low, dtype=torch.int64)
            hits = stripe.dropped(top, bottom)
            if hits is not None:
                tile.view(-1).index_add_(0, hits, torch.ones_like(hits))  # 2 if reported twice
            assert torch.equal(tile, want[top:bottom, low:high].long())


def int64(*labels: int) -> torch.Tensor:
    return torch.tensor(labels)


WRONG = {
    "shape": (KeepOut(item_ids=int64(1, 2)), r"keep_out.item_ids is torch.int64 \[2\]"),
    "type": (KeepOut(groups=torch.zeros(3)), "keep_out.groups is torch.float32"),
    "extra": (KeepOut(item_ids=int64(1, 2, 3), extra_item_ids=int64(1)), r"\[0\]"),
    "alone": (KeepOut(extra_groups=torch.zeros(0, dtype=torch.int64)), "groups is missing"),
    "known": (KeepOut(known=int64(1, 2)[None]), "item_ids is missing"),
    "row": (KeepOut(item_ids=int64(1, 2, 3), known=int64(3, 2)[None]), "outside 0..2"),
    "width": (KeepOut(item_ids=int64(1, 2, 3), known=int64(1, 2, 3)[None]), r"\[1, 2\]"),
    "margin": (KeepOut(margin=-0.1), "margin is -0.1"),
    "nan": (KeepOut(margin=float("nan")), "margin is nan"),
}


@pytest.mark.parametrize("keep_out, message", WRONG.values(), ids=WRONG.keys())
def test_wrong_labels_say_so(keep_out: KeepOut, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        info_nce(torch.eye(3), torch.eye(3), keep_out=keep_out)
    assert caught.value.cure


def test_the_margin_drops_what_passes_the_positive_by_more() -> None:
    query = torch.eye(3)
    item = torch.tensor([[0.5, 0, 0], [0.59, 0, 0], [0.61, 0, 0]])
    # Row 0: positive 0.5, negatives 0.59 (kept) and 0.61 (dropped). Rows 1, 2: all zeros.
    share = info_nce(query, item, keep_out=KeepOut(margin=0.1)).figures()["masked_share"]
    assert share == pytest.approx(1 / 6)
    assert info_nce(query, item, keep_out=KeepOut(margin=None)).figures()["masked_share"] == 0
    assert info_nce(query, item).figures()["masked_share"] == 0


@pytest.mark.parametrize("count", [0, 1, 500])
def test_entries_are_listed_once_in_order(count: int) -> None:
    generator = torch.Generator().manual_seed(count)
    rows = torch.randint(0, 20, (count,), generator=generator)
    labels = torch.tensor([0, 7, 2**62, 2**63 - 1])[
        torch.randint(0, 4, (count,), generator=generator)
    ]
    entries = torch.stack([rows, labels], dim=1)
    assert torch.equal(_distinct(entries), torch.unique(entries, dim=0))
