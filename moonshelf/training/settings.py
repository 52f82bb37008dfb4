"""Settings of the training room. Free of torch: a recipe is read before anything heavy loads."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from moonshelf.catalog.product import View
from moonshelf.config import Config

COLDEST, WARMEST = 0.01, 1.0
Level = Literal["click", "cart", "purchase"]


class ScheduleConfig(Config):
    """Budget and learning-rate shape of a stage; exactly one budget is given."""

    steps: int | None = Field(default=None, ge=1)
    minutes: float | None = Field(default=None, gt=0)
    core_seconds: float | None = Field(default=None, gt=0)
    warmup: float = Field(default=0.05, ge=0, lt=1)
    decay: Literal["linear", "cosine", "constant"] = "linear"
    floor: float = Field(default=0.0, ge=0, le=1)

    @model_validator(mode="after")
    def _one_budget(self) -> ScheduleConfig:
        given = [k for k in ("steps", "minutes", "core_seconds") if getattr(self, k) is not None]
        if len(given) != 1:
            raise ValueError(
                "give exactly one budget of steps, minutes, core_seconds "
                f"({' and '.join(given) or 'none'} given)"
            )
        return self


class LoopConfig(Config):
    """How often a run speaks and saves; no effect on what is learned."""

    log_every: int = Field(default=20, ge=1)
    """Steps between lines of ``metrics.jsonl``."""
    save_every: int | None = Field(default=None, ge=1)
    """Steps between saved states; by default the clock decides (``save_minutes``)."""
    save_minutes: float = Field(default=2.0, gt=0)
    validate_every: int = Field(default=0, ge=0)
    """Steps between validations on the val split; 0 never."""
    validation_items: int = Field(default=500, ge=10)
    tensorboard: bool = False


class OptimizerConfig(Config):
    """Rates are peaks; the schedule multiplies them. ``adamw`` and ``slower`` hold name globs."""

    matrices: Literal["muon", "adamw"] = "muon"
    lr: float = Field(default=0.02, gt=0)
    momentum: float = Field(default=0.95, ge=0, lt=1)
    weight_decay: float = Field(default=0.01, ge=0)
    scale: Literal["spectral", "rms"] = "spectral"
    newton_schulz_steps: int = Field(default=5, ge=1, le=20)
    adamw_lr: float = Field(default=3e-3, gt=0)
    adamw_betas: tuple[float, float] = (0.9, 0.98)
    adamw_weight_decay: float = Field(default=0.01, ge=0)
    adamw: tuple[str, ...] = ()
    """Parameters to move by AdamW though they are matrices."""
    muon: tuple[str, ...] = ()
    """Heads and embeddings to move by Muon though they are heads (lookup tables never are)."""
    slower: dict[str, float] = Field(default_factory=dict)
    """Parameters whose rate is multiplied, e.g. ``"encoder.*backbone*" = 0.1``."""
    clip: float = Field(default=1.0, ge=0)
    """Largest norm of the whole gradient; 0 does not clip."""


class AugmentConfig(Config):
    """Probabilities and strengths. Color jitter hurts where color is the product: measure."""

    description: float = Field(default=0.0, ge=0, le=1)
    """Chance that a stretch of the description stands in for the title."""
    description_words: int = Field(default=24, ge=1)
    attributes: float = Field(default=0.0, ge=0, le=1)
    """Chance that one to three values of attributes and category, drawn at random, stand in for
    the title: richer text (methods.md 3.4) in the wording of labels."""
    richer: float = Field(default=0.0, ge=0, le=1)
    """Chance that all attribute values, the leaf of the category and a stretch of the description
    follow the title: the richer text of the nine pair types."""
    word_drop: float = Field(default=0.0, ge=0, lt=1)
    """Chance of each word of a text to be left out (at least one stays)."""
    flip: bool = False
    crop: float = Field(default=0.0, ge=0, lt=1)
    """Largest share of height and width to zoom away, at a random place."""
    jitter: float = Field(default=0.0, ge=0, lt=1)
    """Largest relative change of brightness, contrast and saturation."""

    @property
    def changes_pictures(self) -> bool:
        return self.flip or self.crop > 0 or self.jitter > 0

    @property
    def changes_texts(self) -> bool:
        return max(self.description, self.attributes, self.richer, self.word_drop) > 0

    @property
    def shows_values(self) -> bool:
        return self.attributes > 0 or self.richer > 0


class PairConfig(Config):
    """The views of a query and an item that belong together, and which texts they show."""

    query: View
    item: View
    query_description: float | None = Field(default=None, ge=0, le=1)
    """Chance that the query side's text is a stretch of the description; default: the stage's."""
    item_description: float | None = Field(default=None, ge=0, le=1)
    query_attributes: float | None = Field(default=None, ge=0, le=1)
    """Chance that the query side's text is a few attribute values; default: the stage's."""
    item_attributes: float | None = Field(default=None, ge=0, le=1)
    query_richer: float | None = Field(default=None, ge=0, le=1)
    """Chance that the query side's title is followed by richer text; default: the stage's."""
    item_richer: float | None = Field(default=None, ge=0, le=1)
    weight: float = Field(default=1.0, gt=0)
    """Of this loss, among those of one step."""

    def augments(self, stage: AugmentConfig) -> tuple[AugmentConfig, AugmentConfig]:
        """The stage's augmentation with this pair's own text shares, for query and item."""
        texts = ("description", "attributes", "richer")
        sides = (
            {name: getattr(self, f"{side}_{name}") for name in texts} for side in ("query", "item")
        )
        query, item = (
            stage.model_copy(update={k: v for k, v in own.items() if v is not None})
            for own in sides
        )
        return query, item


class TermConfig(PairConfig):
    """One pair source, the view of each side, and the share of steps it gets."""

    source: Literal["self", "variant", "session", "log"] = "self"
    share: float = Field(default=1.0, ge=0)
    together: dict[str, PairConfig] = Field(default_factory=dict)
    """self: further losses over the same products; every picture passes the vision tower once."""
    most: int = Field(default=4, ge=1)
    """variant: partners a product gets in a large group."""
    window_days: float = Field(default=30, gt=0)
    """session: longest time between the two purchases."""
    following: int = Field(default=1, ge=1, le=16)
    """session: how many next purchases are paired with each."""
    before: str | int | None = None
    """session: only purchases before this date or unix time."""
    levels: tuple[Level, ...] = Field(default=("click", "cart", "purchase"), min_length=1)
    """log: how strong the strongest act of a pair must have been."""
    optional: bool = False
    """Leave the term out, and say so, where the catalogue has no such pairs."""

    @model_validator(mode="after")
    def _together_is_about_one_product(self) -> TermConfig:
        if self.together and self.source != "self":
            raise ValueError(f"together needs source = 'self', not {self.source!r}")
        return self


class DistillConfig(Config):
    """A frozen teacher run whose in-batch similarities are followed."""

    teacher: str
    weight: float = Field(default=1.0, ge=0)
    temperature: float = Field(default=0.05, gt=0)


class AlignConfig(ScheduleConfig, LoopConfig):
    """Every switch of stage ``align``; the budget is steps, minutes or core_seconds."""

    kind: Literal["align"] = "align"
    batch: int = Field(default=256, ge=2)
    mini_batch: int | None = Field(default=None, ge=1)
    """Contents embedded at once; smaller than ``batch`` turns GradCache on."""
    terms: dict[str, TermConfig]
    pairs: str | None = None
    """Folder of the pair set that terms of source "log" draw from; default: that of the recipe."""
    mixing: Literal["homogeneous", "mixed"] = "homogeneous"
    """A step holds one term, drawn by shares; or rows of all terms by share, under one loss."""
    temperature: float = Field(default=0.07, ge=COLDEST, le=WARMEST)
    learn_temperature: bool = True
    margin: float | None = Field(default=None, gt=0)
    """Keep out items that score more than this above the positive (0.1 in 2601.04720)."""
    mask_same_text: bool = True
    image_search: bool = True
    """Whether a validation also tells image-based search recall (training/image_search.py)."""
    matryoshka: tuple[int, ...] = ()
    """Widths whose prefixes of the vector are trained to be vectors too, beside the whole one."""
    augment: AugmentConfig = AugmentConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    distill: DistillConfig | None = None

    @field_validator("terms")
    @classmethod
    def _some_term(cls, terms: dict[str, TermConfig]) -> dict[str, TermConfig]:
        if not any(term.share > 0 for term in terms.values()):
            raise ValueError("needs at least one term with a share above 0")
        return terms

    @field_validator("matryoshka")
    @classmethod
    def _increasing(cls, widths: tuple[int, ...]) -> tuple[int, ...]:
        if list(widths) != sorted({*widths}) or (widths and widths[0] < 1):
            raise ValueError(f"widths must be positive and increase, got {list(widths)}")
        return widths

    @model_validator(mode="after")
    def _one_loss_a_mixed_step(self) -> AlignConfig:
        if self.mixing == "mixed":
            for name, term in self.active().items():
                if term.together or term.weight != 1:
                    raise ValueError(
                        f"a mixed step has one loss: term {name} can have neither together nor "
                        "weight; write further losses as terms, weights as shares"
                    )
        return self

    @property
    def shows_attributes(self) -> bool:
        """Whether some text of the stage is made of attribute values."""
        pairs = [p for t in self.active().values() for p in (t, *t.together.values())]
        return any(side.shows_values for p in pairs for side in p.augments(self.augment))

    @property
    def reads_log(self) -> bool:
        """Whether some term draws from a pair set."""
        return any(term.source == "log" for term in self.active().values())

    @property
    def asks_with_photos(self) -> bool:
        """Whether some term shows the photo of a query of the log."""
        return any(t.source == "log" and t.query.has_image for t in self.active().values())

    def active(self) -> dict[str, TermConfig]:
        """The terms that get steps."""
        return {name: term for name, term in self.terms.items() if term.share > 0}
