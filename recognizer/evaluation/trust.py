"""Confidences held against what was right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from recognizer.alphabet import Level, split
from recognizer.evaluation.edits import align
from recognizer.evaluation.report_data import Extra
from recognizer.evaluation.score import Scored


def judge(results: Sequence[Scored], level: Level, extras: Mapping[str, Extra]) -> list[tuple[str, list[float], list[bool]]]:
    """Confidences of symbols and words and whether each was right, as far as there are any: name, (N,), (N,)."""
    judged: dict[str, tuple[list[float], list[bool]]] = {"symbols": ([], []), "words": ([], [])}
    for result in results:
        extra = extras.get(result.id, Extra())
        # with a lexicon the hypothesis is made of words, and its symbols have no reference; without one units have no words
        for name, cut, found in (
            ("symbols", split, [(t.symbol, t.confidence) for t in extra.tokens]),
            ("words", _split_words, [(w.text, w.confidence) for w in extra.words]),
        ):
            texts = [text for text, _ in found]
            if found and all(trust is not None for _, trust in found) and cut(result.hypothesis, level) == texts:
                steps = align(cut(result.reference, level), texts)
                judged[name][0].extend(float(trust or 0.0) for _, trust in found)
                judged[name][1].extend(step.kind == "match" for step in steps if step.hypothesis is not None)
    return [(name, trusts, marks) for name, (trusts, marks) in judged.items() if trusts]


def _split_words(transcript: str, level: Level) -> list[str]:
    return transcript.split() if level == "characters" else []
