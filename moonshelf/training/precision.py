"""Which number format to compute in: bfloat16 where it gives the same vectors, else float32.

bf16 autocast is about four times float32 on a CPU with bf16 instructions, and the vectors of a
sound model hardly move. Whether *this* encoder is sound is measured, not assumed: eight items are
embedded both ways, and bf16 is taken only where every cosine passes 0.9995.

Not done: ``torch.set_float32_matmul_precision("medium")``. It would speed float32 matmuls on a CPU
by 2, but inside autocast nothing large is left in float32 except the loss, whose logits (cosine /
temperature) need the digits; and it is a process-wide switch that is not ours to turn. float16 is
never used: it is slower than float32 on a CPU.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from moonshelf.errors import UsageError

PARITY = 0.9995
PROBE_ITEMS = 8
PrecisionChoice = Literal["auto", "bf16", "fp32"]


@dataclass(frozen=True)
class Precision:
    """The format to compute in, and why."""

    dtype: torch.dtype
    cosine: float | None
    reason: str

    @property
    def name(self) -> str:
        return "bf16" if self.dtype is torch.bfloat16 else "fp32"

    @contextlib.contextmanager
    def autocast(self, device: torch.device) -> Iterator[None]:
        """A fresh autocast block. One per forward: autocast caches cast weights until the block
        ends, and a copy cached under ``no_grad`` would cut the graph of a later forward."""
        with torch.autocast(device.type, torch.bfloat16, enabled=self.name == "bf16"):
            yield


def choose_precision(
    encoder: nn.Module,
    batch: Mapping[str, Tensor],
    choice: PrecisionChoice,
    device: torch.device,
) -> Precision:
    """Measures and decides. ``batch`` is a collated probe of a few items on ``device``.

    "auto" takes bf16 where the device has it in hardware and the probe passes; "bf16" insists,
    "fp32" declines; the measured cosine is reported in each case but the last.
    """
    if choice == "fp32":
        return Precision(torch.float32, None, "asked for")
    if choice == "auto" and not has_bf16(device):
        return Precision(torch.float32, None, "no bf16 instructions on this device")
    cosine = parity_probe(encoder, batch, device)
    if choice == "bf16":
        return Precision(torch.bfloat16, cosine, "asked for")
    if cosine > PARITY:
        return Precision(torch.bfloat16, cosine, f"cosine to fp32 {cosine:.5f} > {PARITY}")
    return Precision(torch.float32, cosine, f"cosine of bf16 to fp32 {cosine:.5f} <= {PARITY}")


@torch.no_grad()
def parity_probe(encoder: nn.Module, batch: Mapping[str, Tensor], device: torch.device) -> float:
    """Smallest cosine between the bf16 and the float32 vector of an item; dropout off."""
    training = encoder.training
    encoder.eval()
    try:
        exact = encoder(batch).double()
        with torch.autocast(device.type, torch.bfloat16):
            rough = encoder(batch).double()
    finally:
        encoder.train(training)
    cosine = float(torch.cosine_similarity(exact, rough, dim=-1).min())
    return cosine if cosine == cosine else -1.0


def has_bf16(device: torch.device) -> bool:
    """Whether ``device`` multiplies bf16 in hardware; emulation is slower than float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type != "cpu":
        return False
    probes = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, name, lambda: False)() for name in probes)


def pick_device(name: str, local_rank: int = 0, local_size: int = 1) -> torch.device:
    """The device of process ``local_rank`` of ``local_size`` on this machine; ``auto`` is its GPU,
    else the CPU.

    Raises:
        UsageError: a GPU is asked for by name and there is none; there are fewer GPUs than
            processes, or one GPU is named for several processes.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if not name.startswith("cuda"):
        return torch.device(name)
    if not torch.cuda.is_available():
        raise UsageError(
            f"device {name} is not here: torch finds no GPU",
            where="compute.device",
            cure='set compute.device = "auto" or "cpu", or install a CUDA build of torch',
        )
    if local_size == 1:
        return torch.device(name)
    if name != "cuda" or torch.cuda.device_count() < local_size:
        raise UsageError(
            f"{local_size} processes need a GPU each; device is {name!r} and torch finds "
            f"{torch.cuda.device_count()} GPUs",
            where="compute.processes",
            cure='use at most one process a GPU and compute.device = "auto", or "cpu"',
        )
    return torch.device("cuda", local_rank)
