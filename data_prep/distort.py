"""Copies of a manifest's items as they come in use, distorted in named ways; and items with nothing in them, whose text is empty.

For scoring a recogniser on phone photographs, telephone speech, blank paper or music: `recognizer prepare distorted DEV.jsonl data/distorted`
makes one manifest whose `meta.distortion` names the kind, so that `recognizer evaluate --report` and `--card` have a row for each. Take
development or test items: a copy has an id of its own, and is not known again as a training item.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from recognizer.data.manifest import Item, load_manifest
from recognizer.data_prep.line_distortions import LINE_KINDS, LineKind
from recognizer.data_prep.sound_distortions import RATE, SOUND_KINDS, SoundKind
from recognizer.data_prep.sound_writer import write_sound
from recognizer.errors import ConfigError, InputError, nearest

CORPUS = "distorted"
FIELD = "distortion"  # of meta; at most 20 kinds, so that reports make a table of it
UNCHANGED = "unchanged"  # the item itself, to compare with
ITEMS = 100
CROWD = 24  # recordings that babble is made of
MP3_COMPRESSION = 0.9  # 0..1 of libsndfile; about 24 kbit/s at 16 kHz


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the kinds of distortion and how many items."""
    known = ", ".join([UNCHANGED, *LINE_KINDS, *SOUND_KINDS])
    parser.add_argument("--kind", action="append", metavar="NAME", help=f"a distortion; repeatable (default: all that fit; {known})")
    parser.add_argument("--items", type=int, default=ITEMS, help=f"how many items get each distortion, spread over the manifest (default {ITEMS})")


def read(source: Path, options: argparse.Namespace) -> Iterator[Item]:
    """Distort items of the manifest ``source`` into ``options.made/KIND``, line images as PNG, recordings as FLAC, WAV or MP3.

    Raises:
        ConfigError: a kind that is not known, or a number of items below 1.
        ManifestError: the manifest cannot be read.
    """
    from recognizer.features.audio_file import AUDIO_SUFFIXES
    from recognizer.features.image_file import IMAGE_SUFFIXES

    kinds = _choose(options.kind)
    if options.items < 1:
        raise ConfigError(f"--items {options.items}: must be 1 or more")
    everything = load_manifest(source)
    items = [everything[n] for n in np.unique(np.linspace(0, len(everything) - 1, options.items).round().astype(int))]
    crowd = _gather_crowd(everything) if any(name in SOUND_KINDS and SOUND_KINDS[name].crowded for name in kinds) else []
    folder = options.made
    for number, item in enumerate(items):
        suffix = item.source.suffix.lower()
        try:
            if suffix in IMAGE_SUFFIXES:
                yield from _distort_line(item, number, kinds, folder, options.seed)
            elif suffix in AUDIO_SUFFIXES:
                yield from _distort_sound(item, number, kinds, folder, options.seed, crowd)
            else:
                raise InputError(f"{item.source}: is neither a line image nor a recording; only these are distorted")
        except InputError as error:
            options.drop(error)


def _choose(names: Sequence[str] | None) -> list[str]:
    known = [UNCHANGED, *LINE_KINDS, *SOUND_KINDS]
    for name in names or []:
        if name not in known:
            raise ConfigError(f"--kind {name}: no such distortion{nearest(name, known)} (there are {', '.join(known)})")
    return [name for name in known if names is None or name in names]


def _distort_line(item: Item, number: int, kinds: Sequence[str], folder: Path, seed: int) -> Iterator[Item]:
    from recognizer.features.chance import item_generator
    from recognizer.features.image_file import load_image

    grey = load_image(item.source)
    for name in kinds:
        if name == UNCHANGED:
            yield _copy(item, name, folder, item.source)
        elif name in LINE_KINDS:
            path = _place(folder, name, number, ".png")
            LINE_KINDS[name].change(grey, item_generator(seed, 0, item.id, name)).save(path)
            yield _copy(item, name, folder, path, LINE_KINDS[name])


def _distort_sound(
    item: Item, number: int, kinds: Sequence[str], folder: Path, seed: int, crowd: Sequence[tuple[Item, np.ndarray]]
) -> Iterator[Item]:
    from recognizer.features.audio_file import load_audio
    from recognizer.features.chance import item_generator

    samples = load_audio(item.source, RATE)
    others = [voice for other, voice in crowd if other.id != item.id and (other.group is None or other.group != item.group)]
    for name in kinds:
        if name == UNCHANGED:
            yield _copy(item, name, folder, item.source)
        elif name in SOUND_KINDS:
            kind = SOUND_KINDS[name]
            if kind.crowded and not others:
                raise InputError(f"{item.source}: {name} needs recordings of other speakers, and the manifest has none")
            path = _place(folder, name, number, kind.suffix)
            _write_sound(path, *kind.change(samples, item_generator(seed, 0, item.id, name), others))
            yield _copy(item, name, folder, path, kind)


def _gather_crowd(items: Sequence[Item]) -> list[tuple[Item, np.ndarray]]:
    """Recordings of different speakers, spread over the manifest; those that cannot be read are named when their own turn comes."""
    from recognizer.features.audio_file import AUDIO_SUFFIXES, load_audio

    speakers = {item.group or item.id: item for item in items if item.source.suffix.lower() in AUDIO_SUFFIXES}
    chosen = list(speakers.values())[:: max(1, len(speakers) // CROWD)][:CROWD]
    crowd = []
    for item in chosen:
        try:
            crowd.append((item, load_audio(item.source, RATE)))
        except InputError:
            continue
    return crowd


def _place(folder: Path, kind: str, number: int, suffix: str) -> Path:
    (folder / kind).mkdir(parents=True, exist_ok=True)
    return (folder / kind / f"{number:06d}{suffix}").absolute()


def _write_sound(path: Path, samples: np.ndarray, rate: int) -> None:
    import soundfile

    if path.suffix == ".mp3":
        soundfile.write(path, samples, rate, compression_level=MP3_COMPRESSION)
    else:
        write_sound(path, samples, rate)


def _copy(item: Item, name: str, folder: Path, path: Path, kind: LineKind | SoundKind | None = None) -> Item:
    """The item under another id, said by nobody where nothing is left in it."""
    named = f"{folder.name}/{item.id}/{name}"
    if kind is not None and kind.blank:
        return Item(named, path, text=None if item.text is None else "", units=None if item.units is None else (), meta={"empty": True, FIELD: name})
    seconds, width = (item.seconds, item.width) if path == item.source else (None, None)
    meta = {key: value for key, value in item.meta.items() if key != "split"}  # a split of its own would part the copies again
    return replace(item, id=named, source=path, seconds=seconds, width=width, meta={**meta, FIELD: name})
