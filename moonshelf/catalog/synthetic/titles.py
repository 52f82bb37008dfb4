"""What sellers and users write: titles that leave out or misstate facts, descriptions, queries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from moonshelf.catalog.synthetic.config import TitleRates
from moonshelf.catalog.synthetic.plan import Entry, pick
from moonshelf.catalog.synthetic.vocabulary import (
    BRAND_BY_NAME,
    COLOR_WORDS,
    COLORS,
    PATTERN_WORDS,
    PATTERNS,
    phrase,
)

_NOISE = ("new arrival", "hot sale", "best seller", "free shipping", "2024 style", "limited offer",
          "top quality", "trendy", "gift idea", "must have")  # fmt: skip
_MATERIALS = (
    "cotton",
    "denim",
    "leather",
    "knit",
    "silk",
    "linen",
    "nylon",
    "canvas",
    "metal",
    "wood",
)
_DEPARTMENT_WORDS = {
    "Clothing": "clothing",
    "Shoes": "shoes",
    "Bags": "bag",
    "Accessories": "accessory",
    "Home": "home decor",
}


@dataclass(frozen=True, slots=True)
class Title:
    """A title and what it claims: key to the value said (true or not); unsaid keys are missing."""

    text: str
    said: Mapping[str, str]
    misstated: tuple[str, ...]


def _other(rng: np.random.Generator, truth: str, choices: tuple[str, ...]) -> str:
    return pick(rng, [c for c in choices if c != truth])


def _claims(entry: Entry, rates: TitleRates, rng: np.random.Generator) -> Title:
    """Draws which facts the title states, and which of those wrongly."""
    spec, article = entry.spec, entry.article
    said: dict[str, str] = {}
    wrong: list[str] = []
    pools: dict[str, tuple[str, tuple[str, ...], float, float]] = {
        "color": (spec.color, tuple(COLORS), rates.omit_color, rates.misstate_color),
        "pattern": (spec.pattern, tuple(PATTERNS), rates.omit_pattern, rates.misstate_pattern),
        "material": (spec.material, _MATERIALS, rates.omit_material, rates.misstate_material),
        "brand": (spec.brand, tuple(BRAND_BY_NAME), rates.omit_brand, rates.misstate_brand),
        **{
            key: (value, article.details[key], rates.omit_detail, rates.misstate_detail)
            for key, value in spec.details
        },
    }
    for key, (truth, choices, omit, misstate) in pools.items():
        leave, lie = rng.random(2)
        if leave < omit:
            continue
        said[key] = _other(rng, truth, choices) if lie < misstate else truth
        if said[key] != truth:
            wrong.append(key)
    for key, value, omit in (
        ("type", spec.article, rates.omit_type),
        ("audience", entry.audience, rates.omit_audience),
        ("size", entry.size, rates.omit_size),
        ("feature", entry.feature, rates.omit_feature),
    ):
        if rng.random() >= omit:
            said[key] = value
    return Title("", said, tuple(wrong))


def _word(rng: np.random.Generator, value: str, others: Mapping[str, tuple[str, ...]]) -> str:
    """The value itself, or in 3 of 10 titles another word for it."""
    return pick(rng, others[value]) if value in others and rng.random() < 0.3 else value


def write_title(entry: Entry, rates: TitleRates, rng: np.random.Generator) -> Title:
    """A seller's title. ``omit_type`` titles name the department; noise words come on top."""
    claims = _claims(entry, rates, rng)
    said, article = claims.said, entry.article
    kind = _DEPARTMENT_WORDS[article.department]
    if "type" in said:
        kind = pick(rng, article.words) if rng.random() < 0.25 else article.name
    details = [phrase(key, said[key]) for key in article.details if key in said]
    looks = [_word(rng, said["color"], COLOR_WORDS) if "color" in said else "",
             _word(rng, said["pattern"], PATTERN_WORDS) if "pattern" in said else ""]  # fmt: skip
    audience = f"{said['audience']}" if said.get("audience", "unisex") != "unisex" else ""
    line = entry.line if rng.random() < 0.4 else ""
    noise = pick(rng, _NOISE) if rng.random() < 0.35 else ""
    brand, cloth = said.get("brand", ""), said.get("material", "")
    tail = [said.get("feature", ""), said.get("size", "")]
    orders = (
        [brand, line, audience, *looks, cloth, *details, kind, *tail, noise],
        [noise, kind, *details, *looks, cloth, audience, brand, line, *tail],
        [
            audience,
            *looks,
            *details,
            cloth,
            kind,
            f"by {brand}" if brand else "",
            line,
            *tail,
            noise,
        ],
    )
    words = [word for word in orders[entry.shop.order] if word]
    text = " ".join(words)
    if entry.shop.order == 0:
        text = text[0].upper() + text[1:]
    elif entry.shop.order == 1:
        text = text.title() if rng.random() < 0.5 else text
    return Title(text, said, claims.misstated)


def write_description(entry: Entry, rng: np.random.Generator) -> str:
    """True sentences, mostly about what no picture shows; one product in five has none."""
    if rng.random() < 0.2:
        return ""
    spec, article = entry.spec, entry.article
    parts = [f"{entry.line} {article.name} by {spec.brand}."]
    if rng.random() < 0.8:
        parts.append(f"Made of {spec.material}, {entry.feature}.")
    if rng.random() < 0.7:
        parts.append(f"Size: {entry.size}.")
    shown = [text for key, value in spec.details if (text := phrase(key, value))]
    if shown and rng.random() < 0.5:
        parts.append(f"Details: {', '.join(shown)}.")
    if rng.random() < 0.3:
        parts.append(f"Available in {spec.color}.")
    return " ".join(parts)


def write_query(entry: Entry, rng: np.random.Generator) -> tuple[str, dict[str, str]]:
    """Words a user types who has this product in mind, and the facts they ask for (all true)."""
    spec, article = entry.spec, entry.article
    asked = {"type": spec.article}
    for key, value, share in (
        ("color", spec.color, 0.75),
        ("pattern", spec.pattern if spec.pattern != "solid" else "", 0.6),
        ("material", spec.material, 0.25),
        ("brand", spec.brand, 0.2),
        *((key, value if phrase(key, value) else "", 0.3) for key, value in spec.details),
    ):
        if value and rng.random() < share:
            asked[key] = value
    if len(asked) == 1:
        asked["color"] = spec.color
    kind = pick(rng, article.words) if rng.random() < 0.25 else article.name
    words = [
        asked.get("brand", ""),
        _word(rng, asked["color"], COLOR_WORDS) if "color" in asked else "",
        _word(rng, asked["pattern"], PATTERN_WORDS) if "pattern" in asked else "",
        asked.get("material", ""),
        *[phrase(key, asked[key]) for key in article.details if key in asked],
        kind,
    ]
    return " ".join(word for word in words if word).lower(), asked
