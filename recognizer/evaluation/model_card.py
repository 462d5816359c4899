"""The measured part of a model card, in Markdown: error rates, for whom they are worse, how reliable confidences are, what goes wrong."""

from __future__ import annotations

import hashlib
import os
import platform
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

import numpy as np

from recognizer import __version__
from recognizer.bundle.io import CARD
from recognizer.config import DECODER_FILES, DecoderConfig
from recognizer.data.manifest import Item
from recognizer.decoding.calibration import expected_calibration_error
from recognizer.errors import BundleError
from recognizer.evaluation.bootstrap import SEED
from recognizer.evaluation.edits import KINDS
from recognizer.evaluation.evaluate import Evaluation, evaluate, find_known, gather_extras
from recognizer.evaluation.metrics import (
    PLAIN,
    Accuracy,
    ErrorRate,
    RateCounts,
    ScoredItem,
    Scores,
    count_errors,
    describe_empty,
    describe_resampling,
    score,
)
from recognizer.evaluation.protocols import Protocol
from recognizer.evaluation.report_data import Extra, check_confidences, choose_items, group_positions, measure_row, part_by_field
from recognizer.inference.recognizer import Recognizer
from recognizer.text.alphabet import SPACE
from recognizer.utils.device import name_processor, peak_memory
from recognizer.utils.files import write_text
from recognizer.utils.progress import Progress

BEGIN = "<!-- measured by `recognizer evaluate --card`: what stands between these two lines is written anew each time -->"
END = "<!-- end of what was measured -->"
CONDITION = "distortion"  # key of meta that names the distortion of an item made by `recognizer prepare distorted`

MAX_GROUPS = 3  # the worst
MAX_FIELDS = 8  # of the manifest that have a table
MAX_CONFUSIONS = 8  # of each kind
EXAMPLES = 2  # the worst, and as many others
EXAMPLE_LENGTH, CELL_LENGTH = 120, 60  # characters
DIGITS = 12  # hexadecimal, of a manifest's fingerprint


@dataclass(frozen=True)
class MeasuredSet:
    """A manifest and what a recognizer made of it.

    Attributes:
        name: of its file, with that of its folder; ``fingerprint``: first digits of the SHA-256 of its bytes.
        scores: by name of the decoder, the bundle's own last.
        items: references and hypotheses of the bundle's own decoder.
        remarks: what a reader must know (items seen in training, items that failed).
        extras: confidences by id.
        failed: how many items could not be scored.
    """

    name: str
    fingerprint: str
    scores: Mapping[str, Scores]
    items: Sequence[ScoredItem]
    remarks: Sequence[str] = ()
    extras: Mapping[str, Extra] = field(default_factory=dict)
    failed: int = 0

    @property
    def own(self) -> Scores:
        """The scores of the bundle's own decoder."""
        return list(self.scores.values())[-1]


def measure_sets(
    recognizer: Recognizer,
    manifests: Mapping[Path, Sequence[Item]],
    first: Evaluation,
    protocol: Protocol | None = None,
    progress: Progress | None = None,
) -> list[MeasuredSet]:
    """Score a recognizer on several manifests, with its own decoder and greedily.

    Args:
        recognizer: with the decoder that its bundle names.
        manifests: their items by path.
        first: the evaluation of the first manifest, which is not repeated.
        protocol: by which ``first`` was scored.
        progress: told how far it is.
    """
    decoders = {describe_decoder(recognizer.decoding): recognizer}
    if recognizer.decoding.kind != "greedy":
        greedy = Recognizer(recognizer.bundle, recognizer.backend.device, recognizer.precision, decoder=DecoderConfig(), threads=recognizer.threads)
        decoders = {"greedy": greedy, **decoders}
    sets: list[MeasuredSet] = []
    for path, items in manifests.items():
        found = {
            name: first if reader is recognizer and not sets else evaluate(reader, items, progress, protocol) for name, reader in decoders.items()
        }
        own = list(found.values())[-1]
        remarks = [f"{len(own.failures)} could not be scored"] if own.failures else []
        known = find_known(recognizer, items)
        if known is None:
            remarks.append("the bundle does not say whether it was trained on them")
        else:
            seen, chosen = known
            remarks += [f"{len(seen)} were **trained on**"] if seen else []
            remarks += [f"{len(chosen)} chose the best epoch in training"] if chosen else []
        name = "/".join(path.absolute().parts[-2:])  # many manifests are called all.jsonl
        fingerprint = hashlib.sha256(path.read_bytes()).hexdigest()[:DIGITS]
        scores = {decoder: evaluation.scores for decoder, evaluation in found.items()}
        failed = sum(len(evaluation.failures) for evaluation in found.values())
        sets.append(MeasuredSet(name, fingerprint, scores, own.items, remarks, gather_extras(items, own), failed))
        if progress is not None:
            progress.line(f"measured {path}")
    return sets


def describe_decoder(config: DecoderConfig) -> str:
    """``greedy``, or ``beam 64 with lm.ngram, words.txt`` and the bundle it is combined with."""
    if config.kind == "greedy":
        return "greedy"
    files = [Path(name).name for key in DECODER_FILES if (name := getattr(config, key))]
    combined = f" combined with {Path(config.combine_with).name}" if config.combine_with else ""
    return f"beam {config.beam_size}" + (f" with {', '.join(files)}" if files else "") + combined


def describe_machine(recognizer: Recognizer) -> dict[str, str]:
    """Memory, size of the bundle, machine and version, by name."""
    folder = recognizer.bundle.folder
    sizes = {path.name: path.stat().st_size for path in folder.iterdir() if path.is_file() and path.name != CARD}
    largest = sorted(sizes, key=lambda name: (-sizes[name], name))[:2]
    processor = name_processor()
    if recognizer.bundle.graph is None:
        import torch

        if recognizer.backend.device.startswith("cuda"):
            processor = f"{torch.cuda.get_device_name(recognizer.backend.device)}, {processor}"
        runtime = f"torch {torch.__version__}"
    else:
        import onnxruntime

        runtime = f"onnxruntime {onnxruntime.__version__}"
    return {
        "Memory": f"{peak_memory() / 2**20:.0f} MiB at most in this process, recognizing with confidences and alternatives",
        "Size": f"{sum(sizes.values()) / 2**20:.1f} MiB ({', '.join(f'{name} {sizes[name] / 2**20:.1f}' for name in largest)})",
        "Machine": f"{processor}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}, {runtime}",
        "Version": f"recognizer {__version__}",
    }


def read_card(path: Path, own: Path) -> str:
    """The text of the card at ``path``, or else of the bundle's own; empty if there is neither.

    Raises:
        BundleError: it cannot be read, or the lines that mark its measured part do not pair up.
    """
    for place in (path, own):
        try:
            text = place.read_text(encoding="utf-8")
        except FileNotFoundError:
            continue
        except UnicodeDecodeError:
            raise BundleError(f"{place}: not UTF-8 text; repair the card or name another file after --card") from None
        except OSError as error:
            raise BundleError(f"{place}: cannot be read: {error.strerror}") from None
        update_card(text, "", str(place))
        return text
    return ""


def write_card(path: Path, card: str, measured: str) -> None:
    """Write a card with a new measured part; raises as :func:`update_card`, and InputError if it cannot be written."""
    write_text(path, update_card(card, measured, str(path)))


def update_card(card: str, measured: str, place: str) -> str:
    """A card with its measured part replaced, or added at the end where it has none; all else stays as it is.

    Args:
        card: the text of the card.
        measured: as :func:`render_measurements` gives it.
        place: name of the card, for messages.

    Raises:
        BundleError: the lines that mark the measured part do not pair up.
    """
    lines = card.split("\n")
    begin, end = ([n for n, line in enumerate(lines) if line.strip() == mark] for mark in (BEGIN, END))
    block = f"{BEGIN}\n\n{measured.strip()}\n\n{END}"
    if not begin and not end:
        return f"{card.rstrip()}\n\n{block}\n".lstrip("\n")
    if len(begin) != 1 or len(end) != 1 or begin > end:
        which = f"{place}:{min(begin + end) + 1}: the lines that mark the measured part do not pair up"
        raise BundleError(f"{which}; remove them to have it added at the end")
    return "\n".join([*lines[: begin[0]], block, *lines[end[0] + 1 :]])


def render_measurements(
    sets: Sequence[MeasuredSet], command: str, facts: Mapping[str, str], noun: str, protocol: Protocol | None = None, seed: int = SEED
) -> str:
    """The measured part, without its marker lines.

    Args:
        sets: the first is what the recognizer is made for, and gets all tables; of further ones those of their distortions.
        command: that measures all this again.
        facts: memory, size, machine ... by name.
        noun: what a group is, speaker or writer.
        protocol: by which all were scored.
        seed: of intervals and of the examples drawn.
    """
    main = sets[0]
    rules = protocol or PLAIN[main.own.level]
    counted = count_errors(main.items, rules)
    blocks = ["## Measured", f"`{command}`", _render_rates(sets), "\n".join(_describe_sets(sets, noun))]
    blocks += _render_parts(main, counted, noun, seed)
    for further in sets[1:]:
        found = group_positions(item.meta.get(CONDITION) for item in further.items)
        parts = {str(label): members for label, members in found.items() if label is not None}
        if len(parts) > 1:
            rows = _render_rows(CONDITION, parts, count_errors(further.items, rules), [item.group for item in further.items], seed)
            blocks += [f"### `{further.name}` by {CONDITION}", rows]
    blocks += [*_render_confidence(main), *_render_errors(main, counted[0], seed)]
    blocks += ["### Memory and size", "\n".join(f"* {name}: {value}." for name, value in facts.items())]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _render_rates(sets: Sequence[MeasuredSet]) -> str:
    rows = []
    for measured in sets:
        for decoder, scores in measured.scores.items():
            found: list[ErrorRate | Accuracy] = [*scores.rates.values(), scores.accuracy]
            rows.append([escape(measured.name), decoder, str(scores.items), *(_rate(r.rate, r.low, r.high) for r in found)])
    return render_table(["set", "decoder", "items", *sets[0].own.rates, "without error"], rows)


def _describe_sets(sets: Sequence[MeasuredSet], noun: str) -> Iterator[str]:
    main = sets[0]
    if main.own.protocol is not None:
        yield f"* Counted by protocol {main.own.protocol.fingerprint}: {main.own.protocol.rules}."
    yield f"* In brackets: 95 % intervals, of `{main.name}` from resampling {describe_resampling(main.own)}; a group is a {noun}."
    if main.own.level == "characters" and main.own.protocol is None and any(item.reference != item.reference.casefold() for item in main.items):
        folded = [replace(item, reference=item.reference.casefold(), hypothesis=item.hypothesis.casefold()) for item in main.items]
        rates = "; ".join(f"{name} {_rate(r.rate, r.low, r.high)}" for name, r in score(folded, main.own.level).rates.items())
        yield f"* `{main.name}`, capitals and small letters taken for the same, as transcribers often do: {rates}."
    for measured in sets:
        scores = measured.own
        groups = sum(g.group is not None for g in scores.groups)
        whose = f" of {groups} {noun}{'s' * (groups != 1)}" if groups else ""
        known = [f"{scores.items} items{whose}", *measured.remarks]
        if scores.empty_references:
            known.append(describe_empty(scores).lower())
        yield f"* `{measured.name}`, SHA-256 {measured.fingerprint}: {'; '.join(known)}."


def _render_parts(measured: MeasuredSet, counted: Sequence[RateCounts], noun: str, seed: int) -> Iterator[str]:
    """Tables by speaker or writer and by every field of the manifest that parts the items."""
    groups = [item.group for item in measured.items]
    named = [g for g in measured.own.groups if g.group is not None]
    if len(named) > 1:
        yield f"### By {noun}"
        ranges = []
        for name in measured.own.rates:
            rates = [rate for g in named if (rate := g.counts[name].rate) is not None]
            if rates:
                ranges.append(f"{name} from {_rate(min(rates))} to {_rate(max(rates))}, median {_rate(float(np.median(rates)))}")
        worst = sorted(named, key=lambda g: (-(g.counts[counted[0].name].rate or 0.0), g.group or ""))[:MAX_GROUPS]
        yield f"{len(named)} {noun}s: {'; '.join(ranges)}. The worst {len(worst)}:"
        positions = group_positions(groups)
        yield _render_rows(noun, {g.group or "": positions[g.group] for g in worst}, counted, groups, seed)
    for name, parts in islice(part_by_field(measured.items)[0].items(), MAX_FIELDS):
        yield f"### By {escape(name)}"
        yield _render_rows(name, parts, counted, groups, seed)


def _render_rows(head: str, parts: Mapping[str, Sequence[int]], counted: Sequence[RateCounts], groups: Sequence[str | None], seed: int) -> str:
    """Rates of some parts of the items; where references are empty, how many were left empty and what was hallucinated in the others."""
    empty = {label: [c for n in members if (c := counted[0].items[n]).reference == 0] for label, members in parts.items()}
    rows = []
    for label, members in parts.items():
        row = measure_row(label, members, counted, groups, seed)
        cells = [escape(label), str(row.items), *(_rate(counts.rate, *row.intervals[name]) for name, counts in row.counts.items())]
        own = empty[label]
        left = [f"{sum(c.insertions == 0 for c in own)} of {len(own)}", str(sum(c.insertions for c in own))] if own else ["", ""]
        rows.append([*cells, *(left if any(empty.values()) else [])])
    heads = [head, "items", *(rate.name for rate in counted), *(["left empty", "hallucinated"] if any(empty.values()) else [])]
    return render_table([escape(text) for text in heads], rows)


def _render_confidence(measured: MeasuredSet) -> Iterator[str]:
    """How far confidences are off on average; `recognizer evaluate --report` draws the whole table."""
    errors = []
    for name, *pair in check_confidences(measured.items, measured.own.level, measured.extras):
        confidences, correct = map(np.array, pair)
        errors.append(f"{_rate(expected_calibration_error(confidences, correct))} of {len(correct)} {name}")
    if errors:
        yield "### Confidence"
        yield f"Expected calibration error on `{measured.name}`: {', '.join(errors)}."


def _render_errors(measured: MeasuredSet, finest: RateCounts, seed: int) -> Iterator[str]:
    yield "### What goes wrong"
    lines = []
    for kind in KINDS:
        errors = []
        for c in [c for c in measured.own.confusions if c.kind == kind][:MAX_CONFUSIONS]:
            tokens = [escape(SPACE if token == " " else token) for token in (c.hypothesis, c.reference) if token is not None]
            errors.append(f"{' for '.join(tokens)} ({c.count})")
        lines += [f"* Most frequent {kind}s: {', '.join(errors)}."] if errors else []
    yield "\n".join(lines) or "Nothing."
    worst, drawn = choose_items(finest.items, EXAMPLES, EXAMPLES, seed)
    rows = []
    for choice, n in [*(("worst", n) for n in worst), *(("drawn", n) for n in drawn)]:
        item = measured.items[n]
        texts = (escape(text, EXAMPLE_LENGTH) or "(nothing)" for text in (item.reference, item.hypothesis))
        rows.append([choice, escape(item.id), *texts, _rate(finest.items[n].rate)])
    yield f"The worst items by {finest.name}, and others drawn at random:"
    yield render_table(["", "item", "reference", "recognized", finest.name], rows)


def render_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of cells that are Markdown already."""
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (heads, ["---"] * len(heads), *rows))


def escape(text: str, longest: int = CELL_LENGTH) -> str:
    """Text on one line, cut to so many characters, whose marks Markdown leaves alone."""
    text = text if len(text) <= longest else text[: longest - 1] + "\u2026"
    return re.sub(r"([\\`*_|<>\[\]])", r"\\\1", " ".join(text.split()))


def _rate(share: float | None, low: float | None = None, high: float | None = None) -> str:
    ends = "" if low is None or high is None else f" [{100 * low:.1f}, {100 * high:.1f}]"
    return ("\u2013" if share is None else f"{100 * share:.1f} %") + ends
