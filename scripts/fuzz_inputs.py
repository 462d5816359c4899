"""Valid small inputs of every kind that the package reads, and the ways in which :mod:`fuzz` damages them."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import random
import re
import tempfile
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import soundfile
import yaml
from PIL import Image, ImageDraw

Files = dict[str, bytes]  # by name; the first is what is read, the others lie beside it

TEXTS = ("the quick brown fox", "jumps over the lazy dog", "a b c d", "naïve café, 12 of 30")
SOUNDS = {"wav": ("WAV", "PCM_16"), "flac": ("FLAC", "PCM_16"), "ogg": ("OGG", "VORBIS"), "mp3": ("MP3", "MPEG_LAYER_III")}
PICTURES = {"png": "PNG", "tiff": "TIFF", "jpeg": "JPEG", "webp": "WEBP"}
NUMBERS = (b"1e999", b"-1e999", b"nan", b"inf", b"-1", b"0", b"1e-999", b"9" * 400, b"9" * 20_000, b"#" + b"F" * 400, b"0x7fffffff", b"2147483648",
    b"9223372036854775808", b"1e18", b"1.7976931348623157e308", b"0.0000001", b"3000000000", b"", b"1_0", b"\xd9\xa1\xd9\xa2")  # fmt: skip
FIELDS = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x7FFFFFFFFFFFFFFF, 0xFFFFFFFFFFFFFFFF)
PIECES = (b"[" * 100_000, b'{"a":' * 100_000, b"<a>" * 100_000, b"\\ud800", b"\xed\xa0\x80", b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\xe2\x80\xae",
    b"\r", b"\x85", b"\n\n", b"a: &a [*a, *a]\n", b"- " * 10_000, b"&#xD800;", b"&#0;", b"&lol;", b"]]>", b"<!--", b'"', b"'", b"\t", b"\\",
    b"(" * 5_000, b"9" * 5_000, b"\xcc\x81" * 3_000, b"-" * 3_000, b"::", b"!!python/object:os.system x", b"? ", b"<<: *b",
    b"2020-13-45", b"~")  # fmt: skip
ENTITIES = b"<!DOCTYPE x [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;'><!ENTITY c '&b;&b;&b;&b;&b;&b;&b;&b;'>]>"
BINARY = frozenset({*SOUNDS, *PICTURES, "ngram", "checkpoint"})


def make_seeds(kind: str) -> list[Files]:
    """Valid inputs of a kind, always the same ones."""
    if kind in SOUNDS:
        return [{f"sound.{kind}": _sound(kind, channels, rate)} for channels, rate in ((1, 16_000), (2, 44_100))]
    if kind in PICTURES:
        return [{f"line.{kind}": _picture(PICTURES[kind], mode)} for mode in ("L", "RGB")]
    return {
        "inkml": _ink, "ondb": _whiteboard, "alto": _alto, "page": _page, "manifest": _manifest, "bundle": _bundles, "ngram": _ngrams,
        "arpa": _arpa, "lexicon": _lexicons, "text": _plain_texts, "config": _configs, "checkpoint": _checkpoint,
    }[kind]()  # fmt: skip


KINDS = (*SOUNDS, *PICTURES, "inkml", "ondb", "alto", "page", "manifest", "bundle", "ngram", "arpa", "lexicon", "text", "config", "checkpoint")


def _sound(kind: str, channels: int, rate: int) -> bytes:
    generator = np.random.default_rng(1)
    samples = 0.2 * np.sin(np.arange(rate // 3)[:, None] * 0.1) + 0.01 * generator.standard_normal((rate // 3, channels))
    file = io.BytesIO()
    container, coding = SOUNDS[kind]
    soundfile.write(file, samples, rate, format=container, subtype=coding)
    return file.getvalue()


def _picture(format: str, mode: str) -> bytes:
    image = Image.new("L", (160, 40), 240)
    ImageDraw.Draw(image).text((8, 8), "some words here", fill=20)
    file = io.BytesIO()
    image.convert(mode).save(file, format)
    return file.getvalue()


def _ink() -> list[Files]:
    points = ", ".join(f"{10 * i} {i * i % 37} {20 * i}" for i in range(60))
    differences = "10 20 0, '1 '2 '20, \"1 \"0 \"0" + ", 1 -1 0" * 20
    channels = '<channel name="X"/><channel name="Y" orientation="-ve"/><channel name="T" units="ms"/>'
    head = f'<annotation type="truth">some</annotation><traceFormat xml:id="f">{channels}</traceFormat><context xml:id="c" traceFormatRef="#f"/>'
    traces = f'<trace contextRef="#c">{points}</trace><trace timeOffset="9000">{differences}</trace>'
    text = f'<ink xmlns="http://www.w3.org/2003/InkML">{head}{traces}</ink>'
    return [{"trace.inkml": text.encode()}]


def _whiteboard() -> list[Files]:
    strokes = "".join("<Stroke>" + "".join(f'<Point x="{100 * n + i}" y="{i * i % 31}" time="{n + i / 50:.2f}"/>' for i in range(25)) + "</Stroke>"
        for n in range(4))  # fmt: skip
    return [{"trace.xml": f'<?xml version="1.0"?><WhiteboardCaptureSession><StrokeSet>{strokes}</StrokeSet></WhiteboardCaptureSession>'.encode()}]


def _scan() -> bytes:
    image = Image.new("L", (400, 220), 235)
    for row, text in enumerate(TEXTS[:3]):
        ImageDraw.Draw(image).text((20, 20 + 60 * row), text, fill=30)
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def _alto() -> list[Files]:
    lines = "".join(
        f'<TextLine ID="l{n}" HPOS="15" VPOS="{15 + 60 * n}" WIDTH="300" HEIGHT="30" BASELINE="15 {40 + 60 * n} 310 {44 + 60 * n}">'
        f'<Shape><Polygon POINTS="15,{12 + 60 * n} 320,{12 + 60 * n} 320,{50 + 60 * n} 15,{50 + 60 * n}"/></Shape>'
        f'<String CONTENT="{text}" WC="0.9" HPOS="15" VPOS="15" WIDTH="9" HEIGHT="9"/></TextLine>' for n, text in enumerate(TEXTS[:3]))  # fmt: skip
    picture = "<sourceImageInformation><fileName>scan.png</fileName></sourceImageInformation>"
    head = f"<Description><MeasurementUnit>pixel</MeasurementUnit>{picture}</Description>"
    layout = f'<Layout><Page WIDTH="400" HEIGHT="220"><PrintSpace>{lines}</PrintSpace></Page></Layout>'
    text = f'<alto xmlns="http://www.loc.gov/standards/alto/ns-v4#">{head}{layout}</alto>'
    return [{"scan.xml": text.encode(), "scan.png": _scan()}]


def _page() -> list[Files]:
    lines = "".join(
        f'<TextLine id="l{n}" custom="readingOrder {{index:{n};}}">'
        f'<Coords points="15,{12 + 60 * n} 320,{12 + 60 * n} 320,{50 + 60 * n} 15,{50 + 60 * n}"/>'
        f'<Baseline points="15,{40 + 60 * n} 310,{44 + 60 * n}"/><TextEquiv index="0" conf="0.5"><Unicode>{text}</Unicode></TextEquiv></TextLine>'
        for n, text in enumerate(TEXTS[:3]))  # fmt: skip
    order = '<ReadingOrder><OrderedGroup id="o"><RegionRefIndexed index="0" regionRef="r"/></OrderedGroup></ReadingOrder>'
    body = f'<Page imageFilename="scan.png" imageWidth="400" imageHeight="220">{order}<TextRegion id="r">{lines}</TextRegion></Page>'
    text = f'<PcGts xmlns="http://schema.primaresearch.org/PAGE/gts/pagecontent/2019-07-15">{body}</PcGts>'
    return [{"scan.xml": text.encode(), "scan.png": _scan()}]


def _manifest() -> list[Files]:
    records = [{"id": f"u{n}", "source": f"sound/{n}.wav", "text": text, "units": text.split(), "seconds": 1.5, "width": 40, "group": f"g{n % 2}",
        "meta": {"start": 1, "box": [1, 2, 3, 4], "split": "train"}} for n, text in enumerate(TEXTS)]  # fmt: skip
    return [{"all.jsonl": "".join(json.dumps(record) + "\n" for record in records).encode()}]


@cache
def _model_files() -> tuple[bytes, bytes, bytes]:
    """One n-gram model of characters as a plain and a compact binary file and as ARPA."""
    from recognizer.lm.binary import save_ngram
    from recognizer.lm.kneser_ney import estimate_ngram

    model = estimate_ngram([text for text in TEXTS for _ in range(3)], 3, "characters", log=lambda line: None)
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / name for name in ("plain.ngram", "compact.ngram", "model.arpa")]
        for path in paths:
            save_ngram(model, path, compact=path.stem == "compact")
        plain, compact, arpa = (path.read_bytes() for path in paths)
        return plain, compact, arpa


def _ngrams() -> list[Files]:
    return [{"model.ngram": data} for data in _model_files()[:2]]


def _arpa() -> list[Files]:
    return [{"model.arpa": _model_files()[2]}, {"model.arpa.gz": gzip.compress(_model_files()[2], mtime=0)}]


LEXICON = "".join(f"{word} {' '.join(word)}\n" for text in TEXTS for word in text.split() if word.isalpha())


def _lexicons() -> list[Files]:
    weighted = "".join(line.replace(" ", " 0.5 1.0 ", 1) for line in LEXICON.splitlines(keepends=True))
    packed = gzip.compress(LEXICON.encode(), mtime=0)
    return [{"lexicon.txt": LEXICON.encode()}, {"lexicon.txt": (";;; comment\n" + weighted).encode()}, {"lexicon.gz": packed}]


def _plain_texts() -> list[Files]:
    text = "\n".join((*TEXTS, "", *TEXTS)).encode()
    return [{"text.txt": text}, {"text.gz": gzip.compress(text, mtime=0)}]


def _configs() -> list[Files]:
    model = {"hidden_size": 16, "num_layers": 1, "frontend": {"kind": "stack", "frames": 3}}
    config = {"features": {"kind": "fbank", "num_mel_bins": 20}, "model": model,
        "trainer": {"learning_rate": 0.01, "epochs": 2}, "corpus": {"root": ".", "text": {"case": "lower", "drop": ".,"}}, "seed": 3,
        "augment": {"kind": "audio"}}  # fmt: skip
    return [{"config.yaml": yaml.safe_dump(config).encode()}]


def _checkpoint() -> list[Files]:
    import torch

    from recognizer.training.checkpoint import save_checkpoint

    with tempfile.TemporaryDirectory() as folder:
        save_checkpoint(Path(folder), {"step": 3, "weights": {"a": torch.arange(40.0)}, "seen": [1, 2, 3], "name": "run"})
        return [{name: (Path(folder) / name).read_bytes() for name in ("checkpoint.pt", "checkpoint.sha256")}]


def _bundles() -> list[Files]:
    import torch

    from recognizer.bundle.io import save_bundle
    from recognizer.config import RecognizerConfig
    from recognizer.config.schema import from_dict
    from recognizer.models.network import Network
    from recognizer.text.alphabet import Alphabet

    made: list[Files] = []
    model = {"num_layers": 1, "hidden_size": 6, "frontend": {"kind": "stack", "frames": 3}}
    files = {"lm.ngram": _model_files()[1], "lexicon.txt": LEXICON.encode()}
    decoder = {"kind": "beam", "beam_size": 4, "lm": "lm.ngram", "lm_weight": 0.5, "lexicon": "lexicon.txt"}
    for features in ({"kind": "fbank", "num_mel_bins": 10}, {"kind": "pixels", "height": 16}, {"kind": "strokes"}):
        torch.manual_seed(1)
        config = from_dict(RecognizerConfig, {"features": features, "model": model, "decoder": decoder})
        alphabet = Alphabet.of(TEXTS)
        with tempfile.TemporaryDirectory() as folder:
            for name, data in files.items():
                (Path(folder) / name).write_bytes(data)
            place = Path(folder) / "bundle"
            paths = {name: Path(folder) / name for name in files}
            save_bundle(place, config, alphabet, Network(config, len(alphabet)).state_dict(), "# card\n", paths)
            made.append({path.name: path.read_bytes() for path in sorted(place.iterdir())})
    return made


def damage(kind: str, files: Files, rng: random.Random) -> Files:
    """One to three mutations of the files of an input; checksums are made to fit again in half of all cases."""
    files = dict(files)
    names = list(files)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        name = names[0] if kind != "bundle" and rng.random() < 0.85 else rng.choice(names)
        binary = kind in BINARY or name.endswith((".png", ".gz", ".safetensors", ".ngram"))
        mutation: Callable[[bytes, random.Random], bytes] = rng.choice(BYTE_MUTATIONS if binary or rng.random() < 0.3 else TEXT_MUTATIONS)
        files[name] = mutation(files[name], rng)
    if rng.random() < 0.5:
        files = repair(kind, files)
    return files


def repair(kind: str, files: Files) -> Files:
    """The files with the checksums of what is in them now, as somebody would write them who means harm."""
    first = next(iter(files))
    if kind == "png":
        return files | {first: _repair_png(files[first])}
    if kind == "ogg":
        return files | {first: _repair_ogg(files[first])}
    if kind == "checkpoint":
        return files | {"checkpoint.sha256": hashlib.sha256(files[first]).hexdigest().encode() + b"\n"}
    if kind == "ngram":
        bare = re.sub(rb'("sha256": ")[0-9a-f]{64}', rb"\g<1>" + b"0" * 64, files[first][:4096], count=1) + files[first][4096:]
        digest = hashlib.sha256(bare[bare.find(b"\n") + 9 :]).hexdigest().encode()
        return files | {first: bare.replace(b"0" * 64, digest, 1)}
    if kind == "bundle":
        try:
            contents = json.loads(files["bundle.json"])
            contents["sha256"] = {name: hashlib.sha256(files[name]).hexdigest() if name in files else "" for name in contents["sha256"]}
            return files | {"bundle.json": json.dumps(contents).encode()}
        except (ValueError, TypeError, KeyError, RecursionError):
            return files
    return files


def _repair_png(data: bytes) -> bytes:
    made, place = bytearray(data), 8
    while place + 12 <= len(made):
        end = place + 8 + int.from_bytes(made[place : place + 4])
        if end + 4 > len(made):
            break
        made[end : end + 4] = zlib.crc32(made[place + 4 : end]).to_bytes(4)
        place = end + 4
    return bytes(made)


def _repair_ogg(data: bytes) -> bytes:
    pages = re.split(rb"(?=OggS)", data)
    for number, page in enumerate(pages):
        if len(page) > 27:
            pages[number] = page[:22] + _ogg_checksum(page[:22] + bytes(4) + page[26:]).to_bytes(4, "little") + page[26:]
    return b"".join(pages)


def _ogg_checksum(page: bytes) -> int:
    value = 0
    for byte in page:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1 ^ (0x04C11DB7 if value & 0x80000000 else 0)) & 0xFFFFFFFF
    return value


def _flip(data: bytes, rng: random.Random) -> bytes:
    made = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8, 64))):
        if made:
            made[_place(made, rng)] ^= 1 << rng.randrange(8)
    return bytes(made)


def _place(data: bytes | bytearray, rng: random.Random) -> int:
    """A place in the data, every other time in its header."""
    return rng.randrange(min(len(data), 256) if rng.random() < 0.5 else len(data))


def _cut(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def _splice(data: bytes, rng: random.Random) -> bytes:
    begin, end, place = *sorted(rng.randrange(len(data) + 1) for _ in range(2)), rng.randrange(len(data) + 1)
    return data[:place] + data[begin:end] * rng.choice((1, 1, 20)) + data[place + (end - begin) * rng.randrange(2) :]


def _remove(data: bytes, rng: random.Random) -> bytes:
    begin, end = sorted(rng.randrange(len(data) + 1) for _ in range(2))
    return data[:begin] + data[min(end, begin + 64) :]


def _set_field(data: bytes, rng: random.Random) -> bytes:
    """Another number in a field of 1 to 8 bytes."""
    size = rng.choice((1, 2, 4, 4, 8))
    value = (rng.choice(FIELDS) & (256**size - 1)).to_bytes(size, rng.choice(("little", "big")))
    place = _place(data, rng) if data else 0
    return data[:place] + value + data[place + size :]


def _append(data: bytes, rng: random.Random) -> bytes:
    return data + rng.choice((data, data[: len(data) // 2], rng.randbytes(64), bytes(4096)))


def _change_number(data: bytes, rng: random.Random) -> bytes:
    found = list(re.finditer(rb"-?\d+(\.\d*)?", data))
    if not found:
        return data
    one = rng.choice(found)
    return data[: one.start()] + rng.choice(NUMBERS) + data[one.end() :]


def _insert(data: bytes, rng: random.Random) -> bytes:
    """A piece of its own, at a boundary of words every other time."""
    places = [match.end() for match in re.finditer(rb"""[\s<>"'=:,\[{]""", data)] if rng.random() < 0.5 else []
    place = rng.choice(places) if places else rng.randrange(len(data) + 1)
    return data[:place] + rng.choice(PIECES) + data[place:]


def _change_lines(data: bytes, rng: random.Random) -> bytes:
    """Lines, or elements, that are doubled, missing or out of order."""
    parts = re.split(rb"(?<=[\n>])", data)
    one = rng.randrange(len(parts))
    match rng.randrange(4):
        case 0:
            parts[one : one + 1] *= rng.choice((2, 2, 300))
        case 1:
            del parts[one]
        case 2:
            rng.shuffle(parts)
        case _:
            parts[one] = parts[rng.randrange(len(parts))]
    return b"".join(parts)


def _swap_words(data: bytes, rng: random.Random) -> bytes:
    words = re.split(rb"""([\s<>"'=:,{}\[\]]+)""", data)
    one, other = rng.randrange(len(words)), rng.randrange(len(words))
    words[one], words[other] = words[other], words[one]
    return b"".join(words)


def _encode(data: bytes, rng: random.Random) -> bytes:
    """As another encoding, as gzip, or as a gzip file that unpacks to much more."""
    match rng.randrange(4):
        case 0:
            return data.decode("utf-8", "replace").encode("utf-16")
        case 1:
            return gzip.compress(data, mtime=0)
        case 2:
            return gzip.compress(data, mtime=0) + _bomb()
        case _:
            return ENTITIES + data.replace(b">", b">&c;", 1)


@cache
def _bomb() -> bytes:
    return gzip.compress(b"a b c " * 30_000_000, 9, mtime=0)


BYTE_MUTATIONS = (_flip, _flip, _cut, _splice, _remove, _set_field, _set_field, _append)
TEXT_MUTATIONS = (_change_number, _change_number, _insert, _insert, _change_lines, _swap_words, _encode)
