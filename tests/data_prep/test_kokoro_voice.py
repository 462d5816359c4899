"""Voices of Kokoro, by a model with its inputs (``tones.onnx``) that says each symbol as a tone, as many times 20 Hz as the symbol's number, for a
tenth of a second by the speed, as loud as the style's first number: ``style[0] * sin(2 pi 20 Hz tokens[floor(t speed / 0.1 s)] t)``, 24 kHz."""

from __future__ import annotations

import argparse
import shutil
import sys
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest
import soundfile

from recognizer.data_prep import kokoro_voice, pronouncing, synthesise_speech
from recognizer.data_prep.kokoro_voice import NUMBERS, SYMBOLS, load_voices, say, write_symbols
from recognizer.data_prep.speechocean import PHONES
from recognizer.data_prep.voices import check_voices
from recognizer.errors import ConfigError, InputError

WORDS = "yes Y EH1 S\nmoon M UW1 N\nsad S AE1 D\nsad(2) S AA1 D\nto T UW1\nwater W AO1 T ER0 # as they say\n"


@pytest.fixture
def folder(tmp_path):
    load_voices.cache_clear()
    root = tmp_path / "voice"
    (root / "voices").mkdir(parents=True)
    shutil.copy(Path(__file__).with_name("tones.onnx"), root)
    (root / "words.dict").write_text(WORDS)
    for name, loudness in {"af_one": 0.5, "bm_two": 0.5, "zf_three": 0.5}.items():
        np.full((40, 256), loudness, dtype="<f4").tofile(root / "voices" / f"{name}.bin")
    return root


@pytest.fixture
def voices(folder):
    return load_voices(str(folder))


@pytest.fixture
def read_synthetic(folder, tmp_path, write):
    def call(text, *words):
        parser = argparse.ArgumentParser()
        synthesise_speech.add_arguments(parser)
        dropped = []
        options = parser.parse_args(["--voice", f"kokoro:{folder}", *words])
        options.made, options.seed, options.drop = tmp_path / "out", 1, lambda error: dropped.append(str(error))
        return list(synthesise_speech.read(write(tmp_path / "text.txt", text), options)), dropped

    return call


@pytest.fixture
def always(monkeypatch):
    """No chance: no pauses, the first pronunciation, a full stop."""
    monkeypatch.setattr(kokoro_voice, "PAUSE", 0.0)
    monkeypatch.setattr(pronouncing, "VARIANT", 0.0)
    monkeypatch.setattr(kokoro_voice, "ENDS", (".",))


def find_tones(path):
    """Numbers of the symbols that are heard one after the other."""
    samples, rate = soundfile.read(path)
    frames = samples[: len(samples) // 320 * 320].reshape(-1, 320) * np.hanning(320)  # 20 ms
    power = np.abs(np.fft.rfft(frames, 3200))  # 5 Hz apart
    tones = np.round(power[:, : 4 * 160].argmax(axis=1) * 5 / 20).astype(int)
    return [int(tone) for tone, run in groupby(tones[power.max(axis=1) > 5]) if len([*run]) >= 2], rate


def test_every_phone_has_a_symbol_and_every_symbol_a_number():
    assert {*SYMBOLS} == PHONES
    tables = (*SYMBOLS.values(), *kokoro_voice.FAINT.values(), *kokoro_voice.STRESS.values(), *kokoro_voice.ENDS)
    symbols = {symbol for one in tables for symbol in one}
    assert symbols | {kokoro_voice.FLAP, " ", ","} == {*NUMBERS} and len({*NUMBERS.values()}) == len(NUMBERS)


def test_every_symbol_is_heard_in_its_turn(voices, always, tmp_path, monkeypatch):
    monkeypatch.setattr(kokoro_voice, "PACE", (0.5, 0.5))
    assert say(voices, "yes moon", tmp_path / "0.wav", 1.0) == ("Y", "EH", "S", "M", "UW", "N")
    tones, rate = find_tones(tmp_path / "0.wav")
    symbols = [NUMBERS[symbol] for symbol in "jˈɛs mˈun"]
    assert rate == 16_000
    assert [tone for tone in tones if tone in symbols] == symbols


def test_words_as_the_model_writes_them(always):
    chance = np.random.default_rng(1)
    assert write_symbols([("water", ("W", "AO1", "T", "ER0"))], chance) == "wˈɔTəɹ."  # a flap before a vowel without stress
    assert write_symbols([("attend", ("AH0", "T", "EH1", "N", "D"))], chance) == "ətˈɛnd."
    assert write_symbols([("to", ("T", "UW1")), ("hurt", ("HH", "ER1", "T"))], chance) == "tu hˈɜɹt."
    assert write_symbols([("foretold", ("F", "AO2", "R", "T", "OW1", "L", "D"))], chance) == "fˌɔɹtˈOld."


def test_pauses_come_between_words_only(monkeypatch):
    monkeypatch.setattr(kokoro_voice, "PAUSE", 1.0)
    monkeypatch.setattr(kokoro_voice, "ENDS", ("?",))
    assert write_symbols([("yes", ("Y", "EH1", "S"))] * 3, np.random.default_rng(1)) == "jˈɛs, jˈɛs, jˈɛs?"


def test_the_same_words_and_name_give_the_same_recording_others_another(voices, tmp_path):
    (tmp_path / "a").mkdir()
    for path in ("0.wav", "a/0.wav", "1.wav"):
        say(voices, "yes", tmp_path / path, 1.0)
    first, same, other = ((tmp_path / path).read_bytes() for path in ("0.wav", "a/0.wav", "1.wav"))
    assert first == same != other


def test_slower_is_longer(voices, always, tmp_path):
    frames = []
    for stretch in (0.7, 1.0, 1.4):
        say(voices, "yes moon yes moon yes moon", tmp_path / "0.wav", stretch)
        frames.append(soundfile.info(tmp_path / "0.wav").frames)
    assert frames == sorted(frames) and 1.6 < frames[2] / frames[0] < 2.4


def test_a_speaker_lies_between_two_voices_and_is_nearer_to_the_english_one(folder, tmp_path):
    """The first number of a style is how loud it is said here, before a recording's own level."""
    for path in folder.glob("voices/*.bin"):
        np.full((40, 256), 1.0 if path.name.startswith(("a", "b")) else 0.0, dtype="<f4").tofile(path)
    voices = load_voices(str(folder))
    assert [len(voices.english), len(voices.all)] == [2, 3]
    shares = []

    class Ear:
        def run(self, names, inputs):
            shares.append(float(inputs["style"][0, 0]))
            return voices.model.run(names, inputs)

    for number in range(60):
        say(voices._replace(model=Ear()), "yes moon", tmp_path / f"{number}.wav", 1.0)
    assert all(0.5 <= share <= 1 for share in shares) and len({*shares}) > 10


def test_words_may_be_pronounced_in_any_of_their_ways(voices, tmp_path):
    ways = [say(voices, "sad", tmp_path / f"{number}.wav", 1.0) for number in range(60)]
    assert 3 <= ways.count(("S", "AA", "D")) <= 18 and ways.count(("S", "AE", "D")) == 60 - ways.count(("S", "AA", "D"))


def test_a_named_speaker_is_the_same_in_all_that_is_said(folder, tmp_path):
    for number, path in enumerate(sorted(folder.glob("voices/*.bin"))):
        np.full((40, 256), number + 1, dtype="<f4").tofile(path)
    voices = load_voices(str(folder))
    styles = []

    class Ear:
        def run(self, names, inputs):
            styles.append(float(inputs["style"][0, 0]))
            return voices.model.run(names, inputs)

    for number, speaker in enumerate(("1", "1", "2", "2", "3", "3", "4", "4")):
        say(voices._replace(model=Ear()), ("yes", "sad moon")[number % 2], tmp_path / f"{number}.wav", 1.0, speaker)
    assert styles[::2] == styles[1::2] and len({*styles}) > 1


def test_what_cannot_be_said_is_dropped_by_name(read_synthetic, tmp_path):
    items, dropped = read_synthetic("Yes moon. Sad sun. " + "Moon " * 20, "--utterances", "30", "--words", "20")
    assert items and {item.group for item in items} == {"kokoro"} and len(items) + len(dropped) == 30
    assert all(item.source.exists() and item.units for item in items)
    assert any("'sun' is not in the dictionary" in reason for reason in dropped)
    assert any("sounds and marks, and the voices say 40 at most" in reason for reason in dropped)
    assert len([*(tmp_path / "out").iterdir()]) == len(items)


def test_speakers_take_turns_with_single_words(read_synthetic):
    items, _ = read_synthetic("", "--utterances", "12", "--words", "1", "--speakers", "5", "--strings", "yes moon")
    assert [item.group for item in items] == [f"kokoro_{number % 5}" for number in range(12)]
    assert {item.text for item in items} == {"YES", "MOON"}


@pytest.mark.parametrize("words", [["--speakers", "0"], ["--speakers", "3", "--voice", "rms"]])
def test_speakers_of_voices_that_have_none(read_synthetic, words):
    with pytest.raises(ConfigError, match=r"--speakers \d: must be at least 1, and only voices of kokoro:FOLDER"):
        read_synthetic("Yes moon.", *words)


def test_utterances_of_no_words(read_synthetic):
    with pytest.raises(ConfigError, match="--words 0: must be at least 1"):
        read_synthetic("Yes moon.", "--words", "0")


def test_a_folder_of_something_else_is_refused(folder):
    name = f"kokoro:{folder}"

    def refuse(error, match):
        load_voices.cache_clear()
        with pytest.raises(error, match=match):
            check_voices([name])

    voice = folder / "voices" / "af_one.bin"
    voice.write_bytes(b"1234")
    refuse(InputError, r"af_one\.bin: not a voice: 1 numbers, must be rows of 256")
    voice.unlink()
    check_voices([name])
    (folder / "words.dict").write_text("yes Y EH S\n")
    refuse(ConfigError, r"words\.dict: must have the phones of the CMU dictionary, with stress \(AH0, AH1\)")
    (folder / "words.dict").write_text("yes Y EH1 Q\n")
    refuse(ConfigError, r"words\.dict: .* and has Q")
    (folder / "words.dict").write_text(WORDS)
    (folder / "tones.onnx").write_bytes(b"no model")
    refuse(InputError, r"tones\.onnx: not a model that onnxruntime reads")
    (folder / "tones.onnx").unlink()
    refuse(ConfigError, r"must be a folder with one model \(NAME\.onnx\), one dictionary with stress")


def test_it_says_what_to_install(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ConfigError, match=r"pip install 'recognizer\[voices\]'"):
        check_voices([f"kokoro:{folder}"])


def test_a_model_of_another_kind_is_refused(folder, monkeypatch):
    monkeypatch.setattr(kokoro_voice, "INPUTS", {"tokens", "pitch"})
    with pytest.raises(InputError, match="it takes speed, style, tokens, must take pitch, tokens"):
        load_voices(str(folder))
