"""Who sells what, when: groups, color variants, shops, splits, listing times. No pictures yet.

Every draw comes from a generator keyed by (seed, purpose, index), so that one row can be rebuilt
without the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from moonshelf.catalog.product import SPLITS
from moonshelf.catalog.synthetic.art import ProductSpec
from moonshelf.catalog.synthetic.config import ShopConfig
from moonshelf.catalog.synthetic.vocabulary import (
    ARTICLE_BY_NAME,
    ARTICLES,
    AUDIENCES,
    BRAND_BY_NAME,
    BRANDS,
    COLORS,
    PATTERNS,
    Article,
)

LOG_START = 1_700_006_400  # midnight, UTC
DAY = 86_400
_SYLLABLES = (
    "al",
    "bri",
    "cor",
    "da",
    "el",
    "fio",
    "gra",
    "ho",
    "in",
    "ju",
    "ka",
    "lor",
    "mi",
    "no",
    "or",
    "pe",
    "ri",
    "sol",
    "tu",
    "ve",
    "wil",
    "yan",
    "zo",
)
_CLOTH_COLORS = {"denim": ("blue", "navy", "black", "gray", "white")}


def stream(seed: int, purpose: str, *index: int) -> np.random.Generator:
    """A generator of its own for each purpose and index."""
    return np.random.default_rng([seed, int.from_bytes(purpose.encode(), "big"), *index])


def pick(rng: np.random.Generator, choices: Sequence[str], weights: Sequence[float] = ()) -> str:
    """One of ``choices``, uniformly or by ``weights``."""
    if not weights:
        return choices[int(rng.integers(len(choices)))]
    bounds = np.cumsum(np.asarray(weights, dtype=np.float64))
    return choices[int(np.searchsorted(bounds, rng.random() * bounds[-1], side="right"))]


@dataclass(frozen=True, slots=True)
class Shop:
    """A seller: its color, its leaning to one photo style, its ``order`` of words in titles."""

    id: str
    color: str
    style: str
    order: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One catalogue row before it has words and pictures."""

    id: str
    group: int
    spec: ProductSpec
    audience: str
    size: str
    feature: str
    line: str
    shop: Shop
    split: str
    time: int
    price: float
    popularity: float

    @property
    def article(self) -> Article:
        return ARTICLE_BY_NAME[self.spec.article]

    def facts(self) -> dict[str, tuple[str, ...]]:
        """The truth: what the picture shows and what only the maker knows."""
        spec = self.spec
        facts = {"type": (spec.article,), "color": (spec.color,), "pattern": (spec.pattern,),
                 "material": (spec.material,), "brand": (spec.brand,)}  # fmt: skip
        if spec.pattern != "solid":
            facts["accent"] = (spec.accent,)
        for key, value in spec.details:
            facts[key] = (value,)
        return {
            **facts,
            "audience": (self.audience,),
            "size": (self.size,),
            "feature": (self.feature,),
        }


@dataclass(frozen=True, slots=True)
class _Group:
    spec: ProductSpec
    colors: tuple[tuple[str, str], ...]
    audience: str
    size: str
    feature: str
    line: str


def _accent(rng: np.random.Generator, color: str) -> str:
    """A second color that can be told from the first."""
    here = np.array(COLORS[color])
    choices = [c for c, rgb in COLORS.items() if int(np.abs(here - np.array(rgb)).sum()) > 160]
    weights = [3.0 if c in ("white", "black") else 1.0 for c in choices]
    return pick(rng, choices, weights)


def _new_group(config: ShopConfig, number: int) -> _Group:
    rng = stream(config.seed, "group", number)
    name = pick(rng, [a.name for a in ARTICLES], [a.weight for a in ARTICLES])
    article = ARTICLE_BY_NAME[name]
    brands = [b.name for b in BRANDS if article.department in b.sells]
    material = pick(rng, article.materials)
    palette = _CLOTH_COLORS.get(material, tuple(COLORS))
    count = 1 + int(pick(rng, [str(k) for k in range(len(config.variants))], config.variants))
    colors = [palette[k] for k in rng.permutation(len(palette))[:count]]
    spec = ProductSpec(
        article=name, color=colors[0], accent="white", material=material,
        pattern=pick(rng, article.patterns, [PATTERNS[p] for p in article.patterns]),
        brand=pick(rng, brands, [1 / (rank + 1) ** 0.6 for rank in range(len(brands))]),
        details=tuple((key, pick(rng, values)) for key, values in article.details.items()),
        look=(rng.random(), rng.random(), rng.random(), rng.random()),
        scale=rng.random(), seed=int(rng.integers(1 << 31)),
    )  # fmt: skip
    line = "".join(pick(rng, _SYLLABLES) for _ in range(int(rng.integers(2, 4)))).capitalize()
    return _Group(
        spec=spec,
        colors=tuple((color, _accent(rng, color)) for color in colors),
        audience=pick(rng, AUDIENCES) if article.department != "Home" else "unisex",
        size=pick(rng, article.sizes),
        feature=pick(rng, article.features),
        line=line,
    )


def _lookalike(config: ShopConfig, number: int, model: _Group, count: int) -> _Group:
    """``model`` with one visible fact changed and another name: hard to tell apart.

    It comes in the first ``count`` colors of the model, and in others when the model has fewer.
    """
    rng = stream(config.seed, "twin", number)
    own = _new_group(config, number)
    article = ARTICLE_BY_NAME[model.spec.article]
    keys = ["brand", "material", *[key for key, _ in model.spec.details]]
    key = pick(rng, keys)
    spec = model.spec
    brands = [b.name for b in BRANDS if article.department in b.sells and b.name != spec.brand]
    materials = [m for m in article.materials if m != spec.material and m not in _CLOTH_COLORS]
    if key == "brand" or (key == "material" and not materials):
        spec = replace(spec, brand=pick(rng, brands))
    elif key == "material":
        spec = replace(spec, material=pick(rng, materials))
    else:
        others = [v for v in article.details[key] if v != dict(spec.details)[key]]
        value = pick(rng, others)
        spec = replace(spec, details=tuple((k, value if k == key else v) for k, v in spec.details))
    spec = replace(spec, seed=own.spec.seed)
    palette = _CLOTH_COLORS.get(spec.material, tuple(COLORS))
    rest = [c for c in palette if c not in dict(model.colors)]
    more = [(rest[k], _accent(rng, rest[k])) for k in rng.permutation(len(rest)).tolist()]
    colors = (*model.colors, *more)[:count]
    return replace(model, spec=spec, colors=colors, line=own.line, size=pick(rng, article.sizes),
                   feature=pick(rng, article.features))  # fmt: skip


def make_shops(config: ShopConfig) -> list[Shop]:
    """The sellers, largest first."""
    names, shares = zip(*config.styles, strict=True)
    shops = []
    for number in range(config.count(config.shops, 0.05, 3)):
        rng = stream(config.seed, "shop", number)
        shops.append(Shop(f"shop{number:04d}", pick(rng, list(COLORS)), pick(rng, names, shares),
                          int(rng.integers(3))))  # fmt: skip
    return shops


def _split_of(config: ShopConfig, groups: int) -> list[str]:
    """Exact shares of groups in a random order."""
    order = stream(config.seed, "split").permutation(groups)
    bounds = np.cumsum(config.split) * groups
    split = [""] * groups
    for place, group in enumerate(order.tolist()):
        split[group] = SPLITS[min(2, int(np.searchsorted(bounds, place + 0.5)))]
    return split


def _variants(group: _Group, config: ShopConfig, number: int) -> list[ProductSpec]:
    rng = stream(config.seed, "tint", number)
    specs = []
    for color, accent in group.colors:
        red, green, blue = rng.integers(-12, 13, 3).tolist()
        specs.append(replace(group.spec, color=color, accent=accent, tint=(red, green, blue)))
    return specs


def make_entries(config: ShopConfig) -> list[Entry]:
    """All rows, groups together, in group order."""
    groups: list[_Group] = []
    total = 0
    while total < config.products:
        groups.append(_new_group(config, len(groups)))
        total += len(groups[-1].colors)
    splits = _split_of(config, len(groups))
    latest: dict[str, _Group] = {}
    for number, split in enumerate(splits):
        twin = stream(config.seed, "copy", number).random() < config.lookalike
        if twin and split in latest:
            model = latest[split]
            count = len(groups[number].colors)  # the count of rows stays as planned
            groups[number] = _lookalike(config, number, model, count)
        latest[split] = groups[number]
    shops = make_shops(config)
    tails = [1 / (rank + 1) for rank in range(len(shops))]
    entries: list[Entry] = []
    for number, group in enumerate(groups):
        rng = stream(config.seed, "offer", number)
        shop = shops[int(pick(rng, [str(k) for k in range(len(shops))], tails))]
        new = rng.random() < config.new_items
        age = rng.random()
        time = LOG_START + round(age * config.days * DAY * 0.95 if new else -age * 365 * DAY)
        level = BRAND_BY_NAME[group.spec.brand].level
        price = ARTICLE_BY_NAME[group.spec.article].price * level * (0.6 + 0.9 * rng.random())
        fame = float(np.exp(rng.standard_normal()))
        for spec in _variants(group, config, number):
            entries.append(
                Entry(
                    id=f"p{len(entries):06d}", group=number, spec=spec, audience=group.audience,
                    size=group.size, feature=group.feature, line=group.line, shop=shop,
                    split=splits[number], time=time, price=round(price * 2) / 2 - 0.01,
                    popularity=fame * float(np.exp(0.5 * rng.standard_normal())),
                )
            )  # fmt: skip
    return entries[: config.products]
