"""Products in, unit vectors out. See ``base.Encoder`` for the protocol.

Names resolve on first use: reading a recipe needs ``encoder.config`` and no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from moonshelf.encoder.assembly import (
        build_encoder,
        encoder_config,
        encoder_folder,
        encoder_version,
        load_encoder,
    )
    from moonshelf.encoder.base import Batch, Encoder
    from moonshelf.encoder.config import EncoderConfig, FastConfig, VlmConfig
    from moonshelf.encoder.narrow import PrefixEncoder, prefix

_HOMES = {
    "build_encoder": "assembly",
    "encoder_config": "assembly",
    "encoder_folder": "assembly",
    "encoder_version": "assembly",
    "load_encoder": "assembly",
    "Batch": "base",
    "Encoder": "base",
    "EncoderConfig": "config",
    "FastConfig": "config",
    "VlmConfig": "config",
    "PrefixEncoder": "narrow",
    "prefix": "narrow",
}
__all__ = [
    "Batch",
    "Encoder",
    "EncoderConfig",
    "FastConfig",
    "PrefixEncoder",
    "VlmConfig",
    "build_encoder",
    "encoder_config",
    "encoder_folder",
    "encoder_version",
    "load_encoder",
    "prefix",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
