"""Small real pictures for the tests of this folder."""

from __future__ import annotations

import io

from PIL import Image


def png(color: tuple[int, int, int], size: tuple[int, int] = (40, 30)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, color).save(buffer, "PNG")
    return buffer.getvalue()
