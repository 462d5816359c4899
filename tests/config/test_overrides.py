"""Settings given on a command line: of a decoder, of features, and of a file's."""

from __future__ import annotations

from pathlib import Path

import pytest

from recognizer.config import AudioFeatures, DecoderConfig
from recognizer.config.overrides import override_decoder, override_features, split_override, take_overrides
from recognizer.errors import ConfigError


def test_words_of_a_command_line_are_divided() -> None:
    assert take_overrides(["a.wav", "decoder.beam_size=7", "-m", "x", "decoder=beam", "decoder.wav"]) == (
        ["decoder.beam_size=7", "decoder=beam"], ["a.wav", "-m", "x", "decoder.wav"])


def test_values_are_yaml() -> None:
    assert split_override("a.b=[1, x]") == ("a.b", [1, "x"]) and split_override("a=b=c") == ("a", "b=c") and split_override("a=null") == ("a", None)
    for wrong, message in (("seed", "^'seed': an override is written key=value"), ("seed=[1", r"^'seed=\[1': the value is not YAML")):
        with pytest.raises(ConfigError, match=message):
            split_override(wrong)


def test_decoders_change_and_a_model_or_lexicon_asks_for_a_beam(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    base = DecoderConfig()
    assert override_decoder(base, ["decoder=beam", "decoder.beam_size=7"]) == DecoderConfig(kind="beam", beam_size=7)
    assert override_decoder(base, ["decoder.lexicon=words.txt"]) == DecoderConfig(kind="beam", lexicon="words.txt")
    assert override_decoder(base, ["decoder.lm=x", "decoder=greedy"]).kind == "greedy"
    (tmp_path / "words.txt").touch()
    assert override_decoder(base, ["decoder.lexicon=words.txt"]).lexicon == str(tmp_path / "words.txt")
    for wrong, message in (
        ("decoder.beam=3", r"^decoder\.beam: no such key; did you mean 'decoder\.beam_size'"), ("decoder=beem", "did you mean 'beam'"),
        ("decoder.width=3", r"^decoder\.width: is called decoder\.beam_size now"), ("decoder.beam_size=0", r"^decoder\.beam_size: must be positive"),
        ("decoder.beam_size=2147483648", r"^decoder\.beam_size: must be at most 100,000$"),
    ):  # fmt: skip
        with pytest.raises(ConfigError, match=message):
            override_decoder(base, [wrong])


def test_features_change_only_where_the_weights_allow_it() -> None:
    assert override_features(AudioFeatures(), ["features.dither=0.01"]) == AudioFeatures(dither=0.01)
    for wrong, message in (
        ("features.hop_ms=5", "the weights were trained with other features"), ("dither=1", r"expected features\.KEY=VALUE"),
        ("features.dithr=1", r"did you mean 'features\.dither'"),
    ):  # fmt: skip
        with pytest.raises(ConfigError, match=message):
            override_features(AudioFeatures(), [wrong])
