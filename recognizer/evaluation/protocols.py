"""Protocols: the published ways of counting errors on TIMIT and IAM, by name.

Scored by two of them, the same output differs by points. So a score names its protocol and prints its fingerprint: a hash of
what it does to a fixed sample, and how many reference tokens it counted.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from recognizer.errors import ConfigError, InputError, ManifestError, nearest
from recognizer.evaluation.edits import Counts, Edit, align, characters, units, words
from recognizer.text.alphabet import Level
from recognizer.text.normalize import join_contractions
from recognizer.text.phones import PHONES_39, PHONES_48, PHONES_61, SILENCE, fold_phones


@dataclass(frozen=True)
class PublishedSet:
    """A published set of items and its counts under a protocol."""

    name: str
    items: int
    tokens: int  # reference tokens of the finest rate


@dataclass(frozen=True)
class Protocol:
    """One way of turning transcripts into tokens and of counting errors.

    Attributes:
        name: as on the command line.
        rules: what it does and who uses it, one line.
        level: of the transcripts it takes.
        rates: by name of the error rate, what makes tokens of a reference or hypothesis; the finest tokens first.
        optional: reference tokens whose deletion is no error (they count as found).
        forms: forms of the text (``meta[TEXT_FORM]``) that it is defined for; none: any.
        published: sets with known counts.
    """

    name: str
    rules: str
    level: Level
    rates: Mapping[str, Callable[[str], list[str]]]
    optional: frozenset[str] = frozenset()
    forms: frozenset[str] = frozenset()
    published: tuple[PublishedSet, ...] = ()

    def tokenize(self, transcript: str, rate: str | None = None) -> list[str]:
        """The tokens of a reference or hypothesis for one of the ``rates`` (by default the first).

        Raises:
            InputError: the transcript has a phone that TIMIT does not know.
        """
        return self.rates[rate or next(iter(self.rates))](transcript)

    def align(self, reference: str, hypothesis: str, rate: str | None = None) -> list[Edit]:
        """The best alignment of two transcripts for one of the ``rates`` (by default the first)."""
        return align(self.tokenize(reference, rate), self.tokenize(hypothesis, rate), self.optional)

    @property
    def version(self) -> str:
        """Eight hexadecimal digits that change with anything the protocol does to a sample of all phones or marks."""
        tokens = {rate: self.tokenize(_SAMPLES[self.level], rate) for rate in self.rates}
        described = [self.level, tokens, sorted(self.optional)]
        return hashlib.sha256(json.dumps(described, ensure_ascii=True).encode()).hexdigest()[:8]

    def require(self, level: Level, forms: Sequence[str]) -> None:
        """Refuse transcripts that the protocol is not defined for.

        Raises:
            ConfigError: they are of another level.
            ManifestError: they are in another form of the text.
        """
        if level != self.level:
            raise ConfigError(f"protocol {self.name!r} counts {self.level}, but the transcripts are {level}")
        wrong = [form for form in forms if self.forms and form not in self.forms]
        if wrong:
            known = " or ".join(f"--text {form}" for form in sorted(self.forms))
            raise ManifestError(f"protocol {self.name!r} is not defined for {wrong[0]!r} text: prepare the manifest with {known}")


@dataclass(frozen=True)
class AppliedProtocol:
    """How a protocol was applied: two scores can be compared if these records agree."""

    name: str
    version: str
    rules: str
    items: int
    tokens: dict[str, int]  # reference tokens by name of the error rate
    forms: tuple[str, ...]  # of the text, as far as the manifest says
    published: str | None  # the set whose published counts these are
    expected: tuple[PublishedSet, ...]  # all sets that have published counts
    per_item: dict[str, float | None]  # mean of the rates of single items, by name; items without reference tokens left out

    @property
    def fingerprint(self) -> str:
        """One line: ``strict 1a2b3c4d; 192 items; PER tokens 7215``."""
        counted = [f"{name} tokens {count}" for name, count in self.tokens.items()]
        form = [f"{' and '.join(self.forms)} text"] if self.forms else []
        return "; ".join([f"{self.name} {self.version}", f"{self.items} items", *counted, *form])

    @property
    def remark(self) -> str | None:
        """Whether the counts are those of a published set; None where the protocol knows none."""
        if not self.expected:
            return None
        if self.published:
            return f"counts as published for the {self.published}"
        known = ", ".join(f"{p.name} {p.items} items and {p.tokens} tokens" for p in self.expected)
        return f"NOT the counts of a published set ({known})"


def describe_application(protocol: Protocol, counts: Mapping[str, Sequence[Counts]], forms: Sequence[str]) -> AppliedProtocol:
    """The record of a protocol applied to items: their counts by name of the error rate, and the forms of their texts."""
    tokens = {name: sum(c.reference for c in items) for name, items in counts.items()}
    finest = next(iter(counts))
    items = len(counts[finest])
    published = next((p.name for p in protocol.published if (p.items, p.tokens) == (items, tokens[finest])), None)
    rates = {name: [rate for c in of_items if (rate := c.rate) is not None] for name, of_items in counts.items()}
    means = {name: sum(of_items) / len(of_items) if of_items else None for name, of_items in rates.items()}
    return AppliedProtocol(
        protocol.name, protocol.version, protocol.rules, items, tokens, tuple(sorted(set(forms))), published, protocol.published, means
    )


def find_protocol(name: str) -> Protocol:
    """The protocol of a name.

    Raises:
        ConfigError: there is none.
    """
    if name not in PROTOCOLS:
        raise ConfigError(f"no protocol is called {name!r}{nearest(name, PROTOCOLS)} (there are {', '.join(PROTOCOLS)})")
    return PROTOCOLS[name]


def _fold(transcript: str) -> list[str]:
    try:
        return fold_phones(units(transcript), 39)
    except InputError as error:
        raise InputError(f"{error}: this protocol is for TIMIT") from None


def _fold_and_merge(transcript: str) -> list[str]:
    runs = ((phone, len(list(run))) for phone, run in groupby(_fold(transcript)))
    return [phone for phone, length in runs for _ in range(1 if phone == SILENCE else length)]


def _laia_words(text: str) -> list[str]:
    return words(join_contractions(text))


def _spread(marks: str) -> Callable[[str], list[str]]:
    """Words, with each of the marks a word of its own."""
    pattern = re.compile(f"([{re.escape(marks)}])")

    def tokenize(text: str) -> list[str]:
        return words(pattern.sub(r" \1 ", text))

    return tokenize


_KALDI_MARKS = "!(),.?;:'-\""
_VAN_MARKS = "[]{}/\\()\"'&+*=<>?.;:,!-—_€#%°"

_SAMPLES: dict[Level, str] = {
    "units": " ".join([*sorted(PHONES_61), *sorted(PHONES_48), *sorted(PHONES_39), "h#", "pau", "q", "tcl", "t", "t"]),
    "characters": "We 'll go , Mr. Smith's  (o'clock ) DON 'T 'Tis \"good-bye\"; 3/4=75% #1 & more? e\u0301 \u00e9: "
    + " ".join(f"a{mark}b" for mark in map(chr, range(33, 127)))
    + " — € ° £ “x”",
}
_CORE = (PublishedSet("TIMIT core test", 192, 7215), PublishedSet("TIMIT development set", 400, 15057))

PROTOCOLS: dict[str, Protocol] = {
    p.name: p
    for p in (
        Protocol(
            "strict", "TIMIT: folded to 39 phones, q deleted, every silence kept and scored (Kaldi since 2014, ESPnet)",
            "units", {"PER": _fold}, published=_CORE,
        ),
        Protocol(
            "optional_silence", "TIMIT: as strict, but silences of the reference may be left out (pytorch-kaldi, Kaldi before 2014)",
            "units", {"PER": _fold}, optional=frozenset({SILENCE}), published=_CORE,
        ),
        Protocol(
            "merged_silence", "TIMIT: as strict, but silences that follow each other are one, on both sides (SpeechBrain merges the references)",
            "units", {"PER": _fold_and_merge},
        ),
        Protocol("space", "IAM: words are what spaces separate in the manifest's form of the text", "characters", {"CER": characters, "WER": words}),
        Protocol(
            "laia", "IAM: words of lines.txt, punctuation apart, contractions joined (Laia, PyLaia)",
            "characters", {"CER": characters, "WER": _laia_words}, forms=frozenset({"tokenised", "laia"}),
        ),
        Protocol(
            "kaldi", f"IAM: each of {_KALDI_MARKS} is a word of its own (Kaldi egs/iam)",
            "characters", {"CER": characters, "WER": _spread(_KALDI_MARKS)},
        ),
        Protocol(
            "van", f"IAM: each of {_VAN_MARKS} is a word of its own (VAN, DAN, HTR-VT)",
            "characters", {"CER": characters, "WER": _spread(_VAN_MARKS)},
        ),
    )
}  # fmt: skip
