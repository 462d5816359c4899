"""Voices of festival, by a program of that name that answers as festival does; those of flite are tested with what speaks through them."""

from __future__ import annotations

import pytest

from recognizer.data_prep.speechocean import PHONES
from recognizer.data_prep.voices import SILENT, SPELT, Utterance, check_voices, name_voice, speak
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
    spelt = {sound: SPELT.get(sound, sound).split() for sound in RADIO.upper().split() if sound not in SILENT}
    assert {phone for phones in spelt.values() for phone in phones} == PHONES
    assert spelt["EN"] == ["AH", "N"] and spelt["AXR"] == ["ER"]


def test_one_process_says_everything(festival, utterances):
    said = speak("festival:kal_diphone", utterances("little", "by", "little"))
    assert said == [("L", "IH", "T", "AH", "L")] * 3
    assert festival.read_text().splitlines() == ["begun", "(voice_kal_diphone)"]
    assert all(one.path.exists() for one in utterances("little", "by", "little"))


def test_what_stops_the_program_costs_one_utterance(festival, utterances):
    said = speak("festival:kal_diphone", utterances("one", "a crash", "two", "SIOD error", "three", "crash"))
    assert [isinstance(one, InputError) for one in said] == [False, True, False, True, False, True]
    assert "1.wav: festival could not speak 'a crash': it ended with status -11" in str(said[1])
    assert "wrong type" in str(said[3])
    assert festival.read_text().count("begun") == 3


def test_the_ogi_lexicon_writes_an_r_after_er(festival, utterances, monkeypatch):
    monkeypatch.setenv("SOUNDS", "pau hh er r r eh d en pau")
    assert speak("festival:ked_diphone", utterances("her red"))[0] == ("HH", "ER", "R", "EH", "D", "AH", "N")
    assert speak("festival:kal_diphone", utterances("her red"))[0] == ("HH", "ER", "R", "R", "EH", "D", "AH", "N")


@pytest.mark.parametrize(("sounds", "reason"), [("pau", "gave no phones"), ("pau q ih", "gave Q for")])
def test_phones_that_are_none(festival, utterances, monkeypatch, sounds, reason):
    monkeypatch.setenv("SOUNDS", sounds)
    error = speak("festival:kal_diphone", utterances("hm"))[0]
    assert isinstance(error, InputError) and reason in str(error)


def test_errors_say_what_to_install(festival, monkeypatch):
    check_voices(["festival:kal_diphone", "festival:ked_diphone"])
    with pytest.raises(ConfigError, match=r"arctic_hts: festival has kal_diphone, ked_diphone .*apt-get install festvox-us-slt-hts"):
        check_voices(["festival:cmu_us_slt_arctic_hts"])
    with pytest.raises(ConfigError, match="espeak:en: the voices are those of flite"):
        check_voices(["espeak:en"])
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ConfigError, match="apt-get install festival"):
        check_voices(["festival:kal_diphone"])


def test_names():
    assert name_voice("slt") == name_voice("flite:slt") == ("flite", "slt")
    assert name_voice("festival:kal_diphone") == ("festival", "kal_diphone")
