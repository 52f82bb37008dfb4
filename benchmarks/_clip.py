"""The CLIP-type control as a model: ``CLIPModel`` in a Sentence Transformers pipeline.

A piece of clip_peer.py, which says what it is for and how it is trained.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch

    from moonshelf.catalog.product import Content

NAME = "clip-peer"
HEIGHT, WIDTH = 96, 64
VOCABULARY, LONGEST = 4096, 32  # no myntra title has more than 27 tokens
START, END = "<|startoftext|>", "<|endoftext|>"
EMBED_BATCH = 256
# Chosen on the val split of myntra at 100 to 300 core-seconds: benchmarks/README.md.
TEXT = {"hidden_size": 128, "num_hidden_layers": 1, "num_attention_heads": 2}
VISION = {"hidden_size": 192, "num_hidden_layers": 2, "num_attention_heads": 6}
DIM = 256


def clip_tokenizer(texts: Iterable[str], vocabulary: int = VOCABULARY) -> Any:
    """transformers' ``CLIPTokenizer`` with a vocabulary learned from ``texts``."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import CLIPTokenizer

    stock = CLIPTokenizer().backend_tokenizer  # its normalizer and splitting, no vocabulary
    learner: Any = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    learner.normalizer, learner.pre_tokenizer = stock.normalizer, stock.pre_tokenizer
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary - len(alphabet),
        special_tokens=[START, END],
        end_of_word_suffix="</w>",
        initial_alphabet=alphabet,
        show_progress=False,
    )
    learner.train_from_iterator(texts, trainer)
    learned = json.loads(learner.to_str())["model"]
    entries: dict[str, int] = learned["vocab"]
    # As in CLIP's own vocabulary, every byte may also end a word. Without these an unseen last
    # byte becomes the unknown token, which is the end token, where the model reads its vector.
    for byte in sorted(alphabet):
        entries.setdefault(f"{byte}</w>", len(entries))
    merges: Any = [tuple(pair) for pair in learned["merges"]]
    return CLIPTokenizer(vocab=entries, merges=merges)


def clip_model(tokenizer: Any, patch: int, seed: int) -> Any:
    """A random ``CLIPModel``; square positions of about as many patches as the canvas has."""
    import torch
    from transformers import CLIPConfig, CLIPModel

    side = round((HEIGHT * WIDTH) ** 0.5 / patch)
    config = CLIPConfig(
        text_config={
            **_tower(TEXT),
            "vocab_size": len(tokenizer),
            "max_position_embeddings": LONGEST,
            "bos_token_id": tokenizer.bos_token_id,
            "eos_token_id": tokenizer.eos_token_id,
            "pad_token_id": tokenizer.pad_token_id,
        },
        vision_config={**_tower(VISION), "image_size": side * patch, "patch_size": patch},
        projection_dim=DIM,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return CLIPModel(config)


def _tower(size: dict[str, int]) -> dict[str, Any]:
    """``gelu`` is one operation of torch, CLIP's ``quick_gelu`` three: 5 % of a step."""
    return {**size, "intermediate_size": 4 * size["hidden_size"], "hidden_act": "gelu"}


def pipeline(model: Any, tokenizer: Any, pictures: Any = None) -> Any:
    """A ``SentenceTransformer`` around ``model``. Its stock module takes pictures as PIL objects
    and decodes them inside the loop; this one takes decoded arrays, or row numbers of the cache
    ``pictures`` (an Arrow data set would otherwise copy every picture)."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import InputModule

    class ClipModule(InputModule):
        def __init__(self) -> None:
            super().__init__()
            self.model, self.tokenizer = model, tokenizer

        @property
        def modalities(self) -> list[Any]:
            return ["text", "image"]

        def preprocess(self, inputs: Any, prompt: str | None = None, **rest: Any) -> dict[str, Any]:
            if isinstance(inputs[0], str):
                words = tokenizer(
                    list(inputs),
                    padding=True,
                    truncation=True,
                    max_length=LONGEST,
                    return_tensors="pt",
                )
                return {k: words[k] for k in ("input_ids", "attention_mask")}
            if isinstance(inputs[0], np.ndarray):
                return {"pixel_values": _normalized(torch.from_numpy(np.stack(inputs)))}
            pixels = torch.from_numpy(pictures.take(np.asarray(inputs, dtype=np.int64)))
            return {"pixel_values": _normalized(pixels)}

        def forward(self, features: dict[str, Any], **rest: Any) -> dict[str, Any]:
            if "pixel_values" in features:
                pixels = features["pixel_values"]
                if self.training:
                    # As our recipes do. Here and not above: their loader prepares a batch ahead
                    # of the random state that a checkpoint keeps.
                    turn = torch.rand(len(pixels)) < 0.5
                    pixels = torch.where(turn[:, None, None, None], pixels.flip(3), pixels)
                out = model.get_image_features(pixel_values=pixels, interpolate_pos_encoding=True)
            else:
                out = model.get_text_features(
                    input_ids=features["input_ids"], attention_mask=features["attention_mask"]
                )
            return {**features, "sentence_embedding": getattr(out, "pooler_output", out)}

        def get_embedding_dimension(self) -> int:
            return model.config.projection_dim

        def save(self, output_path: str, *args: Any, **rest: Any) -> None:
            model.save_pretrained(output_path)
            tokenizer.save_pretrained(output_path)

    return SentenceTransformer(modules=[ClipModule()], device="cpu")


def _normalized(pixels: torch.Tensor) -> torch.Tensor:
    """``uint8 [P, H, W, 3]`` to what CLIP's image processor gives, ``float [P, 3, H, W]``."""
    import torch
    from transformers.utils.constants import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD

    mean, std = torch.tensor(OPENAI_CLIP_MEAN), torch.tensor(OPENAI_CLIP_STD)
    planes = pixels.permute(0, 3, 1, 2).contiguous().float()  # moved while it is one byte a value
    return planes.sub_(255 * mean[:, None, None]).div_(255 * std[:, None, None])


class PeerEmbedder:
    """The peer behind the protocol of ``moonshelf.evaluation``; mm is the normalized sum."""

    def __init__(self, model: Any, name: str = NAME) -> None:
        from moonshelf.catalog.product import View

        self.model, self.name, self.views = model, name, frozenset(View)

    def embed(self, contents: Iterable[Content], **ignored: Any) -> np.ndarray:
        parts = [self._block(block) for block in _blocks(contents)]
        return np.concatenate(parts) if parts else np.zeros((0, 256), np.float32)

    def _block(self, contents: Sequence[Content]) -> np.ndarray:
        from moonshelf.catalog.images import decode_picture

        total = np.zeros((len(contents), self.model.get_embedding_dimension()), np.float32)
        words = [k for k, c in enumerate(contents) if c.text and c.text.strip()]
        seen = [k for k, c in enumerate(contents) if c.images]
        if words:
            total[words] += self._units([contents[k].text or "" for k in words])
        if seen:
            first = [contents[k].images[0] for k in seen]
            total[seen] += self._units(
                [decode_picture(p, HEIGHT, WIDTH) if isinstance(p, bytes) else p for p in first]
            )
        norms = np.linalg.norm(total, axis=1, keepdims=True)
        return total / np.where(norms > 0, norms, 1)

    def _units(self, inputs: Sequence[Any]) -> np.ndarray:
        import torch

        self.model.eval()
        with torch.inference_mode():
            # Not encode(): it guesses from a title that ends in ".jpg" that it is a picture.
            out = self.model(self.model[0].preprocess(inputs))["sentence_embedding"]
            return torch.nn.functional.normalize(out.float(), dim=-1).numpy()


def _blocks(contents: Iterable[Content]) -> Iterator[list[Content]]:
    block: list[Content] = []
    for content in contents:
        block.append(content)
        if len(block) == EMBED_BATCH:
            yield block
            block = []
    if block:
        yield block


def load_peer(folder: Path) -> PeerEmbedder:
    """The embedder of a finished RUN."""
    from transformers import CLIPModel, CLIPTokenizer

    tokenizer = CLIPTokenizer.from_pretrained(folder / "peer")
    return PeerEmbedder(pipeline(CLIPModel.from_pretrained(folder / "peer").eval(), tokenizer))
