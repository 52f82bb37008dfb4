"""State of a run that survives ``kill -9``: written whole or not at all, the last two are kept.

    RUN/state/00-align-0000120/
        tensors.safetensors     trainable weights and buffers, optimizer state   (no pickle)
        state.json              stage, step, time spent, running sums, random states, SHA-256

A folder appears by one rename after everything in it is on disk, so a kill or a full disk leaves
the states before it. Frozen weights never change and are rebuilt, not saved; ``digest`` (of the
rebuilt start) makes sure that what is rebuilt is what was there. Tensors are whole, whether or not
the run that saves or the run that reads keeps them in shards, and are read one after the other.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import random
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from moonshelf.errors import CheckpointError
from moonshelf.files import atomic_folder, fsync_folder, write_json_atomically
from moonshelf.training.optim import SplitOptimizer
from moonshelf.training.parallel import ALONE, Group
from moonshelf.training.schedule import Spent
from moonshelf.training.sharding import put, whole_tensors

FORMAT = 1
_KEPT = 2
_NAME = re.compile(r"\d{2}-[A-Za-z0-9_-]+-\d{7,}")


@dataclass
class LoopState:
    """Where a run stands. ``sums`` are running sums of metrics since the last line was logged."""

    stage: str
    index: int = 0
    step: int = 0
    done: bool = False
    precision: str = ""
    spent: Spent = field(default_factory=Spent)
    sums: dict[str, float] = field(default_factory=dict)


def save_state(
    folder: Path,
    state: LoopState,
    modules: Mapping[str, nn.Module],
    optimizer: SplitOptimizer,
    digest: str,
    group: Group = ALONE,
) -> Path:
    """Writes one state under ``folder`` and drops all but the last two; in a group the leading
    process does, and the others give it what they hold of it."""
    held = {f"model/{k}": v for k, v in moving_tensors(modules).items()}
    held |= {f"optimizer/{k}": v for k, v in optimizer.tensors().items()}
    tensors = whole_tensors(held, group)
    path = folder / f"{state.index:02d}-{state.stage}-{state.step:07d}"
    if not group.leads:
        return path
    with atomic_folder(path) as scratch:
        file = scratch / "tensors.safetensors"
        data = safetensors.torch.save(tensors)
        with file.open("wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        record = {
            "format": FORMAT,
            "kind": "state",
            "digest": digest,
            "sha256": hashlib.sha256(data).hexdigest(),
            "random": random_states(),
            **asdict(state),
        }
        write_json_atomically(scratch / "state.json", record)
        fsync_folder(scratch)
    for old in _found(folder)[:-_KEPT]:
        shutil.rmtree(old)
    return path


@dataclass(frozen=True)
class Saved:
    """A state read back and found whole."""

    path: Path
    state: LoopState
    digest: str
    random: dict[str, Any]
    tensors: Tensors

    def restore(
        self,
        modules: Mapping[str, nn.Module],
        optimizer: SplitOptimizer,
        digest: str,
        group: Group = ALONE,
    ) -> None:
        """Puts weights, optimizer and random states back, of shards what this process holds.

        Raises:
            CheckpointError: the model rebuilt now is not the one that was saved.
        """
        if digest != self.digest:
            raise CheckpointError(
                "the encoder rebuilt from the recipe is not the one this run started with",
                where=str(self.path),
                cure="resume with the same catalogue and libraries, or train into a new --out",
            )
        current = moving_tensors(modules)
        saved = self.tensors.under("model/")
        wrong = sorted(
            k
            for k in current.keys() | saved.keys()
            if k not in current or k not in saved or current[k].shape != saved.shape(k)
        )
        if wrong:
            raise CheckpointError(
                f"{len(wrong)} tensors do not fit the recipe's model, first {wrong[0]!r}",
                where=str(self.path),
                cure="train into a new --out",
            )
        with torch.no_grad():
            for name, tensor in current.items():
                put(tensor, saved[name], group)
        optimizer.load_tensors(self.tensors.under("optimizer/"))
        restore_random_states(self.random)


class Tensors(Mapping[str, Tensor]):
    """The tensors of a safetensors file, each read when it is asked for.

    Args:
        prefix: of the names that are seen, without it.
    """

    def __init__(self, path: Path, prefix: str = "") -> None:
        self._path, self._prefix = path, prefix
        self._file = safe_open(path, "pt")
        names = [name for name in self._file.keys() if name.startswith(prefix)]  # noqa: SIM118
        self._names = {name.removeprefix(prefix): name for name in names}

    def under(self, prefix: str) -> Tensors:
        return Tensors(self._path, prefix)

    def shape(self, name: str) -> tuple[int, ...]:
        return tuple(self._file.get_slice(self._names[name]).get_shape())

    def __getitem__(self, name: str) -> Tensor:
        return self._file.get_tensor(self._names[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def newest_state(folder: Path) -> tuple[Saved | None, list[str]]:
    """The newest whole state under ``folder``, and a note on each damaged one passed over.

    None when there is none at all. Leftovers of interrupted writes are swept away.

    Raises:
        CheckpointError: there are states, and every one is damaged.
    """
    for leftover in folder.glob(".*.partial"):
        shutil.rmtree(leftover, ignore_errors=True)
    notes: list[str] = []
    for path in reversed(_found(folder)):
        try:
            return _read(path), notes
        except CheckpointError as error:
            notes.append(str(error))
    if notes:
        raise CheckpointError(
            f"none of {len(notes)} saved states is whole: {notes[0]}",
            where=str(folder),
            cure="train again into a new --out",
        )
    return None, notes


def model_digest(modules: Mapping[str, nn.Module], probe: Mapping[str, Tensor]) -> str:
    """Fingerprint of freshly built modules and of how they collate a fixed probe (tokenizer)."""
    digest = hashlib.sha256()
    tensors = {
        f"{m}.{k}": v for m, module in modules.items() for k, v in module.state_dict().items()
    }
    for name, tensor in sorted((tensors | {f"probe.{k}": v for k, v in probe.items()}).items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        if tensor.numel():
            raw = tensor.detach().cpu().contiguous().reshape(-1)
            digest.update(raw.view(torch.uint8).numpy().data)
    return digest.hexdigest()


def random_states() -> dict[str, Any]:
    """States of torch's, numpy's and Python's global generators as JSON."""
    kind, keys, place, has_gauss, gauss = np.random.get_state(legacy=True)
    states: dict[str, Any] = {
        "torch": _packed(torch.get_rng_state()),
        "numpy": [str(kind), np.asarray(keys).tolist(), int(place), int(has_gauss), float(gauss)],
        "python": random.getstate(),
    }
    if torch.cuda.is_initialized():
        states["cuda"] = _packed(torch.cuda.get_rng_state())
    return states


def restore_random_states(states: Mapping[str, Any]) -> None:
    """The opposite of :func:`random_states`."""
    torch.set_rng_state(_unpacked(states["torch"]))
    kind, keys, place, has_gauss, gauss = states["numpy"]
    np.random.set_state((kind, np.array(keys, dtype=np.uint32), place, has_gauss, gauss))
    version, numbers, gauss_next = states["python"]
    random.setstate((version, tuple(numbers), gauss_next))
    if "cuda" in states and torch.cuda.is_available():
        torch.cuda.set_rng_state(_unpacked(states["cuda"]))


@contextlib.contextmanager
def random_states_kept() -> Iterator[None]:
    """What is drawn inside is as if it had not been: the states are those of before again."""
    states = random_states()
    try:
        yield
    finally:
        restore_random_states(states)


def _read(path: Path) -> Saved:
    cure = "delete this folder to use the state before it"
    try:
        record = json.loads((path / "state.json").read_text(encoding="utf-8"))
        with (path / "tensors.safetensors").open("rb") as file:
            found_hash = hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"half-written state ({error})", where=str(path), cure=cure
        ) from error
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        found = record.get("format") if isinstance(record, dict) else None
        raise CheckpointError(
            f"state of format {found}, expected {FORMAT}", where=str(path), cure=cure
        )
    if found_hash != record.get("sha256"):
        raise CheckpointError("tensors.safetensors is damaged", where=str(path), cure=cure)
    try:
        tensors = Tensors(path / "tensors.safetensors")
        state = LoopState(
            stage=record["stage"],
            index=record["index"],
            step=record["step"],
            done=record["done"],
            precision=record["precision"],
            spent=Spent(**record["spent"]),
            sums=record["sums"],
        )
        return Saved(path, state, record["digest"], record["random"], tensors)
    except (KeyError, TypeError, SafetensorError) as error:
        raise CheckpointError(f"damaged state ({error!r})", where=str(path), cure=cure) from error


def moving_tensors(modules: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    """Trainable parameters and buffers of ``modules``; a tied weight appears once."""
    found: dict[str, Tensor] = {}
    for prefix, module in modules.items():
        found |= {f"{prefix}.{k}": p for k, p in module.named_parameters() if p.requires_grad}
        saved = module.state_dict().keys()
        found |= {f"{prefix}.{k}": b for k, b in module.named_buffers() if k in saved}
    return found


def _found(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(p for p in folder.iterdir() if p.is_dir() and _NAME.fullmatch(p.name))


def _packed(state: Tensor) -> str:
    return base64.b64encode(state.numpy().tobytes()).decode()


def _unpacked(text: str) -> Tensor:
    return torch.from_numpy(np.frombuffer(base64.b64decode(text), dtype=np.uint8).copy())
