"""What a weights file holds, by its header, and whether a model asks for no more than that.

A damaged or hostile description can ask for a width of a billion or a million layers. So a model is
first drafted without memory, and building it for real starts when its shapes are those of the file.
"""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_buffer_registration_hook,
    register_module_parameter_registration_hook,
)

from moonshelf.errors import CheckpointError

# What a model may have besides its weights while it is built: tables of positions, and the patch
# embedding that a stem replaces.
_SPARE_VALUES = 2**24
_SPARE_TENSORS = 64
_MOST_TENSORS = 50_000  # the largest Qwen-VL has 1,500; each costs a module in memory
# A config library makes a list as long as each of these says before any model is built.
_COUNTS = ("num_hidden_layers", "depth", "num_labels")
_AGAIN = "copy the whole folder again, and load only encoders from where you trust"


@dataclass(frozen=True)
class Held:
    """The tensors of a checkpoint by name: shapes and number formats (``F32``, ``I64``, ...)."""

    where: str
    shapes: Mapping[str, tuple[int, ...]]
    formats: Mapping[str, str]

    @property
    def values(self) -> int:
        return sum(math.prod(shape) for shape in self.shapes.values())


def read_headers(files: Sequence[Path], where: str) -> Held:
    """What ``files`` (safetensors) hold; the tensors themselves are not read.

    Raises:
        CheckpointError: a file is missing, truncated or damaged, or holds absurdly many tensors.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    formats: dict[str, str] = {}
    for path in files:
        try:
            with safe_open(path, "pt") as file:
                for name in file.keys():  # noqa: SIM118 - not a mapping
                    part = file.get_slice(name)
                    shapes[name], formats[name] = tuple(part.get_shape()), part.get_dtype()
        except (OSError, SafetensorError) as error:
            raise CheckpointError(
                f"weights cannot be read: {error}", where=str(path), cure="copy the folder again"
            ) from error
    if len(shapes) > _MOST_TENSORS:
        raise CheckpointError(
            f"holds {len(shapes):,} tensors, no encoder has more than {_MOST_TENSORS:,}",
            where=where,
            cure=_AGAIN,
        )
    return Held(where, shapes, formats)


def refuse_long_lists(described: Any, held: Held, where: str) -> None:
    """Refuses a transformers config (as JSON) that counts more layers than there are tensors.

    Raises:
        CheckpointError: names the key.
    """
    waiting = [described]
    while waiting:
        found = waiting.pop()
        if isinstance(found, Mapping):
            for key, value in found.items():
                if key in _COUNTS and isinstance(value, int) and value > len(held.shapes):
                    raise CheckpointError(
                        f"{key} is {value:,}, but {held.where} holds {len(held.shapes):,} tensors",
                        where=where,
                        cure=_AGAIN,
                    )
            waiting += found.values()
        elif isinstance(found, list):
            waiting += found


@contextlib.contextmanager
def drafting(held: Held, where: str) -> Iterator[None]:
    """Modules that this thread builds inside have shapes and no memory (torch's meta device).

    Raises:
        CheckpointError: they ask for clearly more tensors or values than ``held`` has; raised as
            soon as they do.
    """
    tensors = 2 * len(held.shapes) + _SPARE_TENSORS
    values = 2 * held.values + _SPARE_VALUES
    thread = threading.get_ident()

    def count(_module: nn.Module, name: str, tensor: Tensor | None) -> None:
        nonlocal tensors, values
        if tensor is None or threading.get_ident() != thread:
            return
        tensors, values = tensors - 1, values - tensor.numel()
        if tensors < 0 or values < 0:
            raise CheckpointError(
                f"describes a model with more weights than {held.where} holds "
                f"({len(held.shapes):,} tensors, {held.values:,} values): building it stopped at "
                f"{name!r} {list(tensor.shape)}",
                where=where,
                cure=_AGAIN,
            )

    with contextlib.ExitStack() as stack:
        for register in (
            register_module_parameter_registration_hook,
            register_module_buffer_registration_hook,
        ):
            stack.callback(register(count).remove)
        stack.enter_context(torch.device("meta"))
        yield


def refuse_other_shapes(wanted: Mapping[str, Tensor], held: Held) -> None:
    """Whether ``held`` has exactly the weights ``wanted`` (a state dict), as floating point.

    Raises:
        CheckpointError: names what is missing, unexpected, of another shape or of integers.
    """
    shared = held.shapes.keys() & wanted.keys()
    problems = {
        "missing": sorted(wanted.keys() - held.shapes.keys()),
        "unexpected": sorted(held.shapes.keys() - wanted.keys()),
        "of another shape": sorted(k for k in shared if held.shapes[k] != wanted[k].shape),
        "not floating point": sorted(
            k for k in shared if not held.formats[k].startswith(("F", "BF"))
        ),
    }
    refuse_problems(problems, held.where)


def refuse_problems(problems: Mapping[str, Sequence[str]], where: str) -> None:
    """Raises CheckpointError when any list of weight names is not empty."""
    told = [
        f"{len(names)} {what} ({', '.join(names[:5])}{', ...' if len(names) > 5 else ''})"
        for what, names in problems.items()
        if names
    ]
    if told:
        raise CheckpointError(
            f"weights do not match the model: {'; '.join(told)}",
            where=where,
            cure="copy the checkpoint again, or use the transformers version that wrote it",
        )
