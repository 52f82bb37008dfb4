"""The drawn shop: a catalogue made by code, honest enough to learn on.

It serves the demo and the tests, never a claim. ``draw_shop`` streams it; ``DrawnShop`` also knows
the truth behind each record (part masks, photo styles, what a title misstates).
"""

from __future__ import annotations

from moonshelf.catalog.synthetic.art import ProductSpec, draw_product
from moonshelf.catalog.synthetic.config import ShopConfig, TitleRates
from moonshelf.catalog.synthetic.shop import DrawnShop, draw_shop

__all__ = ["DrawnShop", "ProductSpec", "ShopConfig", "TitleRates", "draw_product", "draw_shop"]
