"""Guided experts: the written-out form, the dense start, rows that are apart, saving, loading."""

from __future__ import annotations

import copy
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import Qwen3VLConfig
from transformers.models.qwen3_vl.modeling_qwen3_vl import Qwen3VLTextMLP

from moonshelf.catalog.marks import Mark, Marked, Span
from moonshelf.catalog.product import Content
from moonshelf.encoder import Encoder, VlmConfig, build_encoder, load_encoder
from moonshelf.encoder.config import ExpertsConfig, TinyConfig
from moonshelf.encoder.experts import GuidedExperts, dense_widths, told
from moonshelf.encoder.language import END, LanguageModel, Question
from moonshelf.encoder.sequence import ATTRIBUTE, CATEGORY, IMAGE, PAD, TEXT
from moonshelf.encoder.text import TextTokenizer
from moonshelf.encoder.vision_language import VisionLanguageEncoder
from moonshelf.encoder.weights import Held, drafting
from moonshelf.errors import CheckpointError, UsageError
from moonshelf.training.optim import build_optimizer, embedding_names
from moonshelf.training.settings import OptimizerConfig
from tests.unit.encoder.conftest import CONFIGS, mixed_contents, photo, titles, wake
from tests.unit.encoder.test_checkpoints import config_for

ARMS = {
    "guided": {"kind": "guided"},
    "hard": {"kind": "guided", "hard": True},
    "unguided": {"kind": "unguided"},
    "one general": {"kind": "guided", "general": 1, "top_k": 1},
}


def marked_contents(count: int) -> list[Content]:
    """Titles, then an attribute, then a category; every third with a picture."""
    found = []
    for k, text in enumerate(titles(count, seed=3)):
        whole = f"{text} cotton | shirt"
        spans = (
            Span(len(text) + 1, len(text) + 7, Mark.ATTRIBUTE),
            Span(len(text) + 10, len(whole), Mark.CATEGORY),
        )
        found.append(Content(whole, (photo(k),) if k % 3 == 0 else (), spans))
    return found


def with_experts(base: str = "stem", **experts: Any) -> VlmConfig:
    config = CONFIGS[base].model_dump()
    return VlmConfig.model_validate(config | {"experts": experts})


def different(**experts: Any) -> Encoder:
    """An encoder whose experts have had time to differ."""
    encoder = build_encoder(with_experts(**experts), titles(200))
    wake(encoder)
    return encoder.eval()


def layer(**experts: Any) -> GuidedExperts:
    """In float64, every expert drawn on its own."""
    config = Qwen3VLConfig(text_config={"hidden_size": 12, "intermediate_size": 10}).text_config
    torch.manual_seed(0)
    made = GuidedExperts(Qwen3VLTextMLP(config).double(), ExpertsConfig(**experts))
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    return made


def written_out(one: GuidedExperts, x: Tensor, kinds: Tensor) -> Tensor:
    """The form of the module's head, token by token: [R, C, D]."""
    rows = []
    for state, kind in zip(x.flatten(0, 1), kinds.flatten().tolist(), strict=True):
        if kind == PAD:
            rows.append(torch.zeros_like(state))
            continue
        probability = torch.softmax(one.router.weight @ state, 0)
        best = sorted(range(one.routed), key=lambda e: -float(probability[e].detach()))
        best = best[: one.config.top_k]
        total = torch.zeros_like(state)
        for e in best:
            total = total + probability[e] / probability[best].sum() * one.experts[e](state)
        subject = {CATEGORY: 0, ATTRIBUTE: 1}.get(kind) if one.guided else None
        if subject is not None:
            own = one.experts[one.routed + subject](state)
            share = 1.0 if one.config.hard else torch.sigmoid(one.mix[subject])
            total = share * own + (1 - share) * total
        rows.append(total)
    return torch.stack(rows).view(x.shape)


@pytest.mark.parametrize("arm", ARMS)
def test_values_and_gradients_are_those_of_the_written_form(arm: str) -> None:
    one = layer(**ARMS[arm])
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(3, 7, 12, generator=generator, dtype=torch.float64, requires_grad=True)
    kinds = torch.tensor([TEXT, IMAGE, CATEGORY, ATTRIBUTE, CATEGORY, TEXT, PAD]).repeat(3, 1)
    weight = torch.randn(x.shape, generator=generator, dtype=torch.float64)
    wanted = [x, *one.parameters()]
    with told([one], kinds):
        found = one(x)
    ours = torch.autograd.grad((found * weight).sum(), wanted, allow_unused=True)
    slow = written_out(one, x, kinds)
    theirs = torch.autograd.grad((slow * weight).sum(), wanted, allow_unused=True)
    torch.testing.assert_close(found, slow, rtol=1e-10, atol=1e-12)
    for a, b in zip(ours, theirs, strict=True):
        assert (a is None) == (b is None)  # an expert without a token is left alone
        if a is not None and b is not None:
            torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-11)


def test_threads_share_a_layer_and_keep_their_own_kinds() -> None:
    one, both_inside = layer(kind="guided").eval(), threading.Barrier(2)
    x = torch.randn(1, 4, 12, generator=torch.Generator().manual_seed(2), dtype=torch.float64)

    def made(kind: int) -> Tensor:
        with torch.no_grad(), told([one], torch.full((1, 4), kind)):
            both_inside.wait(20)
            return one(x)

    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(made, (CATEGORY, ATTRIBUTE)))
    for kind, ours in zip((CATEGORY, ATTRIBUTE), found, strict=True):
        torch.testing.assert_close(ours, written_out(one, x, torch.full((1, 4), kind)))
    assert (found[0] - found[1]).abs().max() > 0.1


def test_experts_without_tokens_have_no_gradient() -> None:
    one = layer(kind="guided", general=8, top_k=1)
    one(torch.randn(1, 1, 12, dtype=torch.float64)).sum().backward()
    moved = [net.down_proj.weight.grad is not None for net in one.experts]  # pyright: ignore
    assert sum(moved) == 1 and not any(moved[8:])
    assert one.mix.grad is None


@pytest.mark.parametrize("base", ["stem", "deepstack", "qwen2_5"])
@pytest.mark.parametrize("arm", ARMS)
def test_the_start_is_the_dense_encoder(base: str, arm: str) -> None:
    dense = build_encoder(CONFIGS[base], titles(200))
    built = build_encoder(with_experts(base, **ARMS[arm]), titles(200))
    for name, tensor in dense.state_dict().items():
        if ".mlp." not in name:
            assert torch.equal(tensor, built.state_dict()[name]), name
    wake(dense)
    contents = marked_contents(9) + mixed_contents(9)
    grown = copy.deepcopy(dense)
    assert isinstance(grown, VisionLanguageEncoder)
    grown.upcycle(ExpertsConfig(**ARMS[arm]))
    assert len(grown.experts) == 1
    assert np.abs(grown.embed(contents) - dense.embed(contents)).max() < 1e-5
    assert grown.config.experts.kind != "none"


@pytest.mark.parametrize("arm", ["guided", "hard", "unguided"])
def test_rows_do_not_depend_on_batch_mates_or_padding(arm: str) -> None:
    encoder = different(**ARMS[arm])
    contents = marked_contents(15) + mixed_contents(15)
    together = encoder.embed(contents)
    alone = np.concatenate([encoder.embed([content]) for content in contents])
    order = np.random.default_rng(1).permutation(30)
    shuffled = encoder.embed([contents[k] for k in order], batch_size=7)[np.argsort(order)]
    assert np.abs(together - alone).max() < 1e-5
    assert np.abs(together - shuffled).max() < 1e-5
    unmarked = [Content(c.text, c.images) for c in contents]
    moved = np.abs(together - encoder.embed(unmarked)).max(axis=1)
    assert moved[15:].max() < 1e-6 and (moved[:15].min() > 1e-4) == (arm != "unguided")


def test_a_saved_encoder_loads_to_itself_and_no_other_way(tmp_path: Path) -> None:
    encoder = different(kind="guided")
    contents = marked_contents(6)
    encoder.save(tmp_path / "guided")
    assert np.array_equal(
        load_encoder(tmp_path / "guided").embed(contents), encoder.embed(contents)
    )
    file = tmp_path / "guided" / "encoder.json"
    for changes, message in (
        ({"kind": "none"}, "missing.*unexpected"),
        ({"kind": "unguided"}, "another shape|missing|unexpected"),
        ({"general": 5}, "missing"),
        ({"layers": [0]}, "missing"),
        ({"layers": [9]}, "layer 9 of a model"),
        ({"general": 64}, "more weights than|missing"),
        ({"general": 10**9}, "config that this version does not take"),
    ):
        described = json.loads(file.read_text())
        described["config"]["experts"] |= changes
        other = tmp_path / "other"
        encoder.save(other)
        (other / "encoder.json").write_text(json.dumps(described))
        with pytest.raises(CheckpointError, match=message):
            load_encoder(other)


def test_experts_are_counted_before_they_take_memory() -> None:
    config = Qwen3VLConfig(text_config={"hidden_size": 12, "intermediate_size": 10}).text_config
    held = Held("weights", {}, {})
    with pytest.raises(CheckpointError, match="more weights"), drafting(held, "a description"):
        GuidedExperts(Qwen3VLTextMLP(config), ExpertsConfig(kind="guided", general=64))


def test_a_dense_checkpoint_is_upcycled(checkpoint: Path) -> None:
    dense = build_encoder(config_for(checkpoint))
    experts = {"kind": "guided", "layers": (0, 1)}
    config = VlmConfig.model_validate(config_for(checkpoint).model_dump() | {"experts": experts})
    grown = build_encoder(config)
    contents = marked_contents(5)
    assert list(grown.experts) == [0, 1]  # pyright: ignore[reportAttributeAccessIssue]
    assert np.abs(grown.embed(contents) - dense.embed(contents)).max() < 1e-5


def test_marks_change_no_token_and_find_theirs(tokenizer: TextTokenizer) -> None:
    rng = np.random.default_rng(0)
    letters = list("red Blue|:;\tÀéﬁ①字🎽\u200d  x")
    for _ in range(200):
        text = "".join(rng.choice(letters, rng.integers(0, 30)))
        cut = sorted(rng.integers(0, len(text) + 1, 2).tolist())
        marked = Marked(text, (Span(*cut, Mark.CATEGORY),))
        ((ids, marks),) = tokenizer.encode_marked([marked], 12)
        assert ids == tokenizer.encode([text], 12)[0] and len(marks) == len(ids)
        if cut == [0, len(text)] and text:
            assert set(marks) <= {Mark.CATEGORY}
        elif cut[0] == cut[1]:
            assert set(marks) <= {None}
    text = Marked("red shirt | cotton", (Span(12, 18, Mark.ATTRIBUTE),))
    ((ids, marks),) = tokenizer.encode_marked([text], 48)
    said = {
        mark: tokenizer.decode([i for i, m in zip(ids, marks, strict=True) if m is mark])
        for mark in (None, Mark.ATTRIBUTE)
    }
    assert said[Mark.ATTRIBUTE].strip() == "cotton" and "shirt |" in said[None]


def test_tokens_are_the_same_with_and_without_experts() -> None:
    contents = marked_contents(8)
    plain = build_encoder(CONFIGS["stem"], titles(200)).collate(contents)
    batch = build_encoder(with_experts(kind="guided"), titles(200)).collate(contents)
    assert plain.keys() == batch.keys()
    for name in plain.keys() - {"kinds"}:
        assert torch.equal(plain[name], batch[name]), name
    words = (batch["kinds"] == CATEGORY) | (batch["kinds"] == ATTRIBUTE)
    assert words.any() and torch.equal(batch["kinds"].masked_fill(words, TEXT), plain["kinds"])


def test_nothing_is_dead_and_experts_part() -> None:
    """From a start where all down projections are 0 and all experts are equal."""
    torch.manual_seed(0)
    encoder = build_encoder(with_experts(kind="guided"), titles(200)).train()
    start = {name: p.detach().clone() for name, p in encoder.named_parameters()}
    optimizer = build_optimizer(
        encoder.named_parameters(), OptimizerConfig(), embeddings=embedding_names(encoder)
    )
    router = "backbone.language_model.layers.1.mlp.router.weight"
    assert router in optimizer.placement.adamw
    assert any(".mlp.experts.0.gate_proj" in name for name in optimizer.placement.muon)
    batch, slopes = encoder.collate(marked_contents(24)), []
    for _ in range(4):
        optimizer.zero_grad()
        vectors = encoder(batch)
        (vectors @ vectors.T - torch.eye(24)).square().sum().backward()
        gradient = encoder.get_parameter(router).grad
        slopes.append(0.0 if gradient is None else float(gradient.norm()))
        optimizer.step(1.0)
    assert slopes[0] < 1e-6 and min(slopes[2:]) > 1e-5  # equal experts first, then not
    for name, p in encoder.named_parameters():
        if ".mlp." in name:
            assert (p - start[name]).abs().max() > 1e-4, name
    down = "backbone.language_model.layers.1.mlp.experts.{}.down_proj.weight"
    downs = torch.stack([encoder.get_parameter(down.format(k)) for k in range(6)])
    assert torch.pdist(downs.flatten(1)).min() > 1e-2


def test_bf16_follows_float32() -> None:
    encoder = different(kind="guided")
    contents = marked_contents(12)
    exact, rough = encoder.embed(contents), encoder.embed(contents, bf16=True)
    assert (exact * rough).sum(axis=1).min() > 0.99


def test_answers_written_with_a_cache_are_those_of_whole_passes() -> None:
    encoder = build_encoder(with_experts(kind="guided"), titles(200), control=(END,))
    wake(encoder)
    language = LanguageModel(encoder.eval(), answer_tokens=5)
    questions = [Question(c, "which color?") for c in marked_contents(4)]
    written = language.write_ids(questions)
    empty: list[list[int]] = [[] for _ in questions]
    for step in range(5):
        so_far = [ids[:step] for ids in written]
        if any(len(ids) <= step for ids in written):
            break
        batch = language._packed(questions, so_far if step else empty, 0)
        with torch.no_grad():
            hidden = encoder.hidden_states(batch, causal=True)  # pyright: ignore
        states = hidden.reshape(-1, hidden.shape[-1])[batch["last"]]
        assert language.logits(states).argmax(1).tolist() == [ids[step] for ids in written]


def test_settings_that_cannot_work_are_refused() -> None:
    assert ExpertsConfig(kind="guided").placed(36) == tuple(range(18, 36, 2))
    assert ExpertsConfig(kind="guided").placed(1) == (0,)
    assert ExpertsConfig().placed(36) == ()
    for wrong in (
        {"kind": "guided", "top_k": 5},
        {"kind": "unguided", "hard": True},
        {"kind": "guided", "layers": (3, 1)},
    ):
        with pytest.raises(ValueError):
            ExpertsConfig(**wrong)
    with pytest.raises(UsageError, match="layer 4 of a model"):
        build_encoder(with_experts(kind="guided", layers=(4,)), titles(200))


def test_matched_widths_have_as_many_weights() -> None:
    tiny = TinyConfig(**(CONFIGS["stem"].tiny.model_dump() | {"layers": 3, "feed_forward": 96}))
    experts = ExpertsConfig(kind="guided", layers=(1, 2))
    widths = dense_widths(tiny, experts)
    assert widths == {"active": 96 * 5 // 3, "total": 96 * 13 // 3}

    def count(**changes: Any) -> int:
        own = CONFIGS["stem"].model_dump()
        own["tiny"] |= tiny.model_dump() | changes
        config = VlmConfig.model_validate(own | {"experts": changes.pop("experts", {})})
        return build_encoder(config, titles(200)).parameter_count()

    own = CONFIGS["stem"].model_dump()
    own["tiny"] = tiny.model_dump()
    guided = VlmConfig.model_validate(own | {"experts": experts.model_dump()})
    wide = count(feed_forward=widths["total"])
    routers = 2 * (4 * tiny.width + 2)
    assert build_encoder(guided, titles(200)).parameter_count() - wide == routers
