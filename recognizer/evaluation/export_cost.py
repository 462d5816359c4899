"""What exporting a recognizer costs: its errors on development data beside those of the original."""

from __future__ import annotations

from pathlib import Path

from recognizer.bundle.io import CARD, Bundle, load_bundle
from recognizer.bundle.registry import find_bundle
from recognizer.config import DecoderConfig
from recognizer.data.manifest import load_manifest
from recognizer.evaluation.compare import compare
from recognizer.evaluation.evaluate import check_unseen, evaluate
from recognizer.evaluation.results import SavedResults
from recognizer.inference.recognizer import Recognizer
from recognizer.utils.files import write_text
from recognizer.utils.progress import Progress


def measure_export(original: Bundle, graph: Path, manifest: str | Path, progress: Progress) -> str:
    """Recognize a manifest with a bundle and with what was exported from it, both on the CPU, and say how far the errors differ.

    Args:
        original: with weights; decoded greedily where the graph stands alone, as that is.
        graph: what :func:`~recognizer.bundle.export.export` gave; the card beside it gets the line too.
        manifest: of items that it was not trained on.
        progress: told how far it is.

    Returns:
        One line of Markdown.

    Raises:
        ManifestError: the manifest cannot be read, or has items of training.
        OutputError: the card cannot be written.
    """
    exported = load_bundle(find_bundle(graph))
    items = load_manifest(manifest)
    results = []
    for bundle in (original, exported):
        decoder = DecoderConfig() if exported.folder == graph else bundle.config.decoder
        recognizer = Recognizer(bundle, "cpu", decoder=decoder)
        check_unseen(recognizer, items, manifest, progress)
        found = evaluate(recognizer, items, progress)
        results.append(SavedResults(str(bundle.folder), found.scores.level, tuple(found.items)))
    compared = compare(results[0], results[1])
    parts = []
    for name, rate in compared.rates.items():
        low, high = (100 * (end or 0) for end in (rate.bootstrapped.low, rate.bootstrapped.high))  # None: a single item
        before, after = (100 * (counts.rate or 0) for counts in (rate.first, rate.second))
        parts.append(f"{name} {after:.2f} % for {before:.2f} %, {after - before:+.2f} points [{low:+.2f}, {high:+.2f}]")
    groups = len({item.group for item in results[0].items})
    line = f"* Beside the original on `{Path(manifest).name}` ({compared.items} items of {groups} groups): {'; '.join(parts)}."
    if exported.folder != graph:
        write_text(exported.folder / CARD, f"{exported.card()}{line}\n")
    return line
