"""Bundles of adapted networks: the recognizer and, inside its folder, the second one that decides with it; where both come from."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from recognizer.bundle.convert import collect_files
from recognizer.bundle.io import CONTENTS, Bundle, load_bundle, save_bundle
from recognizer.bundle.provenance import ADAPTED, TRAINED_ON, Origin, Provenance
from recognizer.bundle.registry import PARTNER, find_partner, shipped_bundles
from recognizer.config import DecoderConfig
from recognizer.data.manifest import Item
from recognizer.errors import BundleError
from recognizer.text.alphabet import Alphabet


@dataclass(frozen=True)
class Adapted:
    """Weights of one network, and the alphabet that they write."""

    alphabet: Alphabet
    weights: Mapping[str, Tensor]


@dataclass(frozen=True)
class Lesson:
    """What goes into an adapted bundle besides weights.

    Attributes:
        train, held: items that were learnt, and those that chose among weights.
        decoder: settings of decoding, files by names within the bundle; ``files``: these files.
        card: text of the model card.
        origin: the bundle that all this started from.
    """

    train: Sequence[Item]
    held: Sequence[Item]
    decoder: DecoderConfig
    files: Mapping[str, Path] = field(default_factory=dict)
    card: str = ""
    origin: Origin | None = None


def write_adapted(folder: Path, parents: Sequence[Bundle], adapted: Sequence[Adapted], lesson: Lesson, scratch: Path) -> None:
    """Write a bundle of one or two adapted networks to ``folder``, which does not exist yet.

    Args:
        folder: of the first; the second lies in it.
        parents: what each network started from.
        adapted: as many weights.
        lesson: what else goes in.
        scratch: a folder for temporary files.

    Raises:
        BundleError: the disk is full or not writable.
    """
    for number, (parent, new) in enumerate(zip(parents, adapted, strict=True)):
        config, files = collect_files(parent)
        if number:
            config, files = replace(config, decoder=DecoderConfig()), {}
        else:
            config, files = replace(config, decoder=lesson.decoder), dict(lesson.files)
        provenance = (Provenance.load(parent.folder) or Provenance()) | Provenance.of(lesson.train, lesson.held)
        files[TRAINED_ON] = scratch / f"{number}.{TRAINED_ON}"
        provenance.save(files[TRAINED_ON])
        if lesson.origin is not None and not number:
            files[ADAPTED] = scratch / ADAPTED
            lesson.origin.save(files[ADAPTED])
        card = lesson.card if not number else f"# {PARTNER}\n\nDecides together with the bundle that this folder lies in.\n"
        save_bundle(folder / PARTNER if number else folder, config, new.alphabet, new.weights, card, files)


def decoder_files(bundle: Bundle, has_partner: bool) -> tuple[DecoderConfig, dict[str, Path]]:
    """The settings of a bundle's decoder for an adapted one, and the files that they name, by their names there."""
    config, files = collect_files(bundle)
    decoder, wanted = config.decoder, {}
    for name, path in files.items():
        if name in (config.decoder.lm, config.decoder.char_lm, config.decoder.lexicon, config.decoder.combine_lexicon):
            wanted[name] = path
    if decoder.partner is not None and has_partner:
        decoder = replace(decoder, combine_with=f"./{PARTNER}")
    elif decoder.partner is not None:
        decoder = replace(decoder, combine_with=None, combine_lexicon=None)
        wanted.pop(config.decoder.combine_lexicon or "", None)
    return decoder, wanted


def put_in_place(complete: Path, folder: Path) -> None:
    """Give a complete bundle its name; an older bundle there stays until then.

    Raises:
        BundleError: the disk is not writable.
    """
    old = folder.with_name(folder.name + ".replaced")  # where load_bundle looks for it, should the process be killed in between
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(old, ignore_errors=True)
        if folder.exists():
            folder.rename(old)
        complete.rename(folder)
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        if old.exists() and not folder.exists():
            with suppress(OSError):
                old.rename(folder)
        raise BundleError(f"{folder}: cannot write the bundle: {error.strerror}") from None


def check_output(folder: Path, bundle: Bundle, force: bool) -> None:
    """Refuse an output that would overwrite something.

    Raises:
        BundleError: it is the bundle that is read or one that ships, or something is there already and nobody said ``force``.
    """
    place = folder.resolve()
    read = {bundle.folder.resolve(), *(shipped.resolve() for shipped in shipped_bundles().values())}
    if place in read or any(place in known.parents or known in place.parents for known in read):
        raise BundleError(f"{folder}: the bundle that is read stays as it is; name another folder with -o")
    if folder.exists() and not folder.is_dir():
        raise BundleError(f"{folder}: is a file, not a folder; name another folder with -o")
    if folder.is_dir() and any(folder.iterdir()):
        if not (folder / CONTENTS).is_file():
            raise BundleError(f"{folder}: is not empty and not a bundle; name another folder with -o")
        if not force:
            raise BundleError(f"{folder}: is there already; name another folder with -o, or say --force to replace it")


def first_bundle(bundle: Bundle) -> tuple[Bundle, str]:
    """The bundle that an adapted one started from, and a line that says so.

    It is the bundle itself where that was not adapted (then the line is empty), or where the other cannot be found any more, or was changed.
    """
    origin = Origin.load(bundle.folder)
    if origin is None:
        return bundle, ""
    places = (shipped_bundles().get(origin.name), bundle.folder / origin.path, Path(origin.path))
    for place in places:
        if place is not None and (place / CONTENTS).is_file() and Origin.digest_of(place) == origin.digest:
            first, _ = first_bundle(load_bundle(place))
            note = f"{bundle.folder} was adapted from {origin.name}, from which this begins anew (--continue goes on from {bundle.folder} itself)"
            return first, note
    return bundle, f"{bundle.folder} was adapted from {origin.name}, not to be found as it was; this goes on from {bundle.folder} itself"


def partner_of(bundle: Bundle) -> Bundle | None:
    """The second recognizer that decides with a bundle's own, if there is one."""
    name = bundle.config.decoder.partner
    return None if name is None else load_bundle(find_partner(name, bundle.folder))


def describe_origin(bundle: Bundle, folder: Path, **figures: Any) -> Origin:
    """The origin of a bundle at ``folder`` that started from another."""
    try:
        path = Path(os.path.relpath(bundle.folder, folder)).as_posix()
    except ValueError:  # another drive
        path = str(bundle.folder.absolute())
    return Origin(bundle.folder.name, path, Origin.digest_of(bundle.folder), figures)
