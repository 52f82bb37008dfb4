"""What the drawn shop sells: article types with their parts' choices, colors, patterns, materials,
brands. Tables only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Rgb = tuple[int, int, int]

COLORS: dict[str, Rgb] = {
    "black": (32, 32, 36),
    "white": (240, 240, 238),
    "gray": (140, 142, 146),
    "red": (206, 38, 42),
    "orange": (238, 126, 34),
    "yellow": (244, 206, 50),
    "green": (44, 140, 70),
    "olive": (112, 112, 52),
    "turquoise": (64, 190, 184),
    "blue": (46, 106, 210),
    "navy": (28, 40, 92),
    "purple": (120, 62, 160),
    "pink": (242, 146, 178),
    "brown": (112, 70, 42),
    "beige": (216, 194, 158),
}
COLOR_WORDS: dict[str, tuple[str, ...]] = {
    "gray": ("grey", "charcoal"),
    "red": ("scarlet",),
    "yellow": ("lemon",),
    "green": ("emerald",),
    "olive": ("khaki",),
    "turquoise": ("aqua", "teal"),
    "blue": ("royal blue",),
    "navy": ("dark blue",),
    "purple": ("violet",),
    "pink": ("rose",),
    "brown": ("chocolate",),
    "beige": ("sand", "cream"),
}

PATTERNS: dict[str, float] = {
    "solid": 6.0,
    "striped": 1.6,
    "pinstriped": 0.8,
    "checked": 1.5,
    "dotted": 1.3,
    "floral": 1.5,
    "zigzag": 0.8,
    "camouflage": 0.7,
    "leopard": 0.8,
    "color block": 1.0,
}
PATTERN_WORDS: dict[str, tuple[str, ...]] = {
    "solid": ("plain",),
    "striped": ("stripes",),
    "checked": ("plaid", "check"),
    "dotted": ("polka dot",),
    "floral": ("flower print",),
    "zigzag": ("chevron",),
    "camouflage": ("camo",),
    "leopard": ("animal print",),
    "color block": ("two-tone",),
}
PLAIN = ("solid",)
BOLD = ("solid", "striped", "checked", "dotted", "floral", "color block")
SPORTY = ("solid", "camouflage", "leopard", "color block", "checked")
ALL = tuple(PATTERNS)


@dataclass(frozen=True, slots=True)
class Brand:
    """A made-up maker: its logo (see logos.py), logo color, price level and departments."""

    name: str
    logo: str
    color: Rgb
    level: float
    sells: tuple[str, ...]


_FASHION, _SPORT, _HOME = ("Clothing", "Accessories"), ("Shoes", "Clothing", "Bags"), ("Home",)
BRANDS: tuple[Brand, ...] = (
    Brand("Velora", "triangle", (200, 30, 50), 1.0, (*_FASHION, "Shoes")),
    Brand("Norvik", "chevron", (20, 90, 180), 1.2, _SPORT),
    Brand("Astrene", "star", (230, 170, 20), 1.5, (*_FASHION, "Bags")),
    Brand("Kumora", "ring", (20, 20, 20), 0.8, (*_FASHION, *_HOME)),
    Brand("Peltio", "bars", (10, 120, 70), 0.7, _SPORT),
    Brand("Zephyra", "bolt", (240, 120, 10), 1.1, _SPORT),
    Brand("Orchid Lane", "leaf", (30, 140, 60), 1.3, (*_FASHION, *_HOME)),
    Brand("Brixton Vale", "diamond", (120, 20, 120), 1.8, ("Shoes", "Bags", "Accessories")),
    Brand("Lumo", "crescent", (240, 200, 40), 0.9, (*_HOME, "Accessories")),
    Brand("Tarn & Co", "cross", (190, 20, 20), 1.4, ("Clothing", "Bags", "Home")),
    Brand("Quill", "wave", (30, 130, 200), 0.6, (*_FASHION, "Shoes")),
    Brand("Hexaline", "hourglass", (60, 60, 160), 2.2, ("Accessories", "Bags")),
    Brand("Morrow", "dots", (220, 60, 120), 0.8, ("Clothing", "Home")),
    Brand("Fjell", "arrow", (20, 60, 60), 1.3, _SPORT),
    Brand("Casa Nuvo", "frame", (150, 90, 40), 1.0, _HOME),
    Brand("Sable Row", "swoosh", (250, 60, 60), 0.9, (*_SPORT, "Accessories")),
)
BRAND_BY_NAME: dict[str, Brand] = {brand.name: brand for brand in BRANDS}

AUDIENCES = ("women", "men", "unisex", "kids")
CLOTHES_SIZES = ("XS-M", "S-XL", "S-XXL", "L-4XL")
SHOE_SIZES = ("35-40", "36-42", "40-46")
ONE_SIZE = ("one size",)
CLOTHES_FEATURES = (
    "machine washable",
    "organic",
    "quick dry",
    "stretch",
    "wrinkle free",
    "recycled",
)
GOODS_FEATURES = ("water resistant", "lightweight", "handmade", "recycled", "gift boxed")
HOME_FEATURES = ("dishwasher safe", "handmade", "foldable", "easy to clean", "gift boxed")


@dataclass(frozen=True, slots=True)
class Article:
    """One article type.

    ``details`` are visible choices that change the drawn parts; ``figure`` says how it is worn
    (figures.py); ``price`` is the median; ``weight`` its share of the catalogue.
    """

    name: str
    department: str
    family: str
    words: tuple[str, ...]
    details: Mapping[str, tuple[str, ...]]
    materials: tuple[str, ...]
    figure: str
    price: float
    weight: float = 1.0
    patterns: tuple[str, ...] = ALL
    sizes: tuple[str, ...] = CLOTHES_SIZES
    features: tuple[str, ...] = CLOTHES_FEATURES
    category: tuple[str, str, str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "category", (self.department, self.family, self.name))


_SLEEVES = ("sleeveless", "short", "long")
_LENGTHS = ("mini", "midi", "maxi")
_CLOTH = ("cotton", "linen", "silk")
_A = Article
ARTICLES: tuple[Article, ...] = (
    _A("t-shirt", "Clothing", "Tops", ("tee", "top"),
       {"sleeve": _SLEEVES, "neck": ("round", "v"), "pocket": ("chest", "none")},
       ("cotton", "linen", "knit"), "top", 15, 1.6),
    _A("shirt", "Clothing", "Tops", ("button-up", "blouse"),
       {"sleeve": ("short", "long"), "collar": ("classic", "band"), "pocket": ("chest", "none")},
       ("cotton", "linen", "silk", "denim"), "top", 30, 1.4),
    _A("sweater", "Clothing", "Tops", ("jumper", "pullover"),
       {"neck": ("round", "v", "turtle"), "front": ("closed", "buttoned")},
       ("knit", "wool"), "top", 40, 1.2),
    _A("hoodie", "Clothing", "Tops", ("hooded sweatshirt",),
       {"front": ("closed", "zip"), "pocket": ("kangaroo", "none")},
       ("cotton", "wool"), "top", 38),
    _A("jacket", "Clothing", "Outerwear", ("coat",),
       {"front": ("zip", "buttoned"), "length": ("hip", "knee"), "collar": ("lapel", "stand")},
       ("denim", "leather", "nylon", "wool"), "top", 85, 1.2),
    _A("dress", "Clothing", "Dresses", ("gown", "frock"),
       {"sleeve": _SLEEVES, "length": _LENGTHS, "waist": ("belted", "plain")},
       (*_CLOTH, "knit"), "dress", 48, 1.5),
    _A("trousers", "Clothing", "Bottoms", ("pants",),
       {"fit": ("slim", "straight", "wide"), "waist": ("button", "drawstring")},
       ("cotton", "denim", "linen", "wool"), "bottom", 42, 1.3),
    _A("shorts", "Clothing", "Bottoms", ("short pants",),
       {"length": ("thigh", "knee"), "waist": ("button", "drawstring")},
       ("cotton", "denim", "linen", "nylon"), "bottom", 24),
    _A("skirt", "Clothing", "Bottoms", ("bottom",),
       {"length": _LENGTHS, "cut": ("flared", "pencil", "pleated")},
       (*_CLOTH, "denim", "leather"), "bottom", 34, 1.1),
    _A("sneaker", "Shoes", "Casual shoes", ("trainer", "running shoe"),
       {"height": ("low", "high"), "closure": ("laces", "velcro")},
       ("canvas", "leather", "nylon"), "foot", 70, 1.3, SPORTY, SHOE_SIZES, GOODS_FEATURES),
    _A("boot", "Shoes", "Boots", ("bootie",),
       {"height": ("ankle", "knee"), "heel": ("flat", "high")},
       ("leather", "suede"), "foot", 110, 0.9, SPORTY, SHOE_SIZES, GOODS_FEATURES),
    _A("sandal", "Shoes", "Summer shoes", ("slipper", "summer shoe"),
       {"straps": ("crossed", "triple", "thong"), "back": ("strap", "open")},
       ("leather", "suede", "canvas"), "room", 36, 0.8, SPORTY, SHOE_SIZES, GOODS_FEATURES),
    _A("tote bag", "Bags", "Bags", ("shopper", "carry bag"),
       {"handle": ("short", "long"), "pocket": ("front", "none")},
       ("canvas", "leather", "nylon"), "bag", 32, 0.9, ALL, ONE_SIZE, GOODS_FEATURES),
    _A("backpack", "Bags", "Bags", ("rucksack", "school bag"),
       {"pocket": ("one", "two"), "opening": ("flap", "zip")},
       ("canvas", "leather", "nylon"), "back", 58, 0.9, ALL, ONE_SIZE, GOODS_FEATURES),
    _A("handbag", "Bags", "Bags", ("purse", "shoulder bag"),
       {"shape": ("box", "round"), "strap": ("chain", "belt")},
       ("leather", "suede", "canvas"), "bag", 75, 0.9, SPORTY, ONE_SIZE, GOODS_FEATURES),
    _A("hat", "Accessories", "Headwear", ("cap", "headwear"),
       {"brim": ("visor", "all-round"), "top": ("button", "pompom")},
       ("cotton", "wool", "denim"), "head", 18, 0.8, ALL, ONE_SIZE, CLOTHES_FEATURES),
    _A("watch", "Accessories", "Jewelry", ("wristwatch", "timepiece"),
       {"dial": ("round", "square"), "marks": ("dots", "bars", "none")},
       ("leather", "nylon", "metal"), "wrist", 120, 0.8, ("solid", "striped"), ONE_SIZE,
       GOODS_FEATURES),
    _A("sunglasses", "Accessories", "Eyewear", ("shades", "glasses"),
       {"lens": ("round", "square", "cat-eye")},
       ("plastic", "metal"), "face", 45, 0.7, ("solid", "leopard"), ONE_SIZE, GOODS_FEATURES),
    _A("mug", "Home", "Kitchen", ("cup", "coffee cup"),
       {"shape": ("straight", "tapered", "round"), "handle": ("ring", "square")},
       ("ceramic", "metal"), "room", 12, 1.0, ALL, ("300 ml", "450 ml"), HOME_FEATURES),
    _A("lamp", "Home", "Lighting", ("table light",),
       {"shade": ("cone", "drum", "dome"), "base": ("stick", "ball", "tripod")},
       ("linen", "metal", "plastic"), "room", 55, 0.8, BOLD, ("40 cm", "60 cm"), HOME_FEATURES),
    _A("chair", "Home", "Furniture", ("seat",),
       {"back": ("solid", "slats"), "arms": ("yes", "none"), "legs": ("straight", "splayed")},
       ("wood", "plastic", "metal", "wool"), "room", 90, 0.8, BOLD, ("45 cm", "48 cm"),
       HOME_FEATURES),
    _A("cushion", "Home", "Textiles", ("pillow",),
       {"shape": ("square", "round"), "trim": ("piping", "tassels", "none")},
       ("cotton", "linen", "knit", "silk"), "room", 20, 0.8, ALL, ("40 cm", "50 cm"),
       CLOTHES_FEATURES),
)  # fmt: skip
ARTICLE_BY_NAME: dict[str, Article] = {article.name: article for article in ARTICLES}

# Phrases of details where "value key" ("short sleeve") would not be what people say.
PHRASES: dict[tuple[str, str], str] = {
    ("sleeve", "sleeveless"): "sleeveless",
    ("neck", "round"): "crew neck",
    ("neck", "v"): "v-neck",
    ("neck", "turtle"): "turtleneck",
    ("front", "closed"): "pullover style",
    ("front", "buttoned"): "button front",
    ("waist", "belted"): "belted",
    ("waist", "plain"): "no belt",
    ("waist", "button"): "button waist",
    ("length", "mini"): "mini",
    ("length", "midi"): "midi",
    ("length", "maxi"): "maxi",
    ("cut", "flared"): "flared",
    ("cut", "pencil"): "pencil",
    ("cut", "pleated"): "pleated",
    ("height", "low"): "low top",
    ("height", "high"): "high top",
    ("height", "ankle"): "ankle",
    ("height", "knee"): "knee high",
    ("back", "strap"): "ankle strap",
    ("back", "open"): "slip-on",
    ("closure", "laces"): "lace-up",
    ("closure", "velcro"): "velcro",
    ("straps", "triple"): "three strap",
    ("straps", "thong"): "thong",
    ("straps", "crossed"): "crossed straps",
    ("pocket", "one"): "front pocket",
    ("pocket", "two"): "two pockets",
    ("opening", "flap"): "flap top",
    ("opening", "zip"): "zip top",
    ("dial", "round"): "round dial",
    ("marks", "dots"): "dot markers",
    ("marks", "bars"): "bar markers",
    ("lens", "cat-eye"): "cat-eye",
    ("back", "slats"): "slatted back",
    ("arms", "yes"): "with armrests",
    ("arms", "none"): "armless",
    ("trim", "tassels"): "tasselled",
    ("trim", "piping"): "piped edge",
    ("top", "pompom"): "pompom",
    ("top", "button"): "top button",
}


def phrase(key: str, value: str) -> str:
    """What people say for a detail: ("sleeve", "short") is "short sleeve"; "" for "none"."""
    said = PHRASES.get((key, value))
    return said if said is not None else "" if value == "none" else f"{value} {key}"
