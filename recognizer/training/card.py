"""The model card that a bundle is born with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from recognizer.config import TrainConfig
from recognizer.progress import duration


def first_card(config: TrainConfig, run_dir: Path, record: dict[str, Any], pairs: list[tuple[str, str]]) -> str:
    """What training itself knows: data, licence, development error, and how to make the bundle again."""
    rate = "character" if config.corpus.text.level == "characters" else "unit"
    lines = [
        f"# {config.corpus.name}",
        "",
        f"* Task: {'speech' if config.recipe.modality == 'audio' else 'handwriting'} to {config.corpus.text.level}.",
        f"* Trained on: `{config.corpus.name}`, manifest `{config.corpus.train}`; licence of the data: {config.corpus.licence}.",
        f"* Development error ({rate} error rate, greedy, {len(pairs)} items of `{config.corpus.dev}`): {100 * record['error']:.2f} %.",
        "  Training was stopped and chosen by these items; score others with `recognizer evaluate`.",
        f"* Training: {record['epoch']} epochs, {record['step']} steps, {duration(record['seconds'])}, "
        f"seed {config.seed}, {config.trainer.precision}.",
        f"* To train again: `recognizer train --config {run_dir / 'config.yaml'} run_dir=NEW`.",
        "",
        "| reference | hypothesis |",
        "|---|---|",
        *(f"| {_cell(reference)} | {_cell(hypothesis)} |" for reference, hypothesis in pairs[:5]),
    ]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
