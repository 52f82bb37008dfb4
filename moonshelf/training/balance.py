"""Load balance of experts: a further loss, of sums over all tokens of a step.

The paper says nothing of it; we chose the form of Switch Transformers (2101.03961), generalized to
top-k. Of a layer with Z routed experts, over the real tokens of the whole step (all sides, all
mini-batches, all processes; no padding):

    f_e = share of the k choices of all tokens that fell on e      (no gradient)
    P_e = mean probability of e
    L   = Z sum_e f_e P_e                                          1 where all are used alike

The mean over layers is added to the stage's loss with weight ``encoder.experts.load_balance``. It
is a function of sums, so gradient caching is exact: the first pass gives the sums of the step, and
each mini-batch of the second pushes back its own share of them (methods.md 4.3).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from moonshelf.encoder.experts import GuidedExperts, Seen
from moonshelf.encoder.vision_language import VisionLanguageEncoder

Figures = dict[str, float | Tensor]


class Balance:
    """Reads the experts of an encoder after each of its passes in training.

    Args:
        layers: by the number of their decoder layer.
    """

    def __init__(self, layers: Mapping[int, GuidedExperts]) -> None:
        self._layers = layers
        self._sizes = [one.routed + len(one.experts) + 3 for one in layers.values()]

    def taken(self) -> Tensor:
        """What the last pass adds to the sums of its step, [m], with its graph.

        Raises:
            RuntimeError: there was no pass in training since the last time.
        """
        parts = []
        for layer in self._layers.values():
            if layer.seen is None:
                raise RuntimeError("experts saw no token: no pass in training since the last one")
            parts.append(layer.seen.flat())
            layer.seen = None
        return torch.cat(parts)

    def loss(self, sums: Tensor) -> tuple[Tensor, Figures]:
        """The weighted loss of a step whose sums are ``sums`` [m], and figures to report."""
        total, weight = sums.new_zeros(()), 0.0
        report: Figures = {}
        told = sums.detach().cpu()  # at once: every figure read off a GPU would wait for it
        for (number, layer), own, figures in zip(
            self._layers.items(), sums.split(self._sizes), told.split(self._sizes), strict=True
        ):
            seen, weight = Seen.of(own, layer.routed), layer.config.load_balance
            routed = seen.routed.detach().clamp(min=1)
            choices = seen.tokens[: layer.routed].detach() / (routed * layer.config.top_k)
            total = total + layer.routed * (choices * seen.probability / routed).sum()
            own_figures = _figures(layer, Seen.of(figures, layer.routed))
            report |= {f"experts/{number}/{name}": value for name, value in own_figures.items()}
        mean = total / len(self._layers)
        return weight * mean, {"balance": mean.detach(), **report}


def balance_of(modules: Mapping[str, nn.Module]) -> Balance | None:
    """The balance of the experts of the encoder among ``modules`` (those of a stage); None where
    there are none."""
    found = [m.experts for m in modules.values() if isinstance(m, VisionLanguageEncoder)]
    layers = {number: layer for some in found for number, layer in some.items()}
    return Balance(layers) if layers else None


def _figures(layer: GuidedExperts, seen: Seen) -> Figures:
    """Of one layer: share of real tokens that each expert computed, tokens that lack one of their
    experts, entropy of the router in nats, and the shares of experts with a subject."""
    tokens, real, routed = seen.tokens, seen.real, seen.routed
    names = [*range(layer.routed), *(["category", "attribute"] if layer.guided else [])]
    found: Figures = {
        f"share/{name}": count / real for name, count in zip(names, tokens, strict=True)
    }
    found["dropped"] = routed * layer.config.top_k - tokens[: layer.routed].sum()
    found["entropy"] = seen.entropy / routed.clamp(min=1)
    shares = layer.shares
    if shares is not None:
        found |= zip(("a/category", "a/attribute"), shares.detach(), strict=True)
    return found
