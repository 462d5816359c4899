"""Spliced sentences and lines: they hold the words of the transcript, all of one speaker or writer, each phrase as often as the next."""

from __future__ import annotations

import json
import random
from collections import Counter
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from recognizer.data.manifest import Item, load_manifest, save_manifest
from recognizer.data.preparation import prepare
from recognizer.data_prep.spliced import Strip, cut_line, cut_sound, deal, read_alignments, write_line
from recognizer.errors import ConfigError, InputError
from recognizer.types import Token

RATE = 8000
LETTER, GAP = 0.12, 0.06  # seconds of a tone, and of the silence between two words
TEXTS = {"anna": ["ab ba c", "d ab", "ca"], "bo": ["b d a c", "dd ca b"]}
LOUDNESS = {"anna": 0.15, "bo": 0.6}


def pitch(letter: str) -> float:
    return 500.0 * (1 + "abcd".index(letter))


def speak(text: str, loudness: float) -> tuple[np.ndarray, list[dict[str, object]]]:
    """Samples, and the spikes that a recognizer would find: one in the middle of each tone."""
    parts, tokens, now = [np.zeros(round(0.2 * RATE))], [], 0.2
    for letter in text:
        seconds = GAP if letter == " " else LETTER
        times = np.arange(round(seconds * RATE)) / RATE
        tone = np.zeros(len(times)) if letter == " " else loudness * np.sin(2 * np.pi * pitch(letter) * times)
        parts.append(tone)
        tokens.append({"symbol": letter, "start": now + seconds / 2 - 0.01, "end": now + seconds / 2 + 0.01, "confidence": 0.9})
        now += seconds
    return np.concatenate([*parts, np.zeros(round(0.4 * RATE))]), tokens


def find_letters(samples: np.ndarray, loudness: float) -> str:
    """The letters of the tones, told by their pitch in each 10 ms; the same letter twice in a row by how long it lasts."""
    frames = samples[: len(samples) // 80 * 80].reshape(-1, 80)
    pitches = np.abs(np.fft.rfft(frames, 640)).argmax(1) * RATE / 640
    told = ["abcd"[round(each / 500) - 1] if np.abs(frame).max() > loudness / 3 else " " for each, frame in zip(pitches, frames, strict=True)]
    runs = [(letter, len(list(run))) for letter, run in groupby(told)]
    return "".join(letter * round(length / (100 * LETTER)) for letter, length in runs if letter != " ")


@pytest.fixture
def said(tmp_path: Path) -> Path:
    """A manifest of two speakers, and beside it what aligning it gives."""
    items, records = [], []
    for speaker, texts in TEXTS.items():
        for number, text in enumerate(texts):
            samples, tokens = speak(text, LOUDNESS[speaker])
            path = tmp_path / f"{speaker}{number}.wav"
            soundfile.write(path, samples, RATE)
            items.append(Item(path.stem, path, text=text, group=speaker))
            records.append(json.dumps({"id": path.stem, "tokens": tokens}))
    save_manifest(items, tmp_path / "train.jsonl")
    (tmp_path / "aligned.jsonl").write_text("\n".join(records))
    return tmp_path / "train.jsonl"


def splice(said: Path, out: str = "out", **options: object) -> tuple[list[Item], list[str], list[str]]:
    dropped, notes = [], []
    options = {"alignments": said.with_name("aligned.jsonl"), "rate": RATE, "name": "spliced"} | options
    prepare("spliced", said, said.parent / out, drop=lambda error: dropped.append(str(error)), note=notes.append, **options)  # type: ignore[arg-type]
    return load_manifest(said.parent / out / "spliced.jsonl"), dropped, notes


def test_recordings_hold_the_words_of_the_transcript_in_one_voice(said: Path) -> None:
    items, dropped, notes = splice(said, sentences=12)
    assert not dropped and len(notes) == 1 and notes[0].endswith("phrases by 2 speakers")
    assert Counter(item.group for item in items) == {"anna": 12, "bo": 12}
    for item in items:
        samples, rate = soundfile.read(item.source)
        assert rate == RATE and find_letters(samples, LOUDNESS[item.group]) == item.text.replace(" ", "")
        assert np.percentile(np.abs(samples), 99) == pytest.approx(LOUDNESS[item.group], rel=0.1)  # levels are kept
        assert {*item.text.split()} <= {word for text in TEXTS[item.group] for word in text.split()}
    assert len({item.text for item in items}) > 18 and not {item.text for item in items} & {text for texts in TEXTS.values() for text in texts}
    assert not list(said.parent.rglob("*.partial"))


def test_the_seed_decides_and_no_other_speaker(said: Path) -> None:
    texts = [[item.text for item in splice(said, f"out{number}", sentences=5, seed=seed)[0]] for number, seed in enumerate((1, 1, 2))]
    assert texts[0] == texts[1] != texts[2]
    alone = said.with_name("bo.jsonl")
    save_manifest([item for item in load_manifest(said) if item.group == "bo"], alone)
    assert [item.text for item in splice(alone, "alone", sentences=5)[0]] == texts[0][5:]


def test_phones_come_from_the_lexicon_and_a_speaker_may_be_named(said: Path) -> None:
    lexicon = said.with_name("lexicon.txt")
    lexicon.write_text("AB  EY B\nBA  B AA\nC  S IY\nD  D IY\nCA  K AA\nB  B IY\nA  AH\nDD  D D\n")
    items, _, notes = splice(said, lexicon=lexicon, speaker="both", sentences=30)
    assert {item.group for item in items} == {"both"} and notes[0].endswith("phrases by 1 speakers")
    assert any({"dd", "ba"} <= {*item.text.split()} for item in items)  # words of one and of the other
    ways = {word.lower(): phones for word, *phones in (line.split() for line in lexicon.read_text().splitlines())}
    assert all(list(item.units) == [phone for word in item.text.split() for phone in ways[word]] for item in items)


def split_words(tokens: list[Token]) -> list[list[Token]]:
    return [list(run) for space, run in groupby(tokens, lambda token: token.symbol == " ") if not space]


def test_a_cut_falls_where_the_sound_is_weakest_and_phrases_cover_all_between(tmp_path: Path) -> None:
    text = "a b c d a b c d"
    samples, records = speak(text, 0.5)
    soundfile.write(tmp_path / "a.wav", samples, RATE)
    tokens = [Token(**record) for record in records]
    for spans in ([(0, 8)], [(0, 1), (1, 4), (4, 6), (6, 8)], [(number, number + 1) for number in range(8)]):
        pieces = cut_sound(tmp_path / "a.wav", RATE, split_words(tokens), spans)
        assert [find_letters(piece, 0.5) for piece in pieces] == ["".join(text.split()[first:last]) for first, last in spans]
        # from 0.15 s before the first spike to 0.25 s behind the last, which stand in the middle of their tones
        assert sum(map(len, pieces)) == pytest.approx((0.15 + 7 * (LETTER + GAP) + 0.02 + 0.25) * RATE, abs=2)


def test_every_phrase_as_often_as_the_next() -> None:
    phrases = [(None, str(number)) for number in range(7)]
    sentences = list(deal(phrases, 50, random.Random(3)))
    used = Counter(text for sentence in sentences for _, text in sentence)
    assert len(sentences) == 50 and {len(sentence) for sentence in sentences} == {2, 3, 4, 5, 6}
    assert len(used) == 7 and max(used.values()) - min(used.values()) <= 1


def test_what_cannot_be_used_is_named(said: Path) -> None:
    (said.parent / "bo1.wav").write_bytes(b"no sound")
    items, dropped, _ = splice(said)
    assert len(items) == 32 and len(dropped) == 1 and "bo1.wav" in dropped[0]
    with pytest.raises(ConfigError, match=r"^--sentences 0: must be at least 1"):
        splice(said, sentences=0)
    said.with_name("aligned.jsonl").write_text('{"id": "other", "tokens": []}')
    with pytest.raises(InputError, match=r"train.jsonl: not one phrase could be cut out of its items"):
        splice(said)
    said.with_name("aligned.jsonl").write_text('{"id": "anna0"}')
    with pytest.raises(InputError, match=r"aligned.jsonl:1: not a line of `recognizer align -f jsonl`"):
        splice(said)
    with pytest.raises(ConfigError, match=r"^--alignments: is needed; run `recognizer align MODEL .*train\.jsonl > FILE`"):
        splice(said, alignments=None)


def test_alignments_are_what_recognizer_align_prints(speech_run, tones, tmp_path, cli) -> None:
    save_manifest(tones.items()[:2], tmp_path / "some.jsonl")
    outcome = cli("align", speech_run / "bundle", tmp_path / "some.jsonl")
    (tmp_path / "aligned.jsonl").write_text("\n".join(outcome.out))
    found = read_alignments(tmp_path / "aligned.jsonl")
    for item in load_manifest(tmp_path / "some.jsonl"):
        assert ["".join(token.symbol for token in word) for word in found[item.id]] == item.text.split()


BODY, TALL, PEN = 20, 36, 3
WIDTHS = {"a": 16, "c": 22, "e": 28, "o": 34, "h": 40, "l": 4}  # of the boxes, by which they are told apart; h and l are tall


def draw_line(text: str, base: int, gap: int, paper: int, rule: bool = False) -> tuple[np.ndarray, list[Token]]:
    """Boxes that stand on row ``base``, 8 pixels apart, words ``gap``; and a spike in the middle of each."""
    picture, tokens, left = np.full((90, 1200), float(paper)), [], 30
    if rule:
        picture[base + 3 : base + 5] = paper - 60
    for letter in text:
        if letter == " ":
            tokens.append(Token(" ", left - 8 + gap / 2 - 2, left - 8 + gap / 2 + 2))
            left += gap - 8
            continue
        top, width = base - (TALL if letter in "hl" else BODY), WIDTHS[letter]
        picture[top:base, left : left + width] = 10
        picture[top + PEN : base - PEN, left + PEN : left + width - PEN] = paper
        tokens.append(Token(letter, left + width / 2 - 2, left + width / 2 + 2, 0.9))
        left += width + 8
    return picture[:, : left + 20].astype(np.uint8), tokens


def read_line(gray: np.ndarray) -> tuple[str, list[int]]:
    """The letters of the boxes, told by their widths, and the gaps that are wider than those between letters."""
    columns = (gray < 60).any(axis=0)
    text, gaps, run = "", [], 0
    for inked, group in groupby(columns[np.flatnonzero(columns)[0] : np.flatnonzero(columns)[-1] + 1]):
        run = len(list(group))
        if inked:
            text += next(letter for letter, width in WIDTHS.items() if width == run)
        elif run > 12:
            text += " "
            gaps.append(run)
    return text, gaps


def cut_picture(tmp_path: Path, picture: np.ndarray, tokens: list[Token], spans: list[tuple[int, int]]) -> list[Strip | None]:
    Image.fromarray(picture).save(tmp_path / "line.png")
    return cut_line(tmp_path / "line.png", split_words(tokens), spans)


def test_a_phrase_is_cut_whole_with_the_paper_behind_it(tmp_path: Path) -> None:
    text = "cach oe a hoe"
    picture, tokens = draw_line(text, 60, 30, 240)
    spans = [(0, 1), (1, 3), (3, 4), (0, 4)]
    strips = cut_picture(tmp_path, picture, tokens, spans)
    for strip, (first, last) in zip(strips, spans, strict=True):
        assert strip is not None and read_line(strip.gray)[0] == " ".join(text.split()[first:last])
        assert (strip.base, strip.body, strip.gap, strip.paper) == (pytest.approx(60), pytest.approx(BODY), pytest.approx(30, abs=2), 240)
        assert (strip.gray[:, strip.ink - 1] < 60).any() and not (strip.gray[:, strip.ink :] < 60).any()
    assert strips[0].gray.shape[1] - strips[0].ink == pytest.approx(30, abs=2)  # up to the next word
    assert strips[2].gray.shape[1] - strips[2].ink == 28  # to the edge


@pytest.mark.parametrize("rule", [False, True])
def test_phrases_of_different_lines_come_to_stand_on_one(tmp_path: Path, rule: bool) -> None:
    first = cut_picture(tmp_path, *draw_line("cae hoc", 50, 30, 250, rule), [(0, 1), (1, 2)])
    second = cut_picture(tmp_path, *draw_line("ech ao", 70, 50, 200, rule), [(0, 2)])
    pieces = [strip for strip in (*first, *second) if strip is not None]
    assert len(pieces) == 3
    for seed in range(5):
        write_line(tmp_path / "out.png", pieces, random.Random(seed))
        gray = np.asarray(Image.open(tmp_path / "out.png"))
        text, gaps = read_line(gray)
        assert text == "cae hoc ech ao"
        assert 0.7 * 29 <= gaps[0] <= 1.4 * 31 and 0.7 * 29 <= gaps[1] <= 1.4 * 31 and gaps[2] == pytest.approx(50, abs=2)
        feet = [int(rows[-1]) for rows in (np.flatnonzero(column < 60) for column in gray.T) if len(rows)]
        assert max(feet) - min(feet) <= 8  # the pen wobbles, but 20 rows lay between the two lines
        assert float(np.median(gray)) == pytest.approx(250, abs=1)
    assert not list(tmp_path.glob("*.partial"))


def test_without_ink_or_letters_that_stand_on_it_there_is_no_base_line(tmp_path: Path) -> None:
    blank = np.full((60, 200), 250, np.uint8)
    assert cut_picture(tmp_path, blank, [Token("a", 20, 24), Token(" ", 60, 64), Token("c", 100, 104)], [(0, 1), (1, 2)]) == [None, None]
    picture, tokens = draw_line("h l", 60, 40, 240)
    assert cut_picture(tmp_path, picture, tokens, [(0, 1), (1, 2)]) == [None, None]


def test_lines_of_a_manifest_are_spliced_as_recordings_are(tmp_path: Path) -> None:
    items, records = [], []
    for number, (writer, text) in enumerate([("anna", "cae hoc"), ("anna", "ech ao ce"), ("bert", "oo ea ha"), ("bert", "ach oe")]):
        picture, tokens = draw_line(text, 55 + 3 * number, 30, 235)
        Image.fromarray(picture).save(tmp_path / f"{number}.png")
        items.append(Item(f"line{number}", tmp_path / f"{number}.png", text=text, group=writer))
        records.append(json.dumps({"id": f"line{number}", "tokens": [vars(token) for token in tokens]}))
    save_manifest(items, tmp_path / "train.jsonl")
    (tmp_path / "aligned.jsonl").write_text("\n".join(records))
    notes: list[str] = []
    prepare("spliced", tmp_path / "train.jsonl", tmp_path / "out", name="all", alignments=tmp_path / "aligned.jsonl", sentences=6, note=notes.append)
    spliced = load_manifest(tmp_path / "out" / "all.jsonl")
    assert len(spliced) == 12 and notes[0].endswith("phrases by 2 writers")
    written = {writer: {word for item in items if item.group == writer for word in item.text.split()} for writer in ("anna", "bert")}
    for item in spliced:
        gray = np.asarray(Image.open(item.source))
        assert item.source.suffix == ".png" and item.width == gray.shape[1]
        assert read_line(gray)[0] == item.text and {*item.text.split()} <= written[item.group]
