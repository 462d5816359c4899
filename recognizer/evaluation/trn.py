"""Transcripts as NIST's sclite reads them (trn files), so that anybody can check a score with a program that is not ours."""

from __future__ import annotations

import re
from collections.abc import Sequence

from recognizer.alphabet import Level
from recognizer.errors import InputError
from recognizer.evaluation.protocols import Protocol
from recognizer.evaluation.score import PLAIN, Scored

_SPECIAL = re.compile(r"[%(){}/@;<>*\s]")  # what sclite gives a meaning of its own, and what would part a token


def to_trn(results: Sequence[Scored], level: Level, protocol: Protocol | None = None, rate: str | None = None) -> tuple[str, str]:
    """References and hypotheses, one item a line: ``TOKEN TOKEN (SPEAKER-ITEM)``.

    Check with ``sclite -s -e utf-8 -i rm -r ref.trn trn -h hyp.trn trn -o sum stdout`` (-s: case counts), and with ``-D`` too
    where the protocol has optional tokens, which stand in parentheses in the references. sclite weighs a substitution 4 and
    other errors 3, so it can count an error more than the fewest possible where two alignments are close.

    Characters that sclite would not take as they are (brackets, slashes, spaces) are spelt ``%28`` in both.

    Args:
        results: recognised items beside what they say; the speaker of one without a group is ``unknown``.
        level: of their transcripts.
        protocol: makes the tokens, as for :func:`~recognizer.evaluation.score.score`.
        rate: which of its error rates is to be checked (by default the last, that of words).

    Raises:
        InputError: two items have the same id once it is spelt for sclite, or a token that the protocol does not know.
    """
    rules = protocol or PLAIN[level]
    rate = rate or list(rules.rates)[-1]
    references, hypotheses = [], []
    seen: dict[str, str] = {}
    for result in results:
        key = f"({_spell_id(result.group or 'unknown')}-{_spell_id(result.id)})"
        if key.lower() in seen:
            raise InputError(f"{result.id}: sclite could not tell it from {seen[key.lower()]}; rename one of them")
        seen[key.lower()] = result.id
        expected = ((token, f"({_spell(token)})" if token in rules.optional else _spell(token)) for token in rules.tokenise(result.reference, rate))
        references.append(" ".join([*(spelt for _, spelt in expected), key]) + "\n")
        hypotheses.append(" ".join([*map(_spell, rules.tokenise(result.hypothesis, rate)), key]) + "\n")
    return "".join(references), "".join(hypotheses)


def _spell(token: str) -> str:
    return _SPECIAL.sub(lambda match: f"%{ord(match[0]):02X}", token)


def _spell_id(name: str) -> str:
    """A name without what ends the speaker's part of an id, or the id."""
    return re.sub(r"[^\w.]", "_", name).replace("_", "+")
