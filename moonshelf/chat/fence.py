"""A stranger's text inside a prompt: between two marks that it cannot contain.

The fence is no secret and no random number: it is made from the text that it encloses, and made
anew until the text does not contain it, so that no text can close its own fence.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping


def fence(texts: Iterable[str]) -> str:
    """16 hex digits that stand in none of ``texts``: the same for the same texts."""
    texts = list(texts)
    digest = hashlib.sha256()
    for text in texts:
        digest.update(text.encode("utf-8", "surrogatepass") + b"\0")
    while any(digest.hexdigest()[:16] in text.lower() for text in texts):
        digest.update(b"again")
    return digest.hexdigest()[:16]


def fenced(parts: Mapping[str, str], token: str) -> str:
    """Texts by name between the two marks. Names are ours; the texts are whatever they are."""
    body = "\n".join(f"[{name}]\n{sendable(text)}" for name, text in parts.items())
    return f"<<<DATA {token}\n{body}\nDATA {token}>>>"


def sendable(text: str) -> str:
    """Half a surrogate pair cannot be sent; a mark stands for it."""
    return text.encode("utf-8", "replace").decode()
