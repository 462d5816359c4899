"""Copiste d'un jour (BAnQ): modern French handwriting as ALTO pages, split by writer.

Every volunteer copied the same declaration of consent before the text of a page, and wrote down the page's number.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from recognizer.data.manifest import Item
from recognizer.data_prep.xml_lines import add_line_arguments, read_lines
from recognizer.pages.files import PARSERS

CORPUS = "copiste"
WRITER = re.compile(r"((?:imp_|oldbatch_)?wikitexte_\d+)")  # pages of one are called wikitexte_0002_1, wikitexte_0002_2
CONSENT = (
    "J'ai lu les conditions de participation et j'y consens. Je comprends que mon manuscrit sera anonymisé et utilisé par BAnQ pour des activités "
    "de recherche et développement et qu'il pourra aussi être publié et partagé sous licence CC-BY pour être utilisé librement à des fins non "
    "commerciales."
)
CONSENT_WORDS = {"anonymise", "banq", "cc", "commerciales", "conditions", "consens", "librement", "licence", "lu", "manuscrit"}
TEST_BELOW, DEV_BELOW = 0.13, 0.2297  # shares of the range of a SHA-1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--crop`` and ``--keep-consent``."""
    add_line_arguments(parser, WRITER.pattern)
    parser.add_argument("--keep-consent", action="store_true", help="keep the lines of the declaration in train.jsonl (they are never scored)")


def read(source: Path, options: argparse.Namespace) -> Iterator[Item]:
    """Cut the lines of all pages; lines of the declaration and of page numbers, and lines with words struck out, are left out.

    A writer belongs to "test" if the SHA-1 of the name, as a share of its range, lies below 0.13, to "dev" below 0.2297,
    and to "train" above. A table of the corpus with writers of train and dev that is at hand agrees with this; where its
    test set ends below the first writer of dev, at 0.1318, is a choice made here.
    """
    left: Counter[str] = Counter()
    for item in read_lines(source, options, PARSERS):
        kind = judge_line(item.text or "")
        split = choose_split(item.group or "")
        if kind == "text" or (kind == "consent" and split == "train" and options.keep_consent):
            yield replace(item, meta={**item.meta, "kind": kind, "split": split})
        else:
            left[kind] += 1
    if left:
        options.note(f"left out: {left['consent']} lines of the declaration of consent or with a page number, {left['struck']} with words struck out")


def choose_split(writer: str) -> str:
    """The split of a writer, which depends on the name alone."""
    share = int(hashlib.sha1(writer.encode()).hexdigest(), 16) / 2**160
    return "test" if share < TEST_BELOW else "dev" if share < DEV_BELOW else "train"


def judge_line(text: str) -> str:
    """Whether a line is "text", "struck" (has words between > and <), or "consent": of the declaration, or a page number.

    A line is of the declaration if three fifths of its pairs of words follow each other there, or if all its words stand there
    and one of them is rare elsewhere (``CONSENT_WORDS``).
    """
    words = _split_words(text)
    known = _split_words(CONSENT)
    pairs, known_pairs = list(pairwise(words)), set(pairwise(known))
    if "wikitexte" in "".join(words):
        return "consent"
    if len(pairs) >= 2 and sum(pair in known_pairs for pair in pairs) >= 0.6 * len(pairs):
        return "consent"
    if words and set(words) <= set(known) and CONSENT_WORDS & set(words):
        return "consent"
    return "struck" if ">" in text or "<" in text else "text"


def _split_words(text: str) -> list[str]:
    """Letters and figures, without case and accents."""
    bare = "".join(c for c in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(c))
    return re.findall(r"[a-z0-9]+", bare)
