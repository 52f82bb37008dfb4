"""What an encoder is made of: typed configs that a recipe states and a checkpoint keeps.

Two kinds share one protocol (:class:`moonshelf.encoder.base.Encoder`):

* ``vlm``: a multimodal LLM of a Qwen-VL class, loaded from a checkpoint (``path``) or built tiny
  from ``tiny``; methods.md 3.2 and 4.3.
* ``fast``: a plain dual encoder (convolutions on a wavelet input, bag of words), the control arm,
  a teacher for distillation and the quick start.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from moonshelf.catalog.crops.detector import DetectorName
from moonshelf.config import Config
from moonshelf.errors import UsageError


class PictureConfig(Config):
    """The canvas that pictures are fitted to (aspect kept, padded white).

    ``height`` and ``width`` fix one grid for all pictures. With both 0 every picture keeps its own
    grid, between ``min_pixels`` and ``max_pixels`` (what pretrained Qwen-VL checkpoints expect).
    """

    height: int = Field(default=96, ge=0, le=4096)
    width: int = Field(default=64, ge=0, le=4096)
    min_pixels: int = Field(default=64 * 64, ge=1, le=4096 * 4096)
    max_pixels: int = Field(default=448 * 448, ge=1, le=4096 * 4096)
    per_product: int = Field(default=1, ge=1, le=16)
    crop: Literal["off", DetectorName] = Field(
        default="off",
        description="who finds the core product of the first picture, which is shown behind it",
    )

    @property
    def fixed(self) -> bool:
        return self.height > 0 and self.width > 0

    @model_validator(mode="after")
    def _both_or_neither(self) -> PictureConfig:
        if (self.height > 0) != (self.width > 0):
            raise ValueError("height and width are both set, or both 0 (each picture its own grid)")
        if self.min_pixels > self.max_pixels:
            raise ValueError(f"min_pixels {self.min_pixels} is above max_pixels {self.max_pixels}")
        return self


class StemConfig(Config):
    """Convolutions on a Haar-wavelet input in place of the patch embedding.

    ``width`` is the channel count of the first stage; each later stage halves the grid and doubles
    it. ``blocks`` are residual blocks a stage. Each of ``levels`` wavelets halves the grid of the
    first stage and loses nothing: a second one stands in for a stage of full-size convolutions.
    """

    width: int = Field(default=24, ge=4)
    blocks: tuple[Annotated[int, Field(ge=1, le=32)], ...] = Field(
        default=(1, 1, 1, 1), min_length=1, max_length=8
    )
    levels: int = Field(default=1, ge=1, le=3)

    @property
    def stride(self) -> int:
        """Pixels to one place of the last grid, a side."""
        return 2 ** (self.levels + len(self.blocks) - 1)


class TinyConfig(Config):
    """A small random model of the same classes as the real checkpoints (docs/log.md)."""

    family: Literal["qwen3_vl", "qwen2_5_vl"] = "qwen3_vl"
    vocabulary: int = Field(default=4096, ge=300)
    width: int = Field(default=256, ge=16)
    layers: int = Field(default=2, ge=1)
    heads: int = Field(default=4, ge=1)
    kv_heads: int = Field(default=2, ge=1)
    feed_forward: int = Field(default=512, ge=16)
    patch: int = Field(default=16, ge=2)
    vision_width: int = Field(default=192, ge=16)
    vision_depth: int = Field(default=0, ge=0)
    vision_heads: int = Field(default=4, ge=1)
    deepstack: tuple[int, ...] = ()
    stem: StemConfig | None = StemConfig()
    zero_init_residual: bool = True

    @model_validator(mode="after")
    def _heads_share_the_width(self) -> TinyConfig:
        if self.heads % self.kv_heads:
            raise ValueError(f"{self.heads} heads cannot share {self.kv_heads} kv_heads evenly")
        if (self.width // self.heads) % 2 or self.width < 2 * self.heads:
            raise ValueError(
                f"width {self.width} over {self.heads} heads leaves no even head width"
            )
        if self.vision_depth and self.vision_width % (4 * self.vision_heads):
            raise ValueError(
                f"vision_width {self.vision_width} is no multiple of 4 x {self.vision_heads} heads"
            )
        return self


class ExpertsConfig(Config):
    """Several feed-forward nets in the place of one (experts.py; methods.md 4.3).

    ``guided``: ``general`` of them and one each for words of the category and of attributes;
    ``unguided``: as many, none with a subject. Each token is computed by ``top_k`` general ones.
    """

    kind: Literal["none", "guided", "unguided"] = "none"
    general: int = Field(default=4, ge=1, le=64)
    top_k: int = Field(default=2, ge=1, le=64)
    layers: tuple[Annotated[int, Field(ge=0)], ...] = Field(
        default=(), description="decoder layers; none named: every second one of the upper half"
    )
    load_balance: float = Field(default=0.01, ge=0)
    hard: bool = False

    @property
    def count(self) -> int:
        """All experts of a layer."""
        return self.general + 2

    def placed(self, layers: int) -> tuple[int, ...]:
        """Which of ``layers`` decoder layers have experts.

        Raises:
            UsageError: there is no such layer.
        """
        if self.kind == "none":
            return ()
        if self.layers and self.layers[-1] >= layers:
            raise UsageError(
                f"experts in layer {self.layers[-1]} of a model with layers 0 to {layers - 1}",
                where="encoder.experts.layers",
                cure="name layers that the model has, or none",
            )
        return self.layers or tuple(range(layers // 2, layers, 2))

    @model_validator(mode="after")
    def _sizes_fit(self) -> ExpertsConfig:
        routed = self.general + (2 if self.kind == "unguided" else 0)
        if self.top_k > routed:
            raise ValueError(f"top_k {self.top_k} of {routed} experts to choose among")
        if list(self.layers) != sorted({*self.layers}):
            raise ValueError(f"layers must increase, got {list(self.layers)}")
        if self.hard and self.kind == "unguided":
            raise ValueError("hard is about experts with a subject: use kind = 'guided'")
        return self


class VlmConfig(Config):
    """A multimodal LLM encoder. ``path`` (folder or hub name) wins over ``tiny``."""

    kind: Literal["vlm"] = "vlm"
    path: str | None = None
    revision: str | None = None
    tiny: TinyConfig = TinyConfig()
    pictures: PictureConfig = PictureConfig()
    max_text_tokens: int = Field(default=48, ge=1)
    attention: Literal["bidirectional", "causal"] = "bidirectional"
    readout: Literal["mean", "balanced", "last", "emb"] = "mean"
    vision_markers: bool = False
    dim: int | None = Field(
        default=256, description="export width; None keeps the model's own width"
    )
    pack: int = Field(
        default=48, ge=0, le=8192, description="tokens a packed row; 0 puts one product in a row"
    )
    attention_kernel: Literal["eager", "sdpa"] = "eager"
    compile_layers: bool = False
    experts: ExpertsConfig = ExpertsConfig()

    @model_validator(mode="after")
    def _canvas_fits_patches(self) -> VlmConfig:
        if self.path is not None:
            return self
        block = 2 * self.tiny.patch
        sides = (self.pictures.height, self.pictures.width)
        if self.pictures.fixed and any(side % block for side in sides):
            raise ValueError(f"picture sides {sides} are not multiples of {block} (2 patches)")
        if self.tiny.stem is not None and self.tiny.stem.stride != self.tiny.patch:
            raise ValueError(
                f"{len(self.tiny.stem.blocks)} stem stages on {self.tiny.stem.levels} wavelet "
                f"levels reduce by {self.tiny.stem.stride}, but the patch is {self.tiny.patch}"
            )
        if self.tiny.stem is not None and not self.pictures.fixed:
            raise ValueError("a convolutional stem needs a fixed canvas: set height and width")
        return self


class FastConfig(Config):
    """Convolutional picture tower and bag-of-words text tower, one vector space."""

    kind: Literal["fast"] = "fast"
    vocabulary: int = Field(default=4096, ge=300)
    width: int = Field(default=256, ge=16)
    stem: StemConfig = StemConfig()
    pictures: PictureConfig = PictureConfig()
    max_text_tokens: int = Field(default=48, ge=1)
    dim: int = Field(default=256, ge=8)

    @model_validator(mode="after")
    def _canvas_fits_stem(self) -> FastConfig:
        sides = (self.pictures.height, self.pictures.width)
        if not self.pictures.fixed or any(side % self.stem.stride for side in sides):
            raise ValueError(
                f"picture sides {sides} are not multiples of {self.stem.stride} above 0 "
                f"({len(self.stem.blocks)} stem stages on {self.stem.levels} wavelet levels)"
            )
        return self


EncoderConfig = Annotated[VlmConfig | FastConfig, Field(discriminator="kind")]
