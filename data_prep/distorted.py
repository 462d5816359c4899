"""Copies of a manifest's items as they come in use, distorted in named ways; and items with nothing in them, whose text is empty.

For scoring a recognizer on phone photographs, telephone speech, blank paper or music: `recognizer prepare distorted DEV.jsonl data/distorted`
makes one manifest whose `meta.distortion` names the kind, so that `recognizer evaluate --report` and `--card` have a row for each. Take
development or test items: a copy has an id of its own, and is not known again as a training item.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np

from recognizer.data.manifest import Item, load_manifest
from recognizer.data_prep.common import write_picture
from recognizer.data_prep.distorted_lines import LINE_KINDS, LineKind
from recognizer.data_prep.no_speech import KINDS as NO_SPEECH
from recognizer.data_prep.sound import fit_range, root_mean_square, set_level, write_sound
from recognizer.errors import ConfigError, InputError, nearest
from recognizer.utils.files import write_bytes
from recognizer.utils.seeding import item_rng

CORPUS = "distorted"
FIELD = "distortion"  # of meta; at most 20 kinds, so that reports make a table of it
UNCHANGED = "unchanged"  # the item itself, to compare with
ITEMS = 100
RATE = 16_000  # Hz, of what is read
MAX_VOICES = 24  # recordings of other people that are kept for babble
BABBLE_VOICES = 6  # that speak at once
TELEPHONE_RATE = 8000  # Hz
TELEPHONE_BAND = (300.0, 3400.0)  # Hz, of a line by ITU-T G.120
QUIET_DB = -40.0
OVERDRIVE_DB = 20.0  # above full scale, where the peaks are cut off
REVERB_SECONDS = 0.6  # in which the echo of a room falls by 60 dB; a living room with bare walls
DIRECT_DB = 0.0  # of the direct sound above the echo; a speaker two meters from the microphone
PADDING = 0.5  # seconds of digital silence on either side
MP3_COMPRESSION = 0.9  # 0..1 of libsndfile; about 24 kbit/s at 16 kHz

Sound = tuple[np.ndarray, int]  # samples and their rate


@dataclass(frozen=True)
class SoundKind:
    """One distortion of recordings.

    ``change`` takes samples (N,) float32 at 16 kHz, a generator that decides everything, and recordings of other people (where ``needs_others``).
    """

    change: Callable[[np.ndarray, np.random.Generator, Sequence[np.ndarray]], Sound]
    blank: bool = False  # whether no speech is left
    needs_others: bool = False
    suffix: str = ".flac"


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
    from recognizer.audio.io import AUDIO_SUFFIXES, load_audio
    from recognizer.image.io import IMAGE_SUFFIXES, load_image

    known = [UNCHANGED, *LINE_KINDS, *SOUND_KINDS]
    for name in options.kind or []:
        if name not in known:
            raise ConfigError(f"--kind {name}: no such distortion{nearest(name, known)} (there are {', '.join(known)})")
    if options.items < 1:
        raise ConfigError(f"--items {options.items}: must be 1 or more")
    wanted = [name for name in known if options.kind is None or name in options.kind]
    everything = load_manifest(source)
    items = [everything[n] for n in np.unique(np.linspace(0, len(everything) - 1, options.items).round().astype(int))]
    voices = _load_voices(everything) if any(name in SOUND_KINDS and SOUND_KINDS[name].needs_others for name in wanted) else []
    for number, item in enumerate(items):
        suffix = item.source.suffix.lower()
        try:
            content: np.ndarray  # gray levels (H, W) or samples (N,)
            kinds: dict[str, LineKind] | dict[str, SoundKind]
            if suffix in IMAGE_SUFFIXES:
                content, kinds, others = load_image(item.source), LINE_KINDS, []
            elif suffix in AUDIO_SUFFIXES:
                content, kinds = load_audio(item.source, RATE), SOUND_KINDS
                others = [voice for other, voice in voices if other.id != item.id and (other.group is None or other.group != item.group)]
            else:
                raise InputError(f"{item.source}: is neither a line image nor a recording; only these are distorted")
            for name in wanted:
                if name == UNCHANGED:
                    yield _copy(item, name, options.made, item.source)
                elif name in kinds:
                    kind, rng = kinds[name], item_rng(options.seed, 0, item.id, name)
                    path = (options.made / name / f"{number:06d}{kind.suffix}").absolute()
                    path.parent.mkdir(parents=True, exist_ok=True)
                    if isinstance(kind, LineKind):
                        write_picture(path, kind.change(content, rng))
                    elif kind.needs_others and not others:
                        raise InputError(f"{item.source}: {name} needs recordings of other speakers, and the manifest has none")
                    else:
                        _write_sound(path, *kind.change(content, rng, others))
                    yield _copy(item, name, options.made, path, kind.blank)
        except InputError as error:
            options.drop(error)


def _load_voices(items: Sequence[Item]) -> list[tuple[Item, np.ndarray]]:
    """Recordings of different speakers, spread over the manifest; those that cannot be read are named when their own turn comes."""
    from recognizer.audio.io import AUDIO_SUFFIXES, load_audio

    speakers = list({item.group or item.id: item for item in items if item.source.suffix.lower() in AUDIO_SUFFIXES}.values())
    voices = []
    for item in speakers[:: max(1, len(speakers) // MAX_VOICES)][:MAX_VOICES]:
        try:
            voices.append((item, load_audio(item.source, RATE)))
        except InputError:
            continue
    return voices


def _write_sound(path: Path, samples: np.ndarray, rate: int) -> None:
    if path.suffix == ".mp3":
        import soundfile

        buffer = BytesIO()
        soundfile.write(buffer, samples, rate, format="MP3", compression_level=MP3_COMPRESSION)
        write_bytes(path, buffer.getvalue())
    else:
        write_sound(path, samples, rate)


def _copy(item: Item, name: str, folder: Path, path: Path, blank: bool = False) -> Item:
    """The item under another id; without a speaker or writer where nothing is left in it."""
    id = f"{folder.name}/{item.id}/{name}"
    if blank:
        return Item(id, path, text=None if item.text is None else "", units=None if item.units is None else (), meta={"empty": True, FIELD: name})
    seconds, width = (item.seconds, item.width) if path == item.source else (None, None)
    meta = {key: value for key, value in item.meta.items() if key != "split"}  # a split of its own would part the copies again
    return replace(item, id=id, source=path, seconds=seconds, width=width, meta={**meta, FIELD: name})


def call_by_telephone(samples: np.ndarray, rng: np.random.Generator, others: Sequence[np.ndarray]) -> Sound:
    """Speak over a telephone: 300 to 3400 Hz, 8 kHz, 8 bits on the logarithmic scale of G.711."""
    import soxr

    from recognizer.audio.augment import pass_telephone

    return pass_telephone(soxr.resample(samples, RATE, TELEPHONE_RATE), TELEPHONE_RATE, *TELEPHONE_BAND, mu_law=True), TELEPHONE_RATE


def add_white_noise(samples: np.ndarray, rng: np.random.Generator, others: Sequence[np.ndarray], snr_db: float) -> Sound:
    """White noise, its power ``snr_db`` below that of the whole recording."""
    from recognizer.audio.augment import add_noise

    return fit_range(add_noise(samples, snr_db, 0.0, rng)), RATE


def add_babble(samples: np.ndarray, rng: np.random.Generator, others: Sequence[np.ndarray], snr_db: float) -> Sound:
    """Other people who speak at once, each as loud as the next, their power together ``snr_db`` below that of the recording."""
    babble = np.zeros(len(samples))
    for number in rng.permutation(len(others))[:BABBLE_VOICES]:
        voice = np.asarray(others[number], float)
        babble += np.resize(np.roll(voice, int(rng.integers(len(voice)))), len(samples)) / max(root_mean_square(voice), 1e-6)
    level = root_mean_square(samples) * 10 ** (-snr_db / 20) / max(root_mean_square(babble), 1e-9)
    return fit_range(samples + babble * level), RATE


def record_quietly(samples: np.ndarray, rng: np.random.Generator, others: Sequence[np.ndarray]) -> Sound:
    """Record at a hundredth of the level; what is left are the upper bits of 16."""
    return samples * 10 ** (QUIET_DB / 20), RATE


def clip_peaks(samples: np.ndarray, rng: np.random.Generator, others: Sequence[np.ndarray]) -> Sound:
    """Record far too loud: the peaks are cut off."""
    return np.clip(samples / max(float(np.abs(samples).max()), 1e-6) * 10 ** (OVERDRIVE_DB / 20), -1, 1), RATE


def reverberate(samples: np.ndarray, rng: np.random.Generator, others: Sequence[np.ndarray]) -> Sound:
    """Speak across a room with bare walls."""
    from recognizer.audio.augment import add_reverb

    return fit_range(add_reverb(samples, RATE, REVERB_SECONDS, DIRECT_DB, rng)), RATE


def pad(samples: np.ndarray, rng: np.random.Generator, others: Sequence[np.ndarray]) -> Sound:
    """Digital silence before and behind, as coders and editors leave it."""
    return np.pad(samples, round(PADDING * RATE)), RATE


def replace_speech(samples: np.ndarray, rng: np.random.Generator, others: Sequence[np.ndarray], kind: str, level_db: float) -> Sound:
    """A recording as long in which nobody speaks, of a kind of :mod:`recognizer.data_prep.no_speech`."""
    return fit_range(set_level(NO_SPEECH[kind](len(samples), RATE, rng), level_db)), RATE


SOUND_KINDS: dict[str, SoundKind] = {
    "telephone": SoundKind(call_by_telephone, suffix=".wav"),
    **{f"noise-{snr}-db": SoundKind(partial(add_white_noise, snr_db=snr)) for snr in (20, 10, 5)},
    **{f"babble-{snr}-db": SoundKind(partial(add_babble, snr_db=snr), needs_others=True) for snr in (20, 10, 5)},
    "quiet": SoundKind(record_quietly),
    "clipped": SoundKind(clip_peaks),
    "room": SoundKind(reverberate),
    "mp3": SoundKind(lambda samples, rng, others: (samples, RATE), suffix=".mp3"),
    "padded": SoundKind(pad),
    "silence": SoundKind(partial(replace_speech, kind="silence", level_db=0.0), blank=True),
    "faint-noise": SoundKind(partial(replace_speech, kind="noise", level_db=-60.0), blank=True),
    "hum": SoundKind(partial(replace_speech, kind="hum", level_db=-30.0), blank=True),
    "music": SoundKind(partial(replace_speech, kind="music", level_db=-20.0), blank=True),
}
