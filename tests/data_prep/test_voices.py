"""Voices of festival, by a program of that name that answers as festival does, and of Kokoro; those of flite are tested with what speaks.

The model of Kokoro here (``tones.onnx``) says each symbol as a tone, as many times 20 Hz as the symbol's number, for a tenth of a second by
the speed, as loud as the style's first number: ``style[0] * sin(2 pi 20 Hz tokens[floor(t speed / 0.1 s)] t)``, 24 kHz.
"""

# ruff: noqa: RUF001
from __future__ import annotations

import shutil
import sys
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest
import soundfile

from recognizer.data_prep import voices as module
from recognizer.data_prep.speechocean import PHONES
from recognizer.data_prep.voices import (
    NUMBERS,  # fmt: skip
    RADIO_PHONES,
    SILENCES,
    SYMBOLS,
    FliteVoice,
    KokoroVoice,
    Utterance,
    open_voice,
    write_symbols,
)
from recognizer.errors import ConfigError, InputError

RADIO = (
    "aa ae ah ao aw ax axr ay b ch d dh dx eh el em en er ey f g hh hv ih iy jh k l m n nx ng ow oy p r s sh t th uh uw v w y z zh pau h# brth")
FAKE = """
if [ "$1" = -b ]; then echo "(ked_diphone kal_diphone)"; exit; fi
echo begun >> "$LOG"
while IFS= read -r line; do
    rest="${line#(speak }"; number="${rest%% *}"; path="${line#*\\" \\"}"; path="${path%%\\"*}"
    case "$line" in
        *crash*) kill -SEGV $$;;
        *"SIOD error"*) echo "SIOD ERROR: wrong type" >&2;;
        "(voice_"*) echo "$line" >> "$LOG";;
        "(speak "*) cp "$TONE" "$path"; echo "$number $SOUNDS";;
    esac
done
"""


@pytest.fixture
def festival(tmp_path, monkeypatch, program, sound):
    """The file to which the program writes whenever it starts."""
    program("festival", FAKE)
    for name, value in {"TONE": sound(tmp_path / "tone.wav"), "LOG": tmp_path / "log", "SOUNDS": "pau l ih t ax l pau"}.items():
        monkeypatch.setenv(name, str(value))
    return tmp_path / "log"


@pytest.fixture
def utterances(tmp_path):
    return lambda *texts: [Utterance(text, tmp_path / f"{number}.wav", 1.1, 0.9) for number, text in enumerate(texts)]


def test_every_sound_of_the_radio_phone_set_has_its_phones():
    spelt = {sound: RADIO_PHONES.get(sound, sound).split() for sound in RADIO.upper().split() if sound not in SILENCES}
    assert {phone for phones in spelt.values() for phone in phones} == PHONES
    assert spelt["EN"] == ["AH", "N"] and spelt["AXR"] == ["ER"]


def test_one_process_says_everything(festival, utterances):
    said = open_voice("festival:kal_diphone").speak(utterances("little", "by", "little"))
    assert said == [("L", "IH", "T", "AH", "L")] * 3
    assert festival.read_text().splitlines() == ["begun", "(voice_kal_diphone)"]
    assert all(one.path.exists() for one in utterances("little", "by", "little"))


def test_what_stops_the_program_costs_one_utterance(festival, utterances):
    said = open_voice("festival:kal_diphone").speak(utterances("one", "a crash", "two", "SIOD error", "three", "crash"))
    assert [isinstance(one, InputError) for one in said] == [False, True, False, True, False, True]
    assert "1.wav: festival could not speak 'a crash': it ended with status -11" in str(said[1])
    assert "wrong type" in str(said[3])
    assert festival.read_text().count("begun") == 3


def test_the_ogi_lexicon_writes_an_r_after_er(festival, utterances, monkeypatch):
    monkeypatch.setenv("SOUNDS", "pau hh er r r eh d en pau")
    assert open_voice("festival:ked_diphone").speak(utterances("her red"))[0] == ("HH", "ER", "R", "EH", "D", "AH", "N")
    assert open_voice("festival:kal_diphone").speak(utterances("her red"))[0] == ("HH", "ER", "R", "R", "EH", "D", "AH", "N")


@pytest.mark.parametrize(("sounds", "reason"), [("pau", "gave no phones"), ("pau q ih", "gave Q for")])
def test_phones_that_are_none(festival, utterances, monkeypatch, sounds, reason):
    monkeypatch.setenv("SOUNDS", sounds)
    error = open_voice("festival:kal_diphone").speak(utterances("hm"))[0]
    assert isinstance(error, InputError) and reason in str(error)


def test_errors_say_what_to_install(festival, monkeypatch):
    assert open_voice("festival:ked_diphone").group == "festival_ked_diphone"
    with pytest.raises(ConfigError, match=r"arctic_hts: festival has kal_diphone, ked_diphone .*apt-get install festvox-us-slt-hts"):
        open_voice("festival:cmu_us_slt_arctic_hts")
    with pytest.raises(ConfigError, match="espeak:en: the voices are those of flite"):
        open_voice("espeak:en")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ConfigError, match="apt-get install festival"):
        open_voice("festival:kal_diphone")


def test_names(monkeypatch, program):
    program("flite", 'echo "Voices available: kal slt"')
    for name in ("slt", "flite:slt"):
        voice = open_voice(name)
        assert isinstance(voice, FliteVoice) and voice.group == "flite_slt"


WORDS = "yes Y EH1 S\nmoon M UW1 N\nsad S AE1 D\nsad(2) S AA1 D\nto T UW1\nwater W AO1 T ER0 # as they say\n"


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "voice"
    (root / "voices").mkdir(parents=True)
    shutil.copy(Path(__file__).with_name("tones.onnx"), root)
    (root / "words.dict").write_text(WORDS)
    for name in ("af_one", "bm_two", "zf_three"):
        np.full((40, 256), 0.5, dtype="<f4").tofile(root / "voices" / f"{name}.bin")
    return root


@pytest.fixture
def always(monkeypatch):
    """Nothing is left to chance: no pauses, the first pronunciation, a full stop."""
    monkeypatch.setattr(module, "PAUSE_PROBABILITY", 0.0)
    monkeypatch.setattr(module, "VARIANT_PROBABILITY", 0.0)
    monkeypatch.setattr(module, "ENDINGS", (".",))


def find_tones(path: Path) -> tuple[list[int], int]:
    """Numbers of the symbols of the tones in their order, and the sample rate."""
    samples, rate = soundfile.read(path)
    frames = samples[: len(samples) // 320 * 320].reshape(-1, 320) * np.hanning(320)  # 20 ms
    power = np.abs(np.fft.rfft(frames, 3200))  # 5 Hz apart
    tones = np.round(power[:, : 4 * 160].argmax(axis=1) * 5 / 20).astype(int)
    return [int(tone) for tone, run in groupby(tones[power.max(axis=1) > 5]) if len([*run]) >= 2], rate


def test_every_phone_has_a_symbol_and_every_symbol_a_number():
    assert {*SYMBOLS} == PHONES
    symbols = {symbol for one in (*SYMBOLS.values(), *module.UNSTRESSED.values(), *module.STRESS.values(), *module.ENDINGS) for symbol in one}
    assert symbols | {module.FLAP, " ", ","} == {*NUMBERS} and len({*NUMBERS.values()}) == len(NUMBERS)


def test_every_symbol_becomes_its_tone_in_its_turn(folder, always, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SPEEDS", (0.5, 0.5))
    assert KokoroVoice(folder).speak([Utterance("yes moon", tmp_path / "0.wav")]) == [("Y", "EH", "S", "M", "UW", "N")]
    tones, rate = find_tones(tmp_path / "0.wav")
    symbols = [NUMBERS[symbol] for symbol in "jˈɛs mˈun"]
    assert rate == 16_000 and [tone for tone in tones if tone in symbols] == symbols


def test_words_as_the_model_writes_them(always):
    rng = np.random.default_rng(1)
    assert write_symbols([("water", ("W", "AO1", "T", "ER0"))], rng) == "wˈɔTəɹ."  # a flap before a vowel without stress
    assert write_symbols([("attend", ("AH0", "T", "EH1", "N", "D"))], rng) == "ətˈɛnd."
    assert write_symbols([("to", ("T", "UW1")), ("hurt", ("HH", "ER1", "T"))], rng) == "tu hˈɜɹt."
    assert write_symbols([("foretold", ("F", "AO2", "R", "T", "OW1", "L", "D"))], rng) == "fˌɔɹtˈOld."


def test_the_same_words_and_name_give_the_same_recording_others_another(folder, tmp_path):
    (tmp_path / "a").mkdir()
    KokoroVoice(folder).speak([Utterance("yes", tmp_path / path) for path in ("0.wav", "a/0.wav", "1.wav")])
    first, same, other = ((tmp_path / path).read_bytes() for path in ("0.wav", "a/0.wav", "1.wav"))
    assert first == same != other


def test_slower_is_longer(folder, always, tmp_path):
    frames = []
    for stretch in (0.7, 1.0, 1.4):
        KokoroVoice(folder).speak([Utterance("yes moon yes moon yes moon", tmp_path / "0.wav", stretch)])
        frames.append(soundfile.info(tmp_path / "0.wav").frames)
    assert frames == sorted(frames) and 1.6 < frames[2] / frames[0] < 2.4


def test_a_speaker_lies_between_two_voices_and_is_nearer_to_the_english_one(folder, tmp_path):
    """Here the first number of a style says how English the voice is."""
    for path in folder.glob("voices/*.bin"):
        np.full((40, 256), 1.0 if path.name.startswith(("a", "b")) else 0.0, dtype="<f4").tofile(path)
    voice, shares = KokoroVoice(folder), []
    model = voice.model

    class Recorder:
        def run(self, names, inputs):
            shares.append(float(inputs["style"][0, 0]))
            return model.run(names, inputs)

    voice.model = Recorder()
    voice.speak([Utterance("yes moon", tmp_path / f"{number}.wav") for number in range(60)])
    assert all(0.5 <= share <= 1 for share in shares) and len({*shares}) > 10


def test_words_may_be_pronounced_in_any_of_their_ways_and_must_be_known(folder, tmp_path):
    ways = KokoroVoice(folder).speak([Utterance("sad", tmp_path / f"{number}.wav") for number in range(60)])
    assert 3 <= ways.count(("S", "AA", "D")) <= 18 and ways.count(("S", "AE", "D")) == 60 - ways.count(("S", "AA", "D"))
    unknown, long = KokoroVoice(folder).speak([Utterance("sun", tmp_path / "0.wav"), Utterance("moon " * 20, tmp_path / "1.wav")])
    assert str(unknown) == f"{tmp_path / '0.wav'}: 'sun' is not in the dictionary"
    assert "sounds and marks, and the voices say 40 at most" in str(long)


def test_a_folder_of_something_else_is_refused(folder, monkeypatch):
    def refuse(error, match):
        with pytest.raises(error, match=match):
            open_voice(f"kokoro:{folder}")

    monkeypatch.setattr(module, "MODEL_INPUTS", {"tokens", "pitch"})
    refuse(InputError, "it takes speed, style, tokens, must take pitch, tokens")
    monkeypatch.undo()
    voice = folder / "voices" / "af_one.bin"
    voice.write_bytes(b"1234")
    refuse(InputError, r"af_one\.bin: not a voice: 1 numbers, must be rows of 256")
    voice.unlink()
    assert open_voice(f"kokoro:{folder}").group == "kokoro"
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
        open_voice(f"kokoro:{folder}")
