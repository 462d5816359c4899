"""What the command line says of the recognizer that it opens."""

from __future__ import annotations

import pytest

from recognizer.lm.binary import save_ngram
from recognizer.lm.kneser_ney import estimate_ngram


@pytest.mark.parametrize(("words", "note"), [
    ("ab Ab dz", "note: 2 of 3 words of the language model or lexicon cannot be spelt and are never written, 'Ab' for one; "
                 "in another case 1 of them could be (recognizer lm --case)"),
    ("ab cd", None),
])
def test_words_that_are_never_written_are_counted(words, note, cli, speech_run, tones, tmp_path) -> None:
    save_ngram(estimate_ngram([words], 2, "words"), tmp_path / "own.ngram")
    item = tones.items()[0]
    outcome = cli("transcribe", item.source, "--model", speech_run / "bundle", f"decoder.lm={tmp_path / 'own.ngram'}", "decoder.vocabulary=closed")
    assert outcome.code == 0
    assert [line for line in outcome.err if line.startswith("note:")] == ([note] if note else [])
