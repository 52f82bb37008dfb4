"""Packing keeps products apart and positions follow the library's own M-RoPE rule."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from moonshelf.encoder.sequence import IMAGE, TEXT, Tokens, attention_mask, pack


def product(pictures: list[tuple[int, int]], words: int) -> Tokens:
    tokens = Tokens()
    for grid in pictures:
        tokens.add_picture(grid, image_id=9, markers=(7, 8))
    tokens.add_text(list(range(20, 20 + words)))
    return tokens


shapes = st.lists(
    st.tuples(
        st.lists(st.tuples(st.integers(1, 3), st.integers(1, 3)), max_size=2), st.integers(1, 9)
    ),
    min_size=1,
    max_size=20,
)


@settings(max_examples=60, deadline=None)
@given(shapes, st.sampled_from([0, 8, 24, 48]))
def test_every_token_is_packed_once_and_in_order(shape, capacity) -> None:
    products = [product(pictures, words) for pictures, words in shape]
    batch = pack(products, capacity, pad_id=0)
    visual = 0
    for k, tokens in enumerate(products):
        at = batch["segment"] == k
        assert batch["input_ids"][at].tolist() == tokens.ids
        assert batch["kinds"][at].tolist() == tokens.kinds
        assert np.array_equal(batch["position_ids"][:, at].numpy(), tokens.positions())
        assert batch["last"][k] == at.flatten().nonzero()[-1, 0]
        count = tokens.kinds.count(IMAGE)
        mine = batch["visual_at"][visual : visual + count]
        assert torch.equal(mine, (at & (batch["kinds"] == IMAGE)).flatten().nonzero()[:, 0])
        visual += count
    assert int((batch["segment"] >= 0).sum()) == sum(len(p.ids) for p in products)
    if capacity == 0:
        assert len(batch["input_ids"]) == len(products)


def test_packing_wastes_little_on_short_titles() -> None:
    rng = np.random.default_rng(0)
    products = [product([], int(words)) for words in rng.integers(3, 13, 256)]
    batch = pack(products, 48, 0)
    assert float((batch["segment"] >= 0).float().mean()) > 0.9


def test_positions_equal_the_library() -> None:
    from transformers import Qwen3VLConfig, Qwen3VLModel

    with torch.device("meta"):
        model = Qwen3VLModel(
            Qwen3VLConfig(text_config={"num_hidden_layers": 1}, vision_config={"depth": 1})
        )
    tokens = product([(2, 3), (4, 1)], 5)
    kinds = torch.tensor([[1 if kind == IMAGE else 0 for kind in tokens.kinds]])
    grid = torch.tensor([[1, 4, 6], [1, 8, 2]])  # before the 2 x 2 merge
    expected, _ = model.get_rope_index(torch.tensor([tokens.ids]), kinds, image_grid_thw=grid)
    assert np.array_equal(tokens.positions(), expected[:, 0].numpy())


def test_mask_is_block_diagonal() -> None:
    segment = torch.tensor([[0, 0, 1, 1, -1]])
    open_mask = attention_mask(segment, causal=False, dtype=torch.float32)[0, 0] == 0
    assert torch.equal(open_mask, segment[0][:, None] == segment[0][None])
    causal = attention_mask(segment, causal=True, dtype=torch.float32)[0, 0] == 0
    assert torch.equal(causal, open_mask.tril())
    assert TEXT != IMAGE
