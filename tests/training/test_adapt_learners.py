"""What learns from corrected items: a second recognizer that spells words by a lexicon does so only where the lexicon has them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from recognizer.bundle.io import load_bundle
from recognizer.config import DecoderConfig
from recognizer.data.manifest import load_manifest
from recognizer.text.alphabet import Alphabet
from recognizer.training.adapt_learners import open_learners


@pytest.mark.parametrize(("known", "learns"), [(20, True), (3, False)])
def test_a_second_recognizer_learns_where_its_lexicon_spells_the_words(line_run, glyphs, tmp_path: Path, known: int, learns: bool) -> None:
    items = list({item.text: item for item in load_manifest(glyphs.root / "dev.jsonl")}.values())[:20]
    lexicon = tmp_path / "lexicon.txt"
    lexicon.write_text("".join(f"{item.text} {' '.join(item.text or '')}\n" for item in items[:known]), encoding="utf-8")
    own, told = load_bundle(line_run / "bundle"), []
    bundle = replace(own, config=replace(own.config, decoder=DecoderConfig("beam", combine_with="other", combine_lexicon=str(lexicon))))
    partner = replace(own, config=replace(own.config, text=replace(own.config.text, level="units")), alphabet=Alphabet(own.alphabet.symbols, "units"))
    first, second = open_learners(bundle, partner, items, tmp_path, 0, "cpu", told.append)
    assert len(first.items.frames) == len(items) and first.cost > 0
    assert len(second.items.frames) == min(known, len(items)) and (second.cost > 0) is learns
    if not learns:
        assert told[-1] == f"the second recognizer stays as it is: it could learn from {known} of {len(items)} items only"
