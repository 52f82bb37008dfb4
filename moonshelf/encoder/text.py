"""Text to token ids: a byte-level BPE trained on the catalogue, or a checkpoint's own tokenizer.

Both are ``tokenizers`` files, so a saved encoder needs no network and no pickle. Product text is
data: special tokens that occur in a title (``<|emb|>`` typed by a seller) are split as plain text
and can never become control tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from tokenizers import (
    AddedToken,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    trainers,
)

from moonshelf.catalog.marks import Mark, Marked
from moonshelf.errors import CheckpointError, DataError

SPECIAL = (
    "<|pad|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|emb|>",
    "<think>",
    "</think>",
)


class TextTokenizer:
    """Token ids for titles, plus the ids of the control tokens that the encoder itself inserts."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        # Control tokens are only ever inserted by id, never matched in product text.
        self._tokenizer = tokenizer
        # A checkpoint may hold some that its file does not call special (``<tool_call>``).
        added = tokenizer.get_added_tokens_decoder().values()
        self._tokenizer.add_special_tokens([token for token in added if not token.special])
        self._tokenizer.encode_special_tokens = True
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()

    def __len__(self) -> int:
        return self._tokenizer.get_vocab_size(with_added_tokens=True)

    def __contains__(self, token: str) -> bool:
        return self._tokenizer.token_to_id(token) is not None

    def id(self, token: str) -> int:
        """The id of a control token.

        Raises:
            CheckpointError: the vocabulary lacks it.
        """
        found = self._tokenizer.token_to_id(token)
        if found is None:
            raise CheckpointError(
                f"the tokenizer has no token {token!r}",
                cure="use a Qwen2.5-VL or Qwen3-VL tokenizer, or one trained by Moonshelf",
            )
        return found

    def add_control_token(self, token: str) -> int:
        """Adds ``token`` if it is missing; returns its id."""
        self._tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False)])
        return self.id(token)

    def encode(self, texts: Sequence[str], limit: int) -> list[list[int]]:
        """Ids of each text, cut after ``limit`` tokens.

        Raises:
            DataError: a text is no valid Unicode (half of a surrogate pair).
        """
        found = self._encoded(self._tokenizer.encode_batch_fast, texts)
        return [encoding.ids[:limit] for encoding in found]

    def encode_marked(
        self, texts: Sequence[Marked], limit: int
    ) -> list[tuple[list[int], list[Mark | None]]]:
        """Ids of each text, the very ones of :meth:`encode`, and the mark of each token: that of
        its last character, because a token takes along the space before its word.

        Raises:
            DataError: a text is no valid Unicode.
        """
        found = self._encoded(self._tokenizer.encode_batch, [text for text, _ in texts])
        return [
            (
                encoding.ids[:limit],
                [text.at(max(start, stop - 1)) for start, stop in encoding.offsets[:limit]],
            )
            for encoding, text in zip(found, texts, strict=True)
        ]

    def _encoded(self, encode_batch: Callable[..., list[Any]], texts: Sequence[str]) -> list[Any]:
        try:
            return encode_batch(list(texts), add_special_tokens=False)
        except TypeError as error:
            raise _not_unicode(texts) from error

    def decode(self, ids: Sequence[int]) -> str:
        return self._tokenizer.decode(list(ids), skip_special_tokens=True)

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._tokenizer.save(str(folder / "tokenizer.json"))

    @classmethod
    def load(cls, folder: Path) -> TextTokenizer:
        file = folder / "tokenizer.json"
        if not file.is_file():
            raise CheckpointError(
                "tokenizer.json is missing", where=str(folder), cure="copy the whole folder again"
            )
        try:
            return cls(Tokenizer.from_file(str(file)))
        except Exception as error:  # tokenizers raises a bare Exception for every malformed file
            raise CheckpointError(
                f"tokenizer.json cannot be read: {error}", where=str(file), cure="copy it again"
            ) from error


def _not_unicode(texts: Sequence[str]) -> DataError:
    for k, text in enumerate(texts):
        try:
            text.encode()
        except UnicodeEncodeError as error:
            return DataError(
                f"not valid Unicode at character {error.start}: {text[:40]!a}",
                where=f"text {k} of the batch",
                cure="give the text as UTF-8",
            )
    return DataError("a text is not a str", cure="pass str only")


def train_tokenizer(
    texts: Iterable[str], vocabulary: int, control: Sequence[str] = ()
) -> TextTokenizer:
    """A byte-level, case-folding BPE: every string has a tokenization, none is unknown.

    Args:
        texts: training-split titles and descriptions.
        vocabulary: total size, control tokens included.
        control: control tokens besides those of every encoder.

    Raises:
        DataError: there is no text at all to learn from.
    """
    kept = [text for text in texts if text.strip()]
    if not kept:
        raise DataError(
            "no text to train a tokenizer on",
            cure="import a catalogue with titles in its train split",
        )
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])  # pyright: ignore[reportAttributeAccessIssue]
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)  # pyright: ignore[reportAttributeAccessIssue]
    tokenizer.decoder = decoders.ByteLevel()  # pyright: ignore[reportAttributeAccessIssue]
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[
            AddedToken(token, special=True, normalized=False) for token in (*SPECIAL, *control)
        ],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(kept, trainer)
    return TextTokenizer(tokenizer)
