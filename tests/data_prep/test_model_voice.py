from __future__ import annotations

import argparse
from itertools import groupby

import numpy as np
import pytest
import soundfile
from scipy.ndimage import uniform_filter1d

from recognizer.data_prep import synthesise_speech
from recognizer.data_prep.model_voice import load_voices, say
from recognizer.data_prep.voices import check_voices
from recognizer.errors import ConfigError, InputError

from .sphinx_files import NAMES, find_cepstra, write_model


@pytest.fixture
def sounds(tmp_path):
    """Cepstra of the phones of the model in ``tmp_path / "voice"``."""
    return write_model(tmp_path / "voice" / "en")


@pytest.fixture
def voices(tmp_path, sounds):
    load_voices.cache_clear()
    return load_voices(str(tmp_path / "voice"))


@pytest.fixture
def read_synthetic(tmp_path, sounds, write):
    def call(text, *words, seed=1):
        load_voices.cache_clear()
        parser = argparse.ArgumentParser()
        synthesise_speech.add_arguments(parser)
        dropped = []
        options = parser.parse_args(["--voice", f"sphinx:{tmp_path / 'voice'}", *words])
        options.made, options.seed, options.drop = tmp_path / f"out_{seed}", seed, dropped.append
        return list(synthesise_speech.read(write(tmp_path / "text.txt", text), options)), dropped

    return call


def test_every_phone_is_heard_in_its_turn(voices, sounds, tmp_path):
    phones = say(voices, "yes moon sad moon", tmp_path / "0.wav", 2.5, 1.0)
    assert phones[:6] == ("Y", "EH", "S", "M", "UW", "N") and phones[8:] == ("D", "M", "UW", "N")
    samples, rate = soundfile.read(tmp_path / "0.wav")
    assert rate == 16_000 and 0.19 < np.abs(samples).max() < 0.81
    cepstra = find_cepstra(samples)
    spoken = [NAMES.index(phone) for phone in phones]
    # a tenth of a second at a time beside what was asked for, the mean over the recording taken from both
    candidates = [NAMES.index("SIL"), *sorted({*spoken})]
    heard, meant = uniform_filter1d(cepstra - cepstra.mean(axis=0), 9, axis=0), sounds - sounds[spoken].mean(axis=0)
    nearest = np.argmin(((heard[:, None, 1:7] - meant[None, candidates, 1:7]) ** 2).sum(axis=2), axis=1)
    order = [candidates[place] for place, run in groupby(nearest) if len([*run]) >= 10]  # where one becomes another, a third may be nearest
    assert [phone for phone, _ in groupby(order) if phone != NAMES.index("SIL")] == spoken


def test_the_same_words_and_name_give_the_same_speaker_others_another(voices, tmp_path):
    (tmp_path / "a").mkdir()
    for path in ("0.wav", "a/0.wav", "1.wav"):
        say(voices, "yes", tmp_path / path, 1.0, 1.0)
    first, same, other = ((tmp_path / path).read_bytes() for path in ("0.wav", "a/0.wav", "1.wav"))
    assert first == same != other


def test_slower_is_longer(voices, tmp_path):
    frames = []
    for stretch in (0.7, 1.0, 1.4):
        say(voices, "yes moon yes moon yes moon", tmp_path / "0.wav", stretch, 1.0)
        frames.append(soundfile.info(tmp_path / "0.wav").frames)
    assert frames == sorted(frames) and 1.6 < frames[2] / frames[0] < 2.4


def test_words_may_be_pronounced_in_any_of_their_ways(voices, tmp_path):
    ways = [say(voices, "sad", tmp_path / f"{number}.wav", 1.0, 1.0) for number in range(60)]
    assert 3 <= ways.count(("S", "AA", "D")) <= 18 and ways.count(("S", "AE", "D")) == 60 - ways.count(("S", "AA", "D"))


def test_stretches_of_a_text_and_words_that_the_dictionary_lacks(read_synthetic):
    items, dropped = read_synthetic("Yes moon. Moon sad.\nSad sun.", "--utterances", "30")
    assert {item.text for item in items} == {"YES MOON", "MOON SAD"} and {item.group for item in items} == {"sphinx"}
    assert dropped and all("'sun' is not in the dictionary" in str(reason) for reason in dropped)
    assert len(items) + len(dropped) == 30 and all(item.source.exists() and item.units for item in items)


def test_strings_have_each_word_as_often(read_synthetic):
    items, _ = read_synthetic("", "--utterances", "60", "--words", "5", "--strings", "yes moon")
    words = [word for item in items for word in item.text.split()]
    assert {len(item.text.split()) for item in items} == {2, 3, 4, 5} and 0.4 < words.count("YES") / len(words) < 0.6


def test_a_folder_of_something_else_is_refused(tmp_path, sounds):
    with pytest.raises(ConfigError, match=r"with one acoustic model .* and one dictionary"):
        check_voices([f"sphinx:{tmp_path}"])
    path = tmp_path / "voice" / "en" / "mdef"
    path.write_bytes(path.read_bytes().replace(b"ZH\0", b"QH\0"))
    load_voices.cache_clear()
    with pytest.raises(ConfigError, match="the model lacks the phones ZH"):
        check_voices([f"sphinx:{tmp_path / 'voice'}"])
    (tmp_path / "voice" / "words.dict").write_text("yes\n")
    path.write_bytes(path.read_bytes().replace(b"QH\0", b"ZH\0"))
    with pytest.raises(InputError, match=r"words\.dict:1: 'yes' has no phones"):
        check_voices([f"sphinx:{tmp_path / 'voice'}"])
