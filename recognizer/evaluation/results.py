"""Results in a folder: scores, references and hypotheses, also as NIST's sclite reads them, so that anybody can check a score."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recognizer.errors import InputError, ManifestError
from recognizer.evaluation.metrics import PLAIN, ScoredItem, render_scores
from recognizer.evaluation.protocols import Protocol
from recognizer.text.alphabet import Level
from recognizer.utils.files import write_texts
from recognizer.utils.reading import parse_json

if TYPE_CHECKING:
    from recognizer.evaluation.evaluate import Evaluation

SCORES = "scores.json"
HYPOTHESES = "hypotheses.jsonl"


@dataclass(frozen=True)
class SavedResults:
    """What one recognizer made of a manifest.

    Attributes:
        name: the folder.
        level: of the transcripts.
        items: in the order of the manifest.
        protocol: name of the one it was scored by, if any.
    """

    name: str
    level: Level
    items: tuple[ScoredItem, ...]
    protocol: str | None = None


def save_results(folder: str | Path, record: dict[str, Any], evaluation: Evaluation, protocol: Protocol | None = None) -> None:
    """Write ``scores.json``, ``summary.txt``, ``hypotheses.jsonl``, ``ref.trn`` and ``hyp.trn``; no file is ever half-written.

    They replace older ones together: where writing was cut short some are missing, and :func:`load_results` refuses the folder.

    Args:
        folder: must exist.
        record: the scores and where they came from, for ``scores.json``.
        evaluation: what was recognized and scored.
        protocol: by which it was scored.

    Raises:
        OutputError: a file cannot be written.
        InputError: two items could not be told apart in the ``.trn`` files.
    """
    lines = []
    for item, transcript in zip(evaluation.items, evaluation.transcripts, strict=True):
        scores = {key: round(getattr(transcript, key), 4) for key in ("score", "acoustic", "language", "bonus")}
        others = {"alternatives": [asdict(other) for other in transcript.alternatives]} if transcript.alternatives else {}
        lines.append(json.dumps({**asdict(item), **scores, **others}, ensure_ascii=False) + "\n")
    references, hypotheses = to_trn(evaluation.items, evaluation.scores.level, protocol)
    summary = render_scores(evaluation.scores) + "\n"
    texts = {HYPOTHESES: "".join(lines), "ref.trn": references, "hyp.trn": hypotheses, "summary.txt": summary}
    texts[SCORES] = json.dumps(record, ensure_ascii=False, indent=1) + "\n"
    write_texts({Path(folder) / name: text for name, text in texts.items()})


def load_results(folder: str | Path) -> SavedResults:
    """Read a folder that ``recognizer evaluate -o`` wrote.

    Raises:
        InputError: a file is missing.
        ManifestError: a file is damaged; the message begins with ``file`` or ``file:line``.
    """
    folder = Path(folder)
    scores, hypotheses = folder / SCORES, folder / HYPOTHESES
    record = _parse_object(_read(scores), str(scores))
    level, protocol = record.get("level"), record.get("protocol")
    if level not in ("characters", "units"):
        raise ManifestError(f"{scores}: 'level' must be 'characters' or 'units'; run `recognizer evaluate -o` again")
    items: dict[str, ScoredItem] = {}
    for number, line in enumerate(_read(hypotheses).split("\n"), start=1):
        if line.strip():
            item = _parse_item(line, f"{hypotheses}:{number}")
            if item.id in items:
                raise ManifestError(f"{hypotheses}:{number}: the id {item.id!r} occurs twice")
            items[item.id] = item
    if not items:
        raise ManifestError(f"{hypotheses}: has no items")
    return SavedResults(str(folder), level, tuple(items.values()), protocol.get("name") if isinstance(protocol, dict) else None)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        advice = f"write it with `recognizer evaluate MODEL MANIFEST -o {path.parent}`, again if that was cut short"
        raise InputError(f"{path}: no such file; {advice}") from None
    except UnicodeDecodeError as error:
        raise ManifestError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start})") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None


def _parse_object(text: str, place: str) -> dict[str, Any]:
    try:
        record = parse_json(text, place)
    except InputError as error:
        raise ManifestError(str(error)) from None
    if not isinstance(record, dict):
        raise ManifestError(f"{place}: expected a JSON object")
    return record


def _parse_item(line: str, place: str) -> ScoredItem:
    record = _parse_object(line, place)
    for key in ("id", "reference", "hypothesis"):
        if not isinstance(record.get(key), str):
            raise ManifestError(f"{place}: the key {key!r} must be a string")
    group, meta = record.get("group"), record.get("meta") or {}
    if not (group is None or isinstance(group, str)) or not isinstance(meta, dict):
        raise ManifestError(f"{place}: 'group' must be a string and 'meta' an object")
    return ScoredItem(record["id"], record["reference"], record["hypothesis"], group, meta)


_SPECIAL = re.compile(r"[%(){}/@;<>*\s]")  # what sclite gives a meaning of its own, and what would split a token


def to_trn(items: Sequence[ScoredItem], level: Level, protocol: Protocol | None = None) -> tuple[str, str]:
    """References and hypotheses for sclite, one item a line: ``TOKEN TOKEN (SPEAKER-ITEM)``; tokens are those of the last error rate (words).

    Check with ``sclite -s -e utf-8 -i rm -r ref.trn trn -h hyp.trn trn -o sum stdout`` (-s: case counts), and with ``-D`` too
    where the protocol has optional tokens, which stand in parentheses in the references. sclite weighs a substitution 4 and
    other errors 3, so it can count an error more than the fewest possible where two alignments are close.

    Characters that sclite would not take as they are (brackets, slashes, spaces) are spelled ``%28`` in both.

    Args:
        items: references and hypotheses; the speaker of one without a group is ``unknown``.
        level: of both.
        protocol: makes the tokens, as for :func:`~recognizer.evaluation.metrics.score`.

    Raises:
        InputError: two items have the same id once it is spelled for sclite, or a token that the protocol does not know.
    """
    rules = protocol or PLAIN[level]
    rate = list(rules.rates)[-1]
    references, hypotheses = [], []
    seen: dict[str, str] = {}
    for item in items:
        key = f"({_spell_id(item.group or 'unknown')}-{_spell_id(item.id)})"
        if key.lower() in seen:
            raise InputError(f"{item.id}: sclite could not tell it from {seen[key.lower()]}; rename one of them")
        seen[key.lower()] = item.id
        expected = [f"({_spell(token)})" if token in rules.optional else _spell(token) for token in rules.tokenize(item.reference, rate)]
        references.append(" ".join([*expected, key]) + "\n")
        hypotheses.append(" ".join([*map(_spell, rules.tokenize(item.hypothesis, rate)), key]) + "\n")
    return "".join(references), "".join(hypotheses)


def _spell(token: str) -> str:
    return _SPECIAL.sub(lambda match: f"%{ord(match[0]):02X}", token)


def _spell_id(name: str) -> str:
    """A name without the characters that end the speaker's part of an id, or the id."""
    return re.sub(r"[^\w.]", "_", name).replace("_", "+")
