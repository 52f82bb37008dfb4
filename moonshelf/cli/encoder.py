"""``moonshelf encoder``: what a trained encoder is, and taking it elsewhere."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from moonshelf.cli.console import Console
from moonshelf.cli.encoder_attributes import ABOUT, add_attributes, run_attributes

NAME = "encoder"
HELP = (
    "Show an encoder (config, parameters, version, width), export it for another library, or write "
    "what it sees in a catalogue's pictures."
)
FORMATS = ("sentence-transformers",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", dest="encoder_verb", required=True)
    show = verbs.add_parser("show", help="config, parameters, version, width of the vectors")
    export = verbs.add_parser("export", help="write it as a folder that another library loads")
    see = verbs.add_parser("attributes", help=ABOUT, description=f"{ABOUT[0].upper()}{ABOUT[1:]}.")
    for verb in (show, export, see):
        verb.add_argument("folder", metavar="RUN", type=Path, help="run folder or encoder folder")
    export.add_argument(
        "--to", metavar="DIR", type=Path, required=True, help="a folder that does not exist yet"
    )
    export.add_argument(
        "--format", choices=FORMATS, default=FORMATS[0], help=f"default: {FORMATS[0]}"
    )
    add_attributes(see)


def run(args: argparse.Namespace) -> int:
    console = Console.of(args)
    verbs = {"show": _show, "export": _export, "attributes": run_attributes}
    return verbs[args.encoder_verb](args, console)


def _show(args: argparse.Namespace, console: Console) -> int:
    from moonshelf.encoder import encoder_folder, encoder_version, load_encoder

    folder = encoder_folder(args.folder)
    encoder = load_encoder(folder)
    config = encoder.config.model_dump(mode="json")
    parts = {name: sum(p.numel() for p in module.parameters()) for name, module in _parts(encoder)}
    facts = {
        "folder": str(folder),
        "kind": config["kind"],
        "version": encoder_version(folder),
        "dim": encoder.dim,
        "parameters": encoder.parameter_count(),
        "bytes": sum(p.numel() * p.element_size() for p in encoder.parameters()),
    }
    console.table([*facts.items()], ("encoder", ""))
    console.say()
    console.table([(k, v) for k, v in parts.items() if v], ("part", "parameters"))
    console.say()
    console.table(list(flat(config)), ("setting", "value"))
    console.result({**facts, "parts": parts, "config": config})
    return 0


def _export(args: argparse.Namespace, console: Console) -> int:
    from moonshelf.encoder.sentence_transformers import export_sentence_transformers

    # Named "folder", not "run": the parser keeps the verb under args.run.
    folder = export_sentence_transformers(args.folder, args.to)
    console.say(
        f"written to {folder}\n"
        f'load it: SentenceTransformer("{folder}", trust_remote_code=True)  '
        "(the class comes from your installed moonshelf; the folder holds no code)"
    )
    console.result({"format": args.format, "to": str(folder)})
    return 0


def _parts(encoder: Any) -> list[tuple[str, Any]]:
    """Modules two levels deep where the first level is a backbone, else one level."""
    found: list[tuple[str, Any]] = []
    for name, module in encoder.named_children():
        inner = list(module.named_children()) if name == "backbone" else []
        found += [(f"{name}.{k}", m) for k, m in inner] or [(name, module)]
    return found


def flat(config: dict[str, Any], before: str = "") -> Any:
    """``{"a": {"b": 1}}`` as ``("a.b", "1")`` ..."""
    for key, value in config.items():
        if isinstance(value, dict):
            yield from flat(value, f"{before}{key}.")
        else:
            yield before + key, str(value)
