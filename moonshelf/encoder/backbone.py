"""The multimodal LLM: a Qwen2.5-VL or Qwen3-VL of the transformers library, loaded or built tiny.

The library's own classes are used unchanged, so a checkpoint that works elsewhere works here. Two
switches act on a built model: a convolutional stem in place of the patch embedding, and one batched
matmul for the vision attention when all pictures share a grid.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.nn import functional

from moonshelf.encoder.config import TinyConfig, VlmConfig
from moonshelf.encoder.stem import ConvStem
from moonshelf.encoder.text import TextTokenizer
from moonshelf.encoder.weights import (
    Held,
    drafting,
    read_headers,
    refuse_long_lists,
    refuse_problems,
)
from moonshelf.errors import CheckpointError

# A causal-LM checkpoint holds these beside the encoder; nothing else may be left over.
NOT_ENCODER = ("lm_head.",)
FAMILIES = ("qwen2_5_vl", "qwen3_vl")


def build_tiny(config: VlmConfig, tokenizer: TextTokenizer) -> nn.Module:
    """A random model of the family's own class, sized by ``config.tiny`` (seed it with torch)."""
    model = skeleton(config, tiny_transformers_config(config.tiny, tokenizer))
    _initialize(model, config.tiny)
    return model


def skeleton(config: VlmConfig, transformers_config: Any) -> nn.Module:
    """The modules without trained weights: what a saved encoder loads into."""
    model = _auto_model().from_config(
        transformers_config, attn_implementation=config.attention_kernel
    )
    if config.path is None and config.tiny.stem is not None:
        model.visual.patch_embed = ConvStem(config.tiny.stem, config.tiny.vision_width)
    batch_vision_attention(model)
    return model


def tiny_transformers_config(config: TinyConfig, tokenizer: TextTokenizer) -> Any:
    """The library's config object for ``config``; also what a checkpoint stores."""
    from transformers import Qwen2_5_VLConfig, Qwen3VLConfig

    head = config.width // config.heads
    # M-RoPE shares the head's rotary pairs among time, height and width.
    section = [head // 2 - 2 * (head // 6), head // 6, head // 6]
    text = {
        "vocab_size": len(tokenizer),
        "hidden_size": config.width,
        "intermediate_size": config.feed_forward,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "num_key_value_heads": config.kv_heads,
        "head_dim": head,
        "max_position_embeddings": 4096,
        "tie_word_embeddings": True,
        "pad_token_id": tokenizer.id("<|pad|>"),
        "bos_token_id": None,
        "eos_token_id": None,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 10000.0,
            "mrope_section": section,
            "mrope_interleaved": config.family == "qwen3_vl",
        },
    }
    vision = {
        "depth": config.vision_depth,
        "hidden_size": config.vision_width,
        "intermediate_size": 2 * config.vision_width,
        "num_heads": config.vision_heads,
        "patch_size": config.patch,
        "temporal_patch_size": 1,
        "spatial_merge_size": 2,
        "out_hidden_size": config.width,
    }
    shared = {
        "text_config": text,
        "vision_config": vision,
        "image_token_id": tokenizer.id("<|image_pad|>"),
        "vision_start_token_id": tokenizer.id("<|vision_start|>"),
        "vision_end_token_id": tokenizer.id("<|vision_end|>"),
        "video_token_id": tokenizer.id("<|pad|>"),
    }
    if config.family == "qwen3_vl":
        vision |= {
            "num_position_embeddings": 64,
            "deepstack_visual_indexes": list(config.deepstack),
        }
        return Qwen3VLConfig(**shared)
    vision |= {"window_size": 4 * config.patch, "fullatt_block_indexes": [config.vision_depth - 1]}
    return Qwen2_5_VLConfig(**shared)


def _initialize(model: nn.Module, config: TinyConfig) -> None:
    """Our start for training from scratch, where the library's is meant for pretrained weights.

    Residual branches start at zero, so step 0 is a bag of words and picture tokens, which learns
    fastest (docs/log.md); embeddings get the scale that the unit-gain norms expect.
    """
    if not config.zero_init_residual:
        return
    language: Any = model.language_model
    nn.init.normal_(language.embed_tokens.weight, std=0.5)
    for layer in language.layers:
        nn.init.zeros_(layer.self_attn.o_proj.weight)
        nn.init.zeros_(layer.mlp.down_proj.weight)


def load_pretrained(config: VlmConfig) -> nn.Module:
    """The encoder part of a checkpoint by folder or hub name, strictly.

    The config of a folder may ask for no more weights than its files hold.

    Raises:
        CheckpointError: not a Qwen-VL checkpoint, or any encoder weight is missing, unexpected or
            of another shape.
    """
    path = str(config.path)
    held = _held(Path(path))
    found = _pretrained_config(config)
    if held is not None:
        _draft(found, held, str(Path(path) / "config.json"))
    try:
        model, report = _auto_model().from_pretrained(
            path,
            revision=config.revision,
            # Masters of training: a step of 1e-5 is lost in a bfloat16 weight, and the parity probe
            # compares with float32. bf16 is the business of autocast.
            dtype=torch.float32,
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # the report below refuses them by name
            attn_implementation=config.attention_kernel,
        )
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"weights cannot be read: {error}".splitlines()[0],
            where=path,
            cure="copy the checkpoint again; its weights must be safetensors",
        ) from error
    _check_report(report, path)
    batch_vision_attention(model)
    return model


def _held(folder: Path) -> Held | None:
    """What a local checkpoint holds; None where the library has to find it or has to refuse it."""
    file, weights = folder / "config.json", sorted(folder.glob("*.safetensors"))
    if not file.is_file() or not weights:
        return None
    held = read_headers(weights, str(folder))
    try:
        described = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None  # reading it as a config tells what is wrong
    refuse_long_lists(described, held, str(file))
    return held


def _draft(found: Any, held: Held, where: str) -> None:
    """Builds the model without memory, to see that it asks for no more than the files hold."""
    try:
        with drafting(held, where):
            _auto_model().from_config(found)
    except CheckpointError:
        raise
    except Exception as error:  # the library raises anything on sizes that fit nothing
        raise CheckpointError(
            f"describes no model that can be built ({error!r:.200})",
            where=where,
            cure="copy the checkpoint again",
        ) from error


def _pretrained_config(config: VlmConfig) -> Any:
    """The library's config object of the checkpoint."""
    from transformers import AutoConfig

    path = str(config.path)
    try:
        found = AutoConfig.from_pretrained(path, revision=config.revision, trust_remote_code=False)
    except Exception as error:  # the library raises anything on values that fit nothing
        raise CheckpointError(
            f"no model can be read: {error}".splitlines()[0],
            where=path,
            cure="give a folder with config.json, or a hub name that this machine can reach",
        ) from error
    if found.model_type not in FAMILIES:
        raise CheckpointError(
            f"model type {found.model_type!r} is not supported",
            where=path,
            cure="use a Qwen2.5-VL or Qwen3-VL checkpoint",
        )
    return found


def _check_report(report: dict[str, Any], path: str) -> None:
    unexpected = [k for k in report["unexpected_keys"] if not k.startswith(NOT_ENCODER)]
    mismatched = [str(name) for name, *_ in report.get("mismatched_keys", [])]
    problems = {
        "missing": sorted(report["missing_keys"]),
        "unexpected": sorted(unexpected),
        "of another shape": sorted(mismatched),
    }
    refuse_problems(problems, path)


def _auto_model() -> Any:
    from transformers import AutoModel

    return AutoModel


def batch_vision_attention(model: nn.Module) -> None:
    """Swaps the stock loop over pictures for one batched matmul (same weights, same result)."""
    visual: Any = model.visual
    for block in visual.blocks:
        block.attn.forward = _BatchedVisionAttention(block.attn)


class _BatchedVisionAttention:
    """Replacement forward of one vision attention; falls back to the stock one on mixed grids."""

    def __init__(self, attention: Any) -> None:
        self.attention, self.stock = attention, attention.forward

    def __call__(
        self,
        hidden_states: Tensor,
        cu_seqlens: Tensor,
        position_embeddings: Any = None,
        **rest: Any,
    ) -> Tensor:
        lengths = cu_seqlens[1:] - cu_seqlens[:-1]
        if len(lengths) < 2 or bool((lengths != lengths[0]).any()):
            return self.stock(
                hidden_states, cu_seqlens, position_embeddings=position_embeddings, **rest
            )
        a, pictures, count = self.attention, len(lengths), hidden_states.shape[0]
        cos, sin = (table.unsqueeze(-2) for table in position_embeddings)
        q, k, v = a.qkv(hidden_states).reshape(count, 3, a.num_heads, -1).unbind(1)
        q, k = (_rotate(part.float(), cos, sin).to(v.dtype) for part in (q, k))
        q, k, v = (
            part.reshape(pictures, -1, a.num_heads, a.head_dim).transpose(1, 2)
            for part in (q, k, v)
        )
        if a.config._attn_implementation == "sdpa":
            mixed = functional.scaled_dot_product_attention(q, k, v, scale=a.scaling)
        else:
            weights = torch.softmax(q @ k.transpose(2, 3) * a.scaling, dim=-1, dtype=torch.float32)
            mixed = weights.to(v.dtype) @ v
        return a.proj(mixed.transpose(1, 2).reshape(count, -1))


def _rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-second, first), dim=-1) * sin
