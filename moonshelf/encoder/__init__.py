"""Products in, unit vectors out. See ``base.Encoder`` for the protocol."""

from moonshelf.encoder.assembly import build_encoder, encoder_folder, encoder_version, load_encoder
from moonshelf.encoder.base import Batch, Encoder
from moonshelf.encoder.config import EncoderConfig, FastConfig, VlmConfig

__all__ = [
    "Batch",
    "Encoder",
    "EncoderConfig",
    "FastConfig",
    "VlmConfig",
    "build_encoder",
    "encoder_folder",
    "encoder_version",
    "load_encoder",
]
