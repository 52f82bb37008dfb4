"""``moonshelf ask``: held-out questions to a pretrained run, as a table beside its controls."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moonshelf.cli.console import Console
from moonshelf.errors import UsageError

if TYPE_CHECKING:
    from moonshelf.evaluation.answers import Answers, Score
    from moonshelf.training.pretrain_settings import PretrainConfig, Task

NAME = "ask"
HELP = (
    "Asks a run with a stage of kind pretrain about held-out products: answer loss of every task, "
    "attributes, titles and kinds that it writes, beside its answers to another product's picture "
    "and the most frequent answer. Writes metrics.json and table.md."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run_folder", metavar="RUN", help="run folder; its last weights are asked")
    parser.add_argument("--catalog", required=True, metavar="DIR", help="the catalogue folder")
    parser.add_argument(
        "--split",
        choices=("test", "val"),
        default="test",
        help="val to choose anything by, test to report (default: test)",
    )
    parser.add_argument(
        "--items", type=int, default=500, help="products of each task at most (default: 500)"
    )
    parser.add_argument("--seed", type=int, default=0, help="chooses the products and the keys")
    parser.add_argument(
        "--out", metavar="DIR", help="where to write (default: RUN/evaluation/questions-SPLIT)"
    )


def run(args: argparse.Namespace) -> int:
    if args.items < 1:
        raise UsageError(f"--items is {args.items}", cure="ask about 1 product or more")
    from moonshelf.catalog.crops.cropper import use_crops
    from moonshelf.catalog.store import Catalog
    from moonshelf.encoder import load_encoder
    from moonshelf.encoder.language import LanguageModel
    from moonshelf.evaluation.answers import Examination, as_json
    from moonshelf.files import write_bytes_atomically, write_json_atomically
    from moonshelf.training.contents import ContentSource
    from moonshelf.training.questions import Questions

    console = Console.of(args)
    folder = Path(args.run_folder)
    config = _settings(folder)
    questions = Questions(ContentSource(Catalog.open(Path(args.catalog)), None), config)
    tasks: list[Task] = [task for task, share in config.tasks.items() if share > 0]
    exam = Examination(questions, tasks, split=args.split, items=args.items, seed=args.seed)
    encoder = load_encoder(folder)
    use_crops(encoder, questions.catalog)
    language = LanguageModel(
        encoder,
        question_tokens=config.question_tokens,
        answer_tokens=config.answer_tokens,
    )
    with console.progress(f"asking {folder.resolve().name}") as progress:
        found = exam(folder.resolve().name, language, progress=progress)
    out = Path(args.out) if args.out else folder / "evaluation" / f"questions-{args.split}"
    out.mkdir(parents=True, exist_ok=True)
    table = to_markdown(found)
    result = as_json(found, questions.keys)
    write_json_atomically(out / "metrics.json", result)
    write_bytes_atomically(out / "table.md", table.encode())
    console.say(table)
    console.note(f"written to {out}")
    console.result({"out": out, **result})
    return 0


def _settings(run: Path) -> PretrainConfig:
    """The settings of the stage that the run learned to answer in."""
    from moonshelf.config import load_config, read_toml
    from moonshelf.training.pretrain_settings import PretrainConfig
    from moonshelf.training.recipe import Recipe

    recipe = load_config(Recipe, read_toml(run / "recipe.toml"), where=str(run / "recipe.toml"))
    stages = [stage for stage in recipe.stages.values() if isinstance(stage, PretrainConfig)]
    if not stages:
        raise UsageError(
            "the run has no stage of kind pretrain: it never learned to answer",
            where=str(run),
            cure="train a recipe with such a stage",
        )
    return stages[-1]


def to_markdown(found: Answers) -> str:
    """Measures and keys in rows, what is shown in columns; losses in nats a token, the rest in
    percent, each with its 95 % interval."""
    from moonshelf.evaluation.answers import ARMS

    lines = [f"# {found.name}: questions about the {found.split} split", ""]
    for title, rows in (("measure", found.scores), ("key (exact)", found.keys)):
        lines += [f"{title} | products | {' | '.join(ARMS)}", " | ".join(["---"] * (len(ARMS) + 2))]
        for name, row in rows.items():
            cells: list[Any] = [_cell(name, row[arm]) if arm in row else "-" for arm in ARMS]
            lines.append(" | ".join([name, str(next(iter(row.values())).products), *cells]))
        lines.append("")
    return "\n".join(lines)


def _cell(name: str, score: Score) -> str:
    if name.endswith(": loss"):
        return f"{score.value:.3f} [{score.low:.3f}, {score.high:.3f}]"
    scale = 1 if name.endswith("chrF") else 100
    return f"{scale * score.value:.1f} [{scale * score.low:.1f}, {scale * score.high:.1f}]"
