"""Find out what would go wrong with the items of a manifest in training, without training."""

from __future__ import annotations

import argparse
import json
from typing import Any

from recognizer.cli.arguments import add_model

EXAMPLE = "recognizer audit data/mine/train.jsonl features=pixels model=line_cnn_blstm"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("manifest")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="settings as for train (features, model, text)")
    add_model(parser, "take features, network and alphabet from this bundle")
    parser.add_argument("--against", action="append", default=[], metavar="MANIFEST", help=(
        "name the items whose picture or sound is also in this manifest, by the content of the files; repeatable"))
    parser.add_argument("--config-dir", metavar="DIR", help="as for train")
    parser.add_argument("--json", action="store_true", help="print the whole outcome as JSON")
    parser.set_defaults(takes_overrides=True)


def run(options: argparse.Namespace) -> int:
    """Carry out the command; 1 if some item cannot be trained on or is also in another manifest (``--against``)."""
    from recognizer.bundle.io import load_bundle
    from recognizer.bundle.registry import find_bundle
    from recognizer.config import TrainerConfig
    from recognizer.config.compose import compose
    from recognizer.data.audit import Auditor, find_copies
    from recognizer.data.manifest import load_manifest
    from recognizer.data.manifest_index import ManifestItems
    from recognizer.models.network import Network
    from recognizer.utils.progress import Progress

    items = load_manifest(options.manifest)
    if isinstance(items, ManifestItems):
        items.check_ids()
    against = {name: load_manifest(name) for name in options.against}
    if options.model is not None:
        bundle = load_bundle(find_bundle(options.model))
        config, alphabet, max_frames = bundle.config, bundle.alphabet, TrainerConfig().batch_frames
    else:
        settings = compose(options.overrides, options.config_dir)
        config, alphabet, max_frames = settings.recognizer, None, settings.trainer.batch_frames
    network, progress = Network(config, labels=2), Progress(options.quiet)
    auditor = Auditor(config.features, config.text, network.features.frames, network.frames, alphabet, max_frames)
    result = auditor.audit(items, lambda done: progress.update(f"{done}/{len(items)} items"))
    progress.close()
    figures = auditor.report(result)
    findings = [{"id": f.item.id, "kind": f.kind, "excluded": f.excludes, "message": f.message} for f in result.findings]
    copies = [(item, other, name) for name, others in against.items() for item, other in find_copies(items, others)]
    findings += [{"id": item.id, "kind": "copy", "excluded": False, "message": f"{item.id}: {item.source} is also {other.id} of {name}"}
                 for item, other, name in copies]
    if options.json:
        print(json.dumps(figures | {"list": findings}, ensure_ascii=False, indent=1))
    else:
        print("\n".join(_describe(figures, findings)))
    return 1 if result.excluded or copies else 0


def _describe(figures: dict[str, Any], findings: list[dict[str, Any]]) -> list[str]:
    lines = [f"{figures['usable']} of {figures['items']} items can be trained on, {figures['groups']} speakers or writers"]
    if "hours" in figures:
        lines.append(f"{figures['hours']:.2f} hours")
    for name in ("frames", "labels"):
        if figures[name]:
            low, first, middle, third, high = figures[name]
            lines.append(f"{name} an item: {low} .. {high}, median {middle}, half of them {first} .. {third}")
    symbols = figures["symbols"]
    lines.append(f"{len(symbols)} symbols: " + " ".join(f"{symbol!r}:{count}" for symbol, count in symbols.items()))
    return lines + [f"{'left out' if finding['excluded'] else 'kept'}: {finding['kind']}: {finding['message']}" for finding in findings]
