"""Guided experts: several feed-forward nets in the place of one, two of them with a subject.

    title, picture x   y = sum over top-k of g_e FFN_e(x)                 g renormalized to sum 1
    category x'        y = a FFN_category(x') + (1 - a) (the sum above)   a learned per layer
    attributes x''     the same with FFN_attribute and an a of its own

The paper says (W, methods.md 4.3): the FFN becomes N experts, two of them for category and
attributes. It leaves open whether their tokens go to them only or to them also, and all sizes. We
chose: also, with a share ``a`` that starts at 0.5; them only (a = 1) is the arm ``hard``; the arm
``unguided`` has as many experts, none with a subject. Every expert starts as a copy of the dense
FFN and the weights of a token sum to 1, so an encoder is at first the dense one. Routing alone
differs between experts then, so their gradients differ, and from the second step on the router has
one: nothing stays tied, and nothing is dead.

Dropless: every token is computed by all of its experts, however many share them, so no row depends
on its batch-mates. Tokens are sorted by expert and each expert runs once. Experts are modules of
the dense FFN's own class and not one stack of weights: one without a token in a step has no
gradient, and the optimizer leaves it where it is (Muon would move it a full step by old momentum).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from moonshelf.encoder.config import ExpertsConfig, TinyConfig
from moonshelf.encoder.sequence import ATTRIBUTE, CATEGORY, PAD

SUBJECTS = (CATEGORY, ATTRIBUTE)
"""Kinds of tokens with an expert of their own, in the order of those experts: the last ones."""
_ROUTER_STD = 0.02
# Of the pass that is under way. Threads may share an encoder, so it is no part of the modules.
_KINDS: ContextVar[Tensor | None] = ContextVar("kinds", default=None)


@dataclass(frozen=True)
class Seen:
    """Sums over the tokens that a layer saw, from which its balance is told.

    ``probability`` [routed experts] of the router, with its graph; ``tokens`` [experts] computed by
    each; ``entropy`` (nats) of the router; ``routed`` and ``real`` tokens. Padding counts nowhere.
    """

    probability: Tensor
    tokens: Tensor
    entropy: Tensor
    routed: Tensor
    real: Tensor

    def flat(self) -> Tensor:
        """All of them, one after the other."""
        rest = (self.entropy, self.routed, self.real)
        return torch.cat([self.probability, self.tokens, torch.stack(rest)])

    @classmethod
    def of(cls, flat: Tensor, routed: int) -> Seen:
        """The opposite of :meth:`flat`."""
        probability, tokens, rest = flat.split([routed, len(flat) - routed - 3, 3])
        return cls(probability, tokens, *rest.unbind())


class GuidedExperts(nn.Module):
    """In the place of a decoder layer's ``mlp``.

    Args:
        dense: that ``mlp``, of a Qwen-VL class; every expert starts as a copy of it.

    Attributes:
        seen: of the last pass in training, until it is taken.
    """

    def __init__(self, dense: Any, config: ExpertsConfig) -> None:
        super().__init__()
        self.config = config
        self.guided = config.kind == "guided"
        self.experts = nn.ModuleList(_copy(dense) for _ in range(config.count))
        self.routed = config.general if self.guided else config.count
        self.router = nn.Linear(dense.hidden_size, self.routed, bias=False)
        nn.init.normal_(self.router.weight, std=_ROUTER_STD)
        if self.guided and not config.hard:
            self.mix = nn.Parameter(torch.zeros(len(SUBJECTS)))
        self.to(next(dense.parameters()))
        self.seen: Seen | None = None

    @property
    def shares(self) -> Tensor | None:
        """The share ``a`` [2] of each subject's own expert; None where it is not learned."""
        return torch.sigmoid(self.mix) if self.guided and not self.config.hard else None

    def forward(self, hidden_states: Tensor) -> Tensor:
        """``[R, C, D]`` to the same; padding becomes 0."""
        flat = hidden_states.reshape(-1, hidden_states.shape[-1])
        told_kinds = _KINDS.get()
        if told_kinds is None:  # words without a subject, all of them
            return self._mixed(flat, None).reshape(hidden_states.shape)
        kinds = told_kinds.flatten()
        real = (kinds != PAD).nonzero()[:, 0]
        mixed = self._mixed(flat.index_select(0, real), kinds[real])
        whole = mixed.new_zeros(flat.shape).index_copy(0, real, mixed)
        return whole.reshape(hidden_states.shape)

    def _mixed(self, x: Tensor, kinds: Tensor | None) -> Tensor:
        """Real tokens [T, D] and their kinds [T] to what their experts make of them."""
        every = torch.arange(len(x), device=x.device)
        subject = self._subjects(kinds, x)
        named = (subject >= 0).nonzero()[:, 0]
        routed = (subject < 0).nonzero()[:, 0] if self.config.hard else every
        probability, gates, chosen = self._route(x.index_select(0, routed))
        expert = torch.cat([chosen.flatten(), self.routed + subject[named]])
        token = torch.cat([routed.repeat_interleave(chosen.shape[1]), named])
        done, counts = self._computed(x, token, expert)
        if self.training:
            self.seen = _seen(probability, counts, len(x))
        general, own = done.split([chosen.numel(), len(named)])
        mixed = (gates[..., None] * general.view(*chosen.shape, x.shape[1])).sum(1)
        if len(named):
            shares = self.shares
            if shares is None:
                mixed = mixed.new_zeros(x.shape).index_copy(0, routed, mixed)
            else:
                share = shares[subject[named]][:, None]
                own = share * own + (1 - share) * mixed.index_select(0, named)
            mixed = mixed.index_copy(0, named, own.to(mixed.dtype))
        return mixed.to(done.dtype)

    def _subjects(self, kinds: Tensor | None, x: Tensor) -> Tensor:
        """int64 [T]: which of SUBJECTS a token is about, -1 none."""
        subject = torch.full((len(x),), -1, device=x.device)
        if kinds is not None and self.guided:
            for number, kind in enumerate(SUBJECTS):
                subject = torch.where(kinds == kind, number, subject)
        return subject

    def _route(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Probabilities [T, routed], and of the top k their gates [T, k], summing to 1, and which
        they are [T, k]; float32 at least, because experts change where two are near each other."""
        with torch.autocast(x.device.type, enabled=False):
            wide = torch.promote_types(self.router.weight.dtype, torch.float32)
            logits = functional.linear(x.to(wide), self.router.weight.to(wide))
            probability = logits.softmax(dim=-1)
            top, chosen = probability.topk(self.config.top_k, dim=-1)
            return probability, top / top.sum(dim=-1, keepdim=True), chosen

    def _computed(self, x: Tensor, token: Tensor, expert: Tensor) -> tuple[Tensor, Tensor]:
        """``FFN_expert[n](x[token[n]])`` for every n [A, D], and how many each expert computed."""
        order = torch.argsort(expert, stable=True)
        counts = torch.bincount(expert, minlength=len(self.experts))
        parts = x.index_select(0, token[order]).split(counts.tolist())
        made = [net(part) for net, part in zip(self.experts, parts, strict=True) if len(part)]
        done = torch.cat(made) if made else x[:0]
        return done.index_select(0, torch.argsort(order)), counts


def _seen(probability: Tensor, counts: Tensor, real: int) -> Seen:
    entropy = -torch.special.xlogy(probability, probability).sum()
    return Seen(
        probability.sum(0),
        counts.to(probability.dtype),
        entropy.detach(),
        probability.new_tensor(len(probability)),
        probability.new_tensor(real),
    )


def _copy(dense: Any) -> nn.Module:
    # Built and not deep-copied: what a hostile config asks for is counted as it is built (weights).
    twin = type(dense)(dense.config)
    twin.load_state_dict(dense.state_dict())
    return twin


def upcycle(language: Any, config: ExpertsConfig) -> dict[int, GuidedExperts]:
    """Puts experts into the decoder layers that ``config`` names, each a copy of what stands there,
    and gives them by layer.

    Raises:
        UsageError: the model has no such layer.
    """
    found = {}
    for number in config.placed(len(language.layers)):
        layer = language.layers[number]
        layer.mlp = found[number] = GuidedExperts(layer.mlp, config)
    return found


@contextlib.contextmanager
def told(layers: Sequence[GuidedExperts], kinds: Tensor | None) -> Iterator[None]:
    """Inside, ``layers`` know the kinds int64 [R, C] of the tokens that pass in this thread."""
    for layer in layers:
        layer.seen = None
    before = _KINDS.set(kinds)
    try:
        yield
    finally:
        _KINDS.reset(before)


def dense_widths(tiny: TinyConfig, config: ExpertsConfig) -> dict[str, int]:
    """``feed_forward`` of dense models with as many weights as one with experts: as many ``active``
    ones for a token without a subject, or as many in ``total``. Routers are left out of account
    (0.1 % of an expert)."""
    layers = len(config.placed(tiny.layers))
    each = {"active": config.top_k, "total": config.count}
    return {
        name: tiny.feed_forward * (tiny.layers + layers * (nets - 1)) // tiny.layers
        for name, nets in each.items()
    }
