"""`recognizer audit`: what training would say of a manifest, without training."""

from __future__ import annotations

import argparse
import json
from typing import Any

from recognizer.alphabet import Alphabet
from recognizer.bundle import load_bundle
from recognizer.bundles import find_bundle
from recognizer.composition import compose
from recognizer.config import RecipeConfig, TrainerConfig
from recognizer.data.audit import Audit, Auditor
from recognizer.data.manifest import Item, load_manifest
from recognizer.models.network import Network
from recognizer.progress import Progress


def audit(
    items: list[Item], recipe: RecipeConfig, alphabet: Alphabet | None, budget: int, progress: Progress | None = None
) -> tuple[Audit, dict[str, Any]]:
    """Judge items for training with a recipe; return the outcome and its figures, ready for JSON."""
    network = Network(recipe, labels=2)
    auditor = Auditor(recipe.features, recipe.text, network.features.frames, network.frames, alphabet, budget)
    result = auditor.audit(items, lambda done: progress.update(f"{done}/{len(items)} items") if progress else None)
    return result, auditor.report(result)


def run_audit(options: argparse.Namespace) -> int:
    """Carry out the command; 1 if some item could not be trained on."""
    items = load_manifest(options.manifest)
    if options.bundle is not None:
        bundle = load_bundle(find_bundle(options.bundle))
        recipe, alphabet, budget = bundle.recipe, bundle.alphabet, TrainerConfig().batch_frames
    else:
        config = compose(options.overrides)
        recipe, alphabet, budget = config.recipe, None, config.trainer.batch_frames
    result, figures = audit(items, recipe, alphabet, budget, Progress(options.quiet))
    findings = [{"id": f.item.id, "kind": f.kind, "excluded": f.excludes, "message": f.message} for f in result.findings]
    if options.json:
        print(json.dumps(figures | {"list": findings}, ensure_ascii=False, indent=1))
    else:
        print(_render(figures, findings))
    return 1 if result.excluded else 0


def _render(figures: dict[str, Any], findings: list[dict[str, Any]]) -> str:
    lines = [f"{figures['usable']} of {figures['items']} items can be trained on, {figures['groups']} speakers or writers"]
    if "hours" in figures:
        lines.append(f"{figures['hours']:.2f} hours")
    for name in ("frames", "labels"):
        if figures[name]:
            low, first, middle, third, high = figures[name]
            lines.append(f"{name} an item: {low} .. {high}, median {middle}, half of them {first} .. {third}")
    symbols = figures["symbols"]
    lines.append(f"{len(symbols)} symbols: " + " ".join(f"{symbol!r}:{count}" for symbol, count in symbols.items()))
    for finding in findings:
        lines.append(f"{'left out' if finding['excluded'] else 'kept'}: {finding['kind']}: {finding['message']}")
    return "\n".join(lines)
