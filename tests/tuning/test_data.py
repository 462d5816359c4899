"""Tuning data: nothing is decoded twice, and what cannot be tuned is refused."""

from __future__ import annotations

import pytest

from recognizer.config import DecoderConfig
from recognizer.data.manifest import load_manifest
from recognizer.errors import ConfigError
from recognizer.inference.recognizer import Recognizer
from recognizer.tuning.data import TuningData


def test_no_item_is_decoded_twice_with_the_same_settings(bundle, noisy, monkeypatch) -> None:
    data = TuningData(Recognizer.load(bundle, decoder=DecoderConfig(kind="beam"), threads=1), load_manifest(noisy))
    decode, asked = data.decode, []
    monkeypatch.setattr(data, "decode", lambda config, members: asked.append(list(members)) or decode(config, members))
    config = DecoderConfig(kind="beam", beam_size=4)
    some = data.errors(config, [5, 2, 9])
    every = data.errors(config, range(len(data)))
    assert asked == [[5, 2, 9], [n for n in range(24) if n not in (5, 2, 9)]] and every[[5, 2, 9]].tolist() == some.tolist()
    assert data.rate(every, range(24)) == pytest.approx(every.sum() / sum(len(item.text) for item in data.items))


def test_a_greedy_decoder_and_a_metric_that_does_not_fit_are_refused(bundle, glyphs) -> None:
    with pytest.raises(ConfigError, match="nothing to tune"):
        TuningData(Recognizer.load(bundle), glyphs.items()[:2])
    with pytest.raises(ConfigError, match="--metric UER: does not fit an alphabet of characters"):
        TuningData(Recognizer.load(bundle, decoder=DecoderConfig(kind="beam")), glyphs.items()[:2], "UER")
