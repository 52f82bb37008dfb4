"""What a row is not shown it does not see: no token of another modality, no token of another row
(methods.md 10.4). Told by gradients: what a vector does not depend on gets none."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from moonshelf.catalog.product import Content
from moonshelf.encoder import Encoder, build_encoder
from tests.unit.encoder.conftest import CONFIGS, photo, titles, wake

WORDS, PICTURE, BOTH = 0, 1, 2
CONTENTS = [
    Content("red women"),
    Content(None, (photo(1),)),
    Content("blue denim", (photo(2),)),
]


@pytest.fixture(params=CONFIGS)
def encoder(request: pytest.FixtureRequest) -> Encoder:
    built = build_encoder(CONFIGS[request.param], titles(200))
    wake(built)
    return built.train()


def seen(encoder: Encoder, row: int) -> tuple[set[int], bool]:
    """(ids of words, whether a picture) that the vector of a row follows from, in a batch of all
    three."""
    embeddings = _words(encoder)
    vector = encoder(encoder.collate(CONTENTS))[row]
    direction = torch.linspace(-1, 1, encoder.dim)
    tower = [weight for name, weight in encoder.named_parameters() if _sees(name)]
    assert tower
    gradients = torch.autograd.grad(vector @ direction, [embeddings, *tower], allow_unused=True)
    of_words, *of_pictures = gradients
    ids: set[int] = set()
    if of_words is not None:
        ids = set(of_words.abs().sum(1).nonzero().squeeze(1).tolist())
    return ids - _control(encoder), any(g is not None and bool(g.any()) for g in of_pictures)


def _words(encoder: Encoder) -> Tensor:
    return next(w for n, w in encoder.named_parameters() if n.endswith("embed_tokens.weight"))


def _sees(name: str) -> bool:
    """Whether a weight is of the part that looks at pictures."""
    return any(part in name for part in ("visual.", "trunk.", "image_head."))


def _control(encoder: Encoder) -> set[int]:
    """Ids that stand for no word: they may be in any row."""
    names = ("<|image_pad|>", "<|vision_start|>", "<|vision_end|>", "<|emb|>")
    return {encoder.tokenizer.id(name) for name in names}


def test_a_row_sees_its_own_words_and_its_own_picture_alone(encoder: Encoder) -> None:
    own = [set(ids) for ids in encoder.tokenizer.encode(["red women", "blue denim"], 16)]
    assert own[0] and own[1] and not own[0] & own[1]
    assert seen(encoder, WORDS) == (own[0], False)
    assert seen(encoder, PICTURE) == (set(), True)
    assert seen(encoder, BOTH) == (own[1], True)


def test_no_row_follows_another_rows_picture(encoder: Encoder) -> None:
    """Nor what the batch holds at all: each row alone gives the same vector."""
    encoder.eval()
    together = encoder.embed(CONTENTS)
    other = [CONTENTS[WORDS], CONTENTS[PICTURE], Content("blue denim", (photo(9),))]
    moved = abs(encoder.embed(other) - together).max(axis=1)
    assert moved[BOTH] > 1e-4 and max(moved[WORDS], moved[PICTURE]) < 1e-6
    for row, content in enumerate(CONTENTS):
        assert abs(encoder.embed([content])[0] - together[row]).max() < 1e-5
