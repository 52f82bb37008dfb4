"""Every rate of the drawn shop in one place. It serves the demo and the tests, never a claim."""

from __future__ import annotations

from dataclasses import dataclass, field

from moonshelf.errors import UsageError

MIN_SIDE = 32
MAX_SIDE = 1024


@dataclass(frozen=True, slots=True)
class TitleRates:
    """How often a seller's title leaves a fact out, and how often it says it wrongly.

    ``omit_*`` are shares of all titles. ``misstate_*`` are shares of the titles that do state the
    fact. A detail is a visible part choice (sleeve length, neck, heel, ...). ``omit_type`` titles
    say the department instead ("shoes"). Attributes always hold the truth.
    """

    omit_type: float = 0.03
    omit_color: float = 0.5
    omit_pattern: float = 0.6
    omit_material: float = 0.5
    omit_brand: float = 0.2
    omit_detail: float = 0.6
    omit_size: float = 0.5
    omit_audience: float = 0.4
    omit_feature: float = 0.6
    misstate_color: float = 0.05
    misstate_pattern: float = 0.05
    misstate_material: float = 0.05
    misstate_brand: float = 0.02
    misstate_detail: float = 0.05


@dataclass(frozen=True, slots=True)
class ShopConfig:
    """Sizes, rates and the seed of a drawn shop.

    ``picture_size`` is (height, width) in pixels. ``photo_queries``, ``text_queries``, ``users``
    and ``shops`` follow ``products`` when None: 0.15, 0.15, 0.15 and 0.05 a product.

    Args:
        products: catalogue rows (variants count one each).
        seed: one seed, one shop, byte for byte (same numpy and Pillow versions).
        variants: shares of groups with 1, 2, 3, ... color variants.
        lookalike: share of groups that copy another group of their split in all but one fact.
        more_pictures: shares of products with 1, 2, 3 pictures (mean 1.6).
        styles: share of each seller photo style over all first pictures; a shop leans to one.
        split: shares of groups in train, val, test.
        photo_worn: share of user photos that show the product on somebody or in a room.
        photo_occluded: share of user photos with fingers or an object in front.
        photo_text: share of user photos that come with a few words.
        sessions: mean sessions a user; activity is long-tailed.
        exposures: items shown a session.
        position_bias: the item at position p is looked at with probability
            (1 + p) ** -position_bias.
        days: length of the log; 0.8 of the groups were listed in the year before it,
            ``new_items`` of them while it runs.
        search / photo_search: shares of sessions that start from a text / a photo query;
            the others browse a feed.
    """

    products: int = 2000
    seed: int = 0
    picture_size: tuple[int, int] = (96, 96)
    titles: TitleRates = field(default_factory=TitleRates)
    variants: tuple[float, ...] = (0.3, 0.25, 0.2, 0.15, 0.1)
    lookalike: float = 0.15
    more_pictures: tuple[float, ...] = (0.55, 0.3, 0.15)
    styles: tuple[tuple[str, float], ...] = (
        ("clean", 0.5),
        ("worn", 0.22),
        ("cluttered", 0.18),
        ("cropped", 0.1),
    )
    split: tuple[float, float, float] = (0.8, 0.1, 0.1)
    photo_queries: int | None = None
    text_queries: int | None = None
    photo_worn: float = 0.3
    photo_occluded: float = 0.4
    photo_text: float = 0.1
    users: int | None = None
    shops: int | None = None
    sessions: float = 9.0
    exposures: int = 10
    position_bias: float = 0.7
    days: int = 60
    new_items: float = 0.2
    search: float = 0.4
    photo_search: float = 0.1

    def __post_init__(self) -> None:
        if self.products < 1:
            raise UsageError(
                f"a drawn shop needs at least one product, got {self.products}",
                where="ShopConfig.products",
                cure="ask for 1 or more",
            )
        if self.seed < 0:
            raise UsageError(
                f"the seed must not be negative, got {self.seed}",
                where="ShopConfig.seed",
                cure="pass 0 or a positive whole number",
            )
        if not all(MIN_SIDE <= side <= MAX_SIDE for side in self.picture_size):
            raise UsageError(
                f"picture sides must lie in {MIN_SIDE}..{MAX_SIDE}, got {self.picture_size}",
                where="ShopConfig.picture_size",
                cure="pass (height, width) in that range",
            )
        for name, shares in (
            ("variants", self.variants),
            ("more_pictures", self.more_pictures),
            ("split", self.split),
            ("styles", tuple(share for _, share in self.styles)),
        ):
            if min(shares) < 0 or abs(sum(shares) - 1) > 1e-9:
                raise UsageError(
                    f"shares must be positive and sum to 1, got {shares}",
                    where=f"ShopConfig.{name}",
                    cure="rescale them",
                )

    def count(self, given: int | None, per_product: float, least: int) -> int:
        """``given`` when set, else ``per_product`` times the products but at least ``least``."""
        return given if given is not None else max(least, round(self.products * per_product))
