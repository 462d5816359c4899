"""One input of any kind gives one transcript, many an iterator of them, in order."""

from __future__ import annotations

import io
import os
import pickle
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_all_start_methods, get_context
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import recognizer as package
from recognizer import Recognizer
from recognizer.audio.io import load_audio
from recognizer.errors import InputError
from recognizer.image.io import load_image


@pytest.fixture(scope="module")
def listener(speech_run: Path) -> Recognizer:
    return package.load(speech_run / "bundle", "cpu", threads=1)


@pytest.fixture(scope="module")
def reader(line_run: Path) -> Recognizer:
    return package.load(line_run / "bundle", "cpu", threads=1)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch) -> Path:
    """Where temporary files go in a test."""
    made = tmp_path / "temporary"
    made.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(made))
    return made


class Drive:
    """A path that is neither a string nor a pathlib one."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __fspath__(self) -> str:
        return str(self.path)


def test_one_recording_of_every_kind(listener: Recognizer, tones, folder: Path) -> None:
    path = tones.items()[0].source
    samples, data = load_audio(path, 8000), path.read_bytes()
    expected = listener.transcribe(path)
    assert expected.text == tones.items()[0].text and expected.error is None
    for given, name in [
        (str(path), str(path)), (Drive(path), str(path)), (data, "bytes 0"), (bytearray(data), "bytes 0"), (memoryview(data), "bytes 0"),
        (io.BytesIO(data), "file 0"), (samples, "array 0"), (torch.from_numpy(samples), "array 0"), (torch.from_numpy(samples)[None], "array 0"),
        (torch.from_numpy(samples).double().requires_grad_(), "array 0"),
    ]:  # fmt: skip
        transcript = listener.transcribe(given)
        assert (transcript.text, transcript.source) == (expected.text, name)
    with path.open("rb") as file:
        assert listener.transcribe(file).source == str(path)
    with path.open("rb", buffering=0) as file, tempfile.SpooledTemporaryFile() as spooled:
        shutil.copyfileobj(file, spooled)
        spooled.seek(0)
        assert listener.transcribe(spooled).text == expected.text
    wide = torch.nn.functional.interpolate(torch.from_numpy(samples)[None, None], scale_factor=2.0, mode="linear")[0]
    assert listener.transcribe(wide, sample_rate=16_000).seconds == pytest.approx(expected.seconds)
    del transcript
    assert list(folder.iterdir()) == []


def test_one_picture_of_every_kind(reader: Recognizer, glyphs, tmp_path: Path, folder: Path) -> None:
    path = glyphs.items()[0].source
    gray = load_image(path)
    picture = Image.fromarray(gray)
    expected = reader.transcribe(path).text
    assert expected == glyphs.items()[0].text
    clear = Image.new("RGBA", picture.size)
    clear.putalpha(Image.fromarray(255 - gray))  # black ink on nothing
    turned = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise
    picture.transpose(Image.Transpose.ROTATE_90).save(turned, "TIFF", exif=exif)
    for given in (
        path.read_bytes(), io.BytesIO(path.read_bytes()), gray, torch.from_numpy(gray), picture, picture.convert("RGB"), picture.convert("P"),
        Image.open(path), clear, Image.open(io.BytesIO(turned.getvalue())), turned.getvalue(),
    ):  # fmt: skip
        assert reader.transcribe(given).text == expected
    assert list(folder.iterdir()) == []


def test_many_give_an_iterator_in_order(listener: Recognizer, tones) -> None:
    paths = [item.source for item in tones.items()[:4]]
    texts = [listener.transcribe(path).text for path in paths]
    mixed = [paths[0], paths[1].read_bytes(), io.BytesIO(paths[2].read_bytes()), torch.from_numpy(load_audio(paths[3], 8000))]
    for many in (tuple(mixed[:2]), mixed[:2], iter(mixed[:2]), (each for each in mixed[:2])):
        assert [transcript.text for transcript in listener.transcribe(many)] == texts[:2]
    mixed[2].seek(0)
    found = list(listener.transcribe(mixed))
    assert [t.text for t in found] == texts and [t.source for t in found] == [str(paths[0]), "bytes 1", "file 2", "array 3"]
    assert list(listener.transcribe([])) == [] and all(t.given is None for t in found)


def test_files_that_are_closed_again_are_read_before(listener: Recognizer, tones) -> None:
    """As members of an archive are."""
    items = tones.items()[:6]

    def opened():
        for item in items:
            with item.source.open("rb") as file:
                yield file

    assert [t.text for t in listener.transcribe(opened())] == [listener.transcribe(item.source).text for item in items]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (3, "input 0: expected a path, bytes, an open file, an array, a tensor or a picture, found int"),
        (None, "input 0: expected a path, .* found NoneType"),
        (b"", "bytes 0: the file is empty"),
        (b"no recording at all", "bytes 0: not audio that can be read"),
        (io.StringIO("text"), "file 0: was opened as text; open it as bytes"),
        ("none.wav", "none.wav: no such file"),
        (np.zeros(0, np.float32), "array 0: expected float samples"),
        (torch.zeros(2, 800), r"array 0: expected float samples \(N,\), found shape \(2, 800\)"),
        (Image.new("L", (20, 20)), r"array 0: expected float samples"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_said(listener: Recognizer, tones, given: object, message: str, folder: Path) -> None:
    """One input raises; among many it costs the others nothing."""
    with pytest.raises(InputError, match=message):
        listener.transcribe(given)
    good = tones.items()[0]
    first, second, third = listener.transcribe([good.source, given, good.source])
    assert first.text == third.text == good.text and second.text == "" and second.error.replace(" 1: ", " 0: ").startswith(message[:8])
    assert str(folder) not in second.error and list(folder.iterdir()) == []


def test_a_picture_that_cannot_be_read_is_said(reader: Recognizer, glyphs) -> None:
    whole = glyphs.items()[0].source.read_bytes()
    with pytest.raises(InputError, match=r"^bytes 0: the image cannot be read"):
        reader.transcribe(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"^image 0: the image cannot be read"):
        reader.transcribe(Image.open(io.BytesIO(whole[: len(whole) // 2])))
    with pytest.raises(InputError, match=r"^bytes 0: not a readable image"):
        reader.transcribe(b"%PDF-1.4")
    closed = io.BytesIO(whole)
    closed.close()
    with pytest.raises(InputError, match=r"^file 0: cannot be read: I/O operation on closed file"):
        reader.transcribe(closed)


def test_log_probs_of_one_and_of_many(listener: Recognizer, tones) -> None:
    paths = [item.source for item in tones.items()[:3]]
    together = list(listener.log_probs(paths))
    for path, table in zip(paths, together, strict=True):
        np.testing.assert_allclose(listener.log_probs(path.read_bytes()), table, atol=1e-5)
    with pytest.raises(InputError, match=r"none\.wav: no such file"):
        listener.log_probs("none.wav")


def test_a_known_text_is_aligned(listener: Recognizer, reader: Recognizer, tones, glyphs) -> None:
    for recognizer, item in ((listener, tones.items()[0]), (reader, glyphs.items()[0])):
        aligned = recognizer.align(item.source.read_bytes(), item.text)
        assert aligned.text == item.text and [token.symbol for token in aligned.tokens] == list(item.text)
        starts = [token.start for token in aligned.tokens]
        assert starts == sorted(starts) and 0 < aligned.confidence <= 1
    with pytest.raises(InputError, match=r"^bytes 0: .*'z'"):
        listener.align(tones.items()[0].source.read_bytes(), "az")
    with pytest.raises(InputError, match=r"none\.wav: no such file"):
        listener.align("none.wav", "a")
    with pytest.raises(InputError, match="array 0: "):
        listener.align(np.zeros(400, np.float32), "abcd" * 50)


def test_two_threads_share_a_recognizer(listener: Recognizer, reader: Recognizer, tones, glyphs) -> None:
    for recognizer, corpus in ((listener, tones), (reader, glyphs)):
        paths = [item.source for item in corpus.items()] * 2
        expected = [transcript.text for transcript in recognizer.transcribe(paths)]
        with ThreadPoolExecutor(4) as pool:
            assert [t.text for t in pool.map(recognizer.transcribe, paths)] == expected
            halves = pool.map(lambda some, one=recognizer: [t.text for t in one.transcribe(some)], (paths[::2], paths[1::2]))
        assert [list(half) for half in halves] == [expected[::2], expected[1::2]]


_shared: list[Recognizer] = []  # what a forked process finds there


def _transcribe_shared(data: bytes) -> tuple[str, int]:
    return _shared[0].transcribe(data).text, os.getpid()


@pytest.mark.skipif("fork" not in get_all_start_methods(), reason="this system does not fork processes")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_forked_processes_go_on_with_a_recognizer(listener: Recognizer, tones) -> None:
    """It has been used in several threads before, whose pools no forked process has."""
    recordings = [item.source.read_bytes() for item in tones.items()[:6]]
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        recognizer = Recognizer(listener.bundle, "cpu", threads=2)
        expected = [transcript.text for transcript in recognizer.transcribe(recordings)]
        _shared[:] = [recognizer]
        with get_context("fork").Pool(2) as pool:
            found = pool.map_async(_transcribe_shared, recordings).get(timeout=60)
    finally:
        torch.set_num_threads(threads)
        _shared.clear()
    assert [text for text, _ in found] == expected and os.getpid() not in {process for _, process in found}


def test_a_result_that_another_process_sends_leaves_its_input_behind(listener: Recognizer, tones) -> None:
    transcript = listener.transcribe(tones.items()[0].source.read_bytes())
    assert transcript.given is not None
    sent = pickle.loads(pickle.dumps(transcript))
    assert sent == transcript and sent.given is None
