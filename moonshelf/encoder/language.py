"""The language side of a multimodal LLM: a question about a product, and its answer in words.

    [picture] [title] question -> LLM, causal -> states -> embedding table, transposed -> next token

It owns no weights: states come from the encoder's own layers and the output layer is the embedding
table (tied), so that what is learned here is in the encoder. Rows are packed and kept apart as for
vectors (sequence.py). Attention is causal whatever the encoder's own is.

The paper says: next-token training on questions about products (methods.md 3.3). It leaves open how
the turns are told apart. We chose: the chat frame of Qwen where the vocabulary has one; else, in a
vocabulary trained here, one control token after the question and after the answer. Control tokens
are inserted by id, so no text of a product can forge one (text.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from moonshelf.catalog.product import Content
from moonshelf.encoder.base import Batch, Encoder
from moonshelf.encoder.sequence import Tokens, pack
from moonshelf.encoder.text import TextTokenizer
from moonshelf.encoder.vision_language import VisionLanguageEncoder
from moonshelf.errors import CheckpointError, UsageError

END = "<|im_end|>"
"""Ends a turn: the control token that an encoder needs to be asked anything."""
_START = "<|im_start|>"
# Logits of at most this many places x words are held at once (256 MiB in float32); the others are
# made again in the backward pass.
_LOGITS = 2**26


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked about ``content`` (its picture, and its text where it has one), and the answer
    where it is known."""

    content: Content
    text: str
    answer: str = ""


class LanguageModel:
    """Asks an encoder in words, with its own weights.

    Args:
        encoder: a multimodal LLM whose vocabulary has ``END``.
        question_tokens, answer_tokens: the longest question (without title) and answer; longer
            ones are cut, and a cut answer has no end.

    Raises:
        UsageError: the encoder is no multimodal LLM, or its output layer is not its embedding.
        CheckpointError: its vocabulary cannot end an answer.
    """

    def __init__(
        self, encoder: Encoder, *, question_tokens: int = 48, answer_tokens: int = 64
    ) -> None:
        if not isinstance(encoder, VisionLanguageEncoder):
            raise UsageError(
                f"an encoder of kind {encoder.config.kind!r} has no language model",
                cure='use encoder.kind = "vlm"',
            )
        self.encoder = encoder
        self.limits = (question_tokens, answer_tokens)
        config = encoder.config
        # A tiny model has no output layer of its own; a checkpoint may, and it was not loaded.
        if config.path is not None and not encoder.backbone.config.tie_word_embeddings:
            raise UsageError(
                "the checkpoint keeps its output layer apart from its embeddings, and an encoder "
                "holds the embeddings alone",
                where=config.path,
                cure="use a checkpoint with tie_word_embeddings, as the small Qwen-VL have it",
            )
        self._frame = Frame(encoder.tokenizer)

    @property
    def table(self) -> Tensor:
        """Embeddings of the vocabulary [W, D], which are the output layer too."""
        return self.encoder.backbone.get_input_embeddings().weight

    # ---- CPU side ------------------------------------------------------------------------------

    def collate(self, questions: Sequence[Question]) -> Batch:
        """CPU tensors for :meth:`answer_loss`: those of a packed batch and, for each of the n
        answer tokens, ``predict_at`` (flat place of the token before it), ``target`` (its id) and
        ``owner`` (its question).

        Raises:
            ImageError: a picture cannot be read. DataError: a text is no valid Unicode.
        """
        answers = self._answers([q.answer for q in questions])
        batch = self._packed(questions, answers, self.encoder.config.pack)
        spans = [
            torch.arange(last - len(ids), last)
            for last, ids in zip(batch["last"].tolist(), answers, strict=True)
        ]
        batch["predict_at"] = torch.cat(spans)
        batch["target"] = torch.tensor([token for ids in answers for token in ids])
        batch["owner"] = torch.repeat_interleave(torch.tensor([len(ids) for ids in answers]))
        return batch

    def _answers(self, texts: Sequence[str]) -> list[list[int]]:
        most = self.limits[1]
        found = self.encoder.tokenizer.encode(texts, most)
        return [[*ids, self._frame.end] if len(ids) < most else ids for ids in found]

    def _packed(
        self, questions: Sequence[Question], answers: Sequence[Sequence[int]], capacity: int
    ) -> Batch:
        """Questions with their answers so far, in rows of ``capacity`` tokens (0: one a row)."""
        encoder, frame = self.encoder, self._frame
        shown = encoder.shown([q.content for q in questions])
        pictures, places, grids = encoder.shown_pictures(shown)
        titles = encoder.tokenizer.encode(
            [q.content.text or "" for q in questions], encoder.config.max_text_tokens
        )
        asked = encoder.tokenizer.encode([q.text for q in questions], self.limits[0])
        rows = []
        for images, title, words, answer in zip(shown, titles, asked, answers, strict=True):
            tokens = Tokens()
            tokens.add_text(frame.before)
            encoder.add_pictures(tokens, len(images), grids)
            tokens.add_text([*title, *frame.line, *words] if title else words)
            tokens.add_text([*frame.between, *answer])
            rows.append(tokens)
        return pictures | pack(rows, capacity, encoder.pad) | places

    # ---- tensor side ---------------------------------------------------------------------------

    def answer_loss(self, batch: Batch) -> Tensor:
        """Float32 ``[B, 2]``: the summed cross-entropy of each answer in nats, and its tokens.

        A row holds sums and not a mean, so that the mean over the answer tokens of a whole batch
        is exact however the batch is cut up.
        """
        hidden = self.encoder.causal_states(batch)
        states = hidden.reshape(-1, hidden.shape[-1])[batch["predict_at"]]
        owner, target = batch["owner"], batch["target"]
        most = max(1, _LOGITS // len(self.table))
        parts = list(zip(states.split(most), target.split(most), strict=True))
        if len(parts) == 1:
            loss = self._surprise(states, target)
        else:
            again = [checkpoint(self._surprise, *part, use_reentrant=False) for part in parts]
            loss = torch.cat(again)
        count = int(batch["count"])
        sums = loss.new_zeros(count).index_add(0, owner, loss)
        tokens = loss.new_zeros(count).index_add(0, owner, torch.ones_like(loss))
        return torch.stack([sums, tokens], dim=1)

    def _surprise(self, states: Tensor, target: Tensor) -> Tensor:
        """Cross-entropy [n] of each target."""
        return functional.cross_entropy(self.logits(states), target, reduction="none")

    def logits(self, states: Tensor) -> Tensor:
        """``[n, D]`` to scores of every word ``[n, W]``, at least float32."""
        scores = functional.linear(states, self.table)
        return scores if scores.dtype == torch.float64 else scores.float()

    @torch.inference_mode()
    def write(
        self, questions: Sequence[Question], *, batch_size: int = 128, bf16: bool = False
    ) -> list[str]:
        """The likeliest next token again and again, until the answer ends or is too long.

        Args:
            batch_size: questions answered at once; what is written does not depend on it but by
                rounding.
            bf16: in bfloat16 autocast.
        """
        was_training = self.encoder.training
        self.encoder.eval()
        try:
            found: list[str] = []
            for start in range(0, len(questions), batch_size):
                with torch.autocast(self.encoder.device.type, torch.bfloat16, enabled=bf16):
                    found += self._write(questions[start : start + batch_size])
            return found
        finally:
            self.encoder.train(was_training)

    def _write(self, questions: Sequence[Question]) -> list[str]:
        written = self.write_ids(questions)
        return [self.encoder.tokenizer.decode(ids).strip() for ids in written]

    def write_ids(self, questions: Sequence[Question]) -> list[list[int]]:
        """Token ids of each answer, without its end. The keys and values of what was read are
        kept, so that each further token costs one token's pass."""
        from transformers import DynamicCache

        encoder, device = self.encoder, self.encoder.device
        empty: list[list[int]] = [[] for _ in questions]
        batch = {k: v.to(device) for k, v in self._packed(questions, empty, 0).items()}
        cache = DynamicCache(config=encoder.backbone.config.text_config)
        hidden = encoder.hidden_states(batch, causal=True, cache=cache)
        states = hidden.reshape(-1, hidden.shape[-1])[batch["last"]]
        own = torch.arange(len(questions), device=device)
        column = batch["last"] - own * batch["segment"].shape[1]
        place = batch["position_ids"][:, own, column]
        seen = batch["segment"] >= 0
        ids: list[Tensor] = []
        ended = torch.zeros(len(questions), dtype=torch.bool, device=device)
        for _ in range(self.limits[1]):
            token = self.logits(states).argmax(dim=1)
            ids.append(token)
            ended = ended | (token == self._frame.end)
            if bool(ended.all()):
                break
            place = place + 1
            seen = torch.cat([seen, torch.ones_like(seen[:, :1])], dim=1)
            states = encoder.next_states(token, place, seen, cache)
        return [_up_to(row, self._frame.end) for row in torch.stack(ids, dim=1).tolist()]


class Frame:
    """The ids that stand between the parts of an exchange.

    Attributes:
        before, between: before the question and between it and the answer; line: after a title;
        end: after the answer.
    """

    def __init__(self, tokenizer: TextTokenizer) -> None:
        if END not in tokenizer:
            raise CheckpointError(
                f"the vocabulary has no {END!r}: nothing ends an answer",
                cure="use a Qwen2.5-VL or Qwen3-VL tokenizer, or train the encoder by a recipe "
                "with a stage of kind pretrain",
            )
        self.end = tokenizer.id(END)
        self.before: list[int] = []
        self.between = [self.end]
        self.line, user, assistant = tokenizer.encode(["\n", "user\n", "assistant\n"], 16)
        if _START in tokenizer:
            start = tokenizer.id(_START)
            self.before = [start, *user]
            self.between = [self.end, *self.line, start, *assistant]


def _up_to(ids: list[int], end: int) -> list[int]:
    return ids[: ids.index(end)] if end in ids else ids
