"""From a corpus as it is distributed to manifests: read it, measure it, split it, write and count what there is."""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import re
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn, Protocol, cast

from recognizer.config.schema import require
from recognizer.data.made_files import MadeFiles
from recognizer.data.manifest import Item, load_manifest, save_manifests
from recognizer.data.shards import write_shards
from recognizer.data.split import SPLITS, SplitPlan, divide
from recognizer.errors import ConfigError, InputError, ManifestError, OutputError, nearest
from recognizer.text.alphabet import split as split_symbols
from recognizer.text.lexicon import load_lexicon, pronounce

PACKAGE = "recognizer.data_prep"

Drop = Callable[[InputError], None]  # is told of every file or line that is left out
Note = Callable[[str], None]  # is told remarks


class Corpus(Protocol):
    """What a module of :mod:`recognizer.data_prep` defines; one without ``CORPUS`` is a helper of others.

    ``read`` gives items with absolute sources, in an order that does not depend on the file system. An item with ``meta["split"]``
    goes into that split; "train", or none, is what a user may divide further. Its options are those of ``add_arguments`` (none may
    be required) and ``drop``, ``note``, ``seed`` and ``made``: the folder for files that the reader makes, named after the manifest
    or else after the corpus. Ids of generated items begin with that name, so that several such sets can be trained on together. A
    module with ``NEEDS_SOURCE = False`` generates all its items: the user gives no source, and ``read`` gets ``out`` in its place. With
    ``TAKES_NAMES = True`` the source may be a name instead of a file or folder, which ``read`` then gets as it is.
    """

    CORPUS: str
    __doc__: str | None

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the options that only this corpus has."""

    def read(self, source: Path, options: argparse.Namespace) -> Iterator[Item]:
        """Read the corpus at ``source``; a :class:`~recognizer.errors.RecognizerError` raised here ends the preparation."""


@dataclass(frozen=True)
class Counts:
    """What one manifest holds."""

    items: int
    groups: int  # speakers or writers; an item without one is not counted
    seconds: float | None  # of all recordings; None for images
    characters: int  # different ones in the texts
    units: int  # different ones


def corpora() -> dict[str, Corpus]:
    """The corpora that can be prepared, by name: every module of :mod:`recognizer.data_prep` that has an attribute ``CORPUS``."""
    package = importlib.import_module(PACKAGE)
    modules = (importlib.import_module(f"{PACKAGE}.{module.name}") for module in pkgutil.iter_modules(package.__path__))
    return {module.CORPUS: cast(Corpus, module) for module in modules if hasattr(module, "CORPUS")}


def needs_source(corpus: Corpus) -> bool:
    """Whether the corpus is read from files rather than generated."""
    return bool(getattr(corpus, "NEEDS_SOURCE", True))


def unknown_corpus(name: str, known: Iterable[str]) -> str:
    """The message that no corpus has this name, with the nearest name and all there are."""
    return f"no corpus is called {name!r}{nearest(name, known)} (there are {', '.join(sorted(known))})"


def prepare(
    corpus: str,
    source: str | Path | None,
    out: str | Path,
    *,
    dev: float = 0.0,
    test: float = 0.0,
    dev_every: int = 0,
    seed: int = 1,
    name: str | None = None,
    lexicon: str | Path | None = None,
    shards: float = 0.0,
    drop: Drop | None = None,
    note: Note | None = None,
    **options: Any,
) -> dict[str, Counts]:
    """Read a corpus and write ``train.jsonl``, ``dev.jsonl`` and ``test.jsonl`` (``all.jsonl`` where nothing is divided) into ``out``.

    Args:
        corpus: a key of :func:`corpora`.
        source: where the corpus is, None for one that is generated; ``out``: a folder, created if it does not exist.
        dev, test, dev_every, seed, name: see :class:`~recognizer.data.split.SplitPlan`.
        lexicon: pronouncing dictionary (:func:`~recognizer.text.lexicon.load_lexicon`) by which texts without units get phones;
            one with a word that it lacks gets none.
        shards: > 0: copy the files into tar archives of so many MiB (:mod:`recognizer.data.shards`).
        drop: is told of every file or line left out; ``note``: is told remarks. By default both are printed to standard error.
        options: of the corpus, spelled as on the command line with underscores; repeatable ones take a list.

    Raises:
        ConfigError: no such corpus or option, a wrong value, or too few groups for the splits.
        InputError: the source does not exist or not one item could be read.
        ManifestError: two splits or ids cannot be told apart.
    """
    known = corpora()
    if corpus not in known:
        raise ConfigError(unknown_corpus(corpus, known))
    parsed = _parse_options(known[corpus], options)
    parsed.lexicon, parsed.shards = lexicon, shards
    plan = SplitPlan(dev, test, dev_every, seed, name)
    return prepare_corpus(known[corpus], None if source is None else Path(source), Path(out), plan, parsed, drop or print_dropped, note or print_note)


def prepare_corpus(
    corpus: Corpus, source: Path | None, out: Path, plan: SplitPlan, options: argparse.Namespace, drop: Drop, note: Note
) -> dict[str, Counts]:
    """Do what :func:`prepare` does with ``options`` that are parsed already: those of the corpus, ``lexicon`` and ``shards``."""
    if plan.name is not None:
        _check_name(plan.name)  # before anything is written to a folder of this name
    require(options.shards >= 0, "shards", "is the size of an archive in MiB; it cannot be negative")
    if not needs_source(corpus):
        if source is not None:
            raise ConfigError(f"the corpus '{corpus.CORPUS}' is generated; leave its source out")
        source = out.absolute()
    elif source is None:
        raise ConfigError(f"the corpus '{corpus.CORPUS}' needs a source")
    elif source.exists() or not getattr(corpus, "TAKES_NAMES", False):
        if not source.exists():
            raise InputError(f"{source}: no such file or folder")
        source = source.absolute()

    def drop_item(error: InputError) -> None:
        if isinstance(error, OutputError):  # a full disk is no fault of the item: the next would fail as well
            raise error
        drop(error)

    with MadeFiles(out.absolute(), plan.name or corpus.CORPUS) as made:
        options = argparse.Namespace(**{**vars(options), "made": made.partial, "seed": plan.seed, "drop": drop_item, "note": note})
        options.drop, options.note = (lambda error: drop_item(made.name_places(error))), (lambda text: note(made.name_place(text)))
        found = _unique(corpus.read(source, options), options.drop)
        if options.lexicon is not None:
            found = _pronounce_items(found, options.lexicon, options.note)
        items = measure(list(found), options.drop)
        if not items:
            raise InputError(f"{source}: not one usable item found; is this a corpus of the kind '{corpus.CORPUS}'?")
        parts = divide(items, plan)
        for name in parts:
            _check_name(name)
        if options.shards:
            parts = {name: write_shards(part, made.partial, name, options.shards, plan.seed, options.drop) for name, part in parts.items()}
            made.keep_only({item.source.parent for part in parts.values() for item in part})
        parts = {name: [made.place_item(item) for item in part] for name, part in parts.items()}
        alone = sum(item.group is None for item in items)
        if alone and len(parts) > 1:
            note(f"{alone} of {len(items)} items have no group (speaker or writer); each was assigned by itself")
        _note_shared_groups(parts, out, note)
        save_manifests({out / f"{name}.jsonl": part for name, part in parts.items()}, made.place)
    if plan.name is None and "dev" not in parts and not (out / "dev.jsonl").exists():
        note(f"no {out / 'dev.jsonl'} is written; training needs one beside train.jsonl: --dev 0.1 holds out a tenth of the groups for it")
    return {name: count_items(part) for name, part in parts.items()}


def measure(items: Sequence[Item], drop: Drop, threads: int = 8) -> list[Item]:
    """Fill in ``seconds`` of recordings and pen traces and ``width`` of images where they are missing; other files are left alone.

    Recordings and images are measured by their headers; a trace is read, and may state no times.

    Args:
        items: their order is kept.
        drop: is told of every file that cannot be read; its item is left out.
        threads: how many files are read at a time.
    """
    from recognizer.audio.io import AUDIO_SUFFIXES, audio_seconds
    from recognizer.image.io import IMAGE_SUFFIXES, image_size
    from recognizer.strokes.io import STROKE_SUFFIXES, load_trace

    def fill(item: Item) -> Item | InputError:
        suffix = item.source.suffix.lower()
        try:
            if item.seconds is None and suffix in AUDIO_SUFFIXES:
                return replace(item, seconds=round(audio_seconds(item.source), 4))
            if item.width is None and suffix in IMAGE_SUFFIXES:
                return replace(item, width=image_size(item.source)[0])
            if item.seconds is None and suffix in STROKE_SUFFIXES:
                seconds = load_trace(item.source).seconds
                return item if seconds is None else replace(item, seconds=round(seconds, 4))
        except InputError as error:
            return error
        return item

    measured: list[Item] = []
    with ThreadPoolExecutor(threads) as pool:
        for result in pool.map(fill, items):
            if isinstance(result, InputError):
                drop(result)
            else:
                measured.append(result)
    return measured


def count_items(items: Sequence[Item]) -> Counts:
    """Count items, groups, time and different symbols."""
    seconds = [item.seconds for item in items if item.seconds is not None]
    characters = {symbol for item in items for symbol in split_symbols(item.text or "", "characters")}
    units = {unit for item in items for unit in item.units or ()}
    groups = {item.group for item in items if item.group is not None}
    return Counts(len(items), len(groups), sum(seconds) if seconds else None, len(characters), len(units))


def print_dropped(error: InputError) -> None:
    """Print to standard error what is left out and why."""
    print(f"dropped: {error}", file=sys.stderr)


def print_note(text: str) -> None:
    """Print a remark to standard error."""
    print(f"note: {text}", file=sys.stderr)


def _check_name(name: str) -> None:
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise ManifestError(f"{name!r} cannot be the name of a manifest: use letters, digits, '-' and '_'")


def _unique(items: Iterable[Item], drop: Drop) -> Iterator[Item]:
    seen: dict[str, Path] = {}
    for item in items:
        if item.id in seen:
            drop(InputError(f"{item.source}: its id {item.id!r} is already that of {seen[item.id]}"))
        else:
            seen[item.id] = item.source
            yield item


def _pronounce_items(items: Iterable[Item], path: str | Path, note: Note) -> Iterator[Item]:
    """Texts with their phones; one of whose words the lexicon lacks stays without, for training on characters."""
    lexicon = load_lexicon(path)
    for item in items:
        try:
            yield item if item.units is not None or item.text is None else replace(item, units=pronounce(item.text, lexicon))
        except InputError as error:
            note(f"{item.source}: has no phones: {error}")
            yield item


def _note_shared_groups(parts: dict[str, list[Item]], out: Path, note: Note) -> None:
    """Note speakers or writers that are in two manifests of the folder, manifests of earlier runs included."""
    manifests: dict[str, Sequence[Item]] = dict(parts)
    for name in SPLITS:
        path = out / f"{name}.jsonl"
        if name not in parts and path.exists():
            try:
                manifests[name] = load_manifest(path)
            except ManifestError as error:
                note(f"left as it is: {error}")
    places: dict[str, set[str]] = defaultdict(set)
    for name, items in manifests.items():
        for item in items:
            if item.group is not None:
                places[item.group].add(name)
    shared = sorted(group for group, names in places.items() if len(names) > 1)
    if shared:
        example = " and ".join(f"{name}.jsonl" for name in sorted(places[shared[0]]))
        note(f"{len(shared)} group{'s' * (len(shared) != 1)} in more than one manifest of {out}: {shared[0]!r}, for one, is in {example}")


class _OptionParser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ConfigError(message)


def _parse_options(corpus: Corpus, options: dict[str, Any]) -> argparse.Namespace:
    """Check the options of a Python call as the command line would."""
    parser = _OptionParser(add_help=False, allow_abbrev=False)
    corpus.add_arguments(parser)
    known = vars(parser.parse_args([]))
    words: list[str] = []
    for key, value in options.items():
        if key not in known:
            raise ConfigError(f"{key}: the corpus '{corpus.CORPUS}' has no such option{nearest(key, known)}")
        flag = "--" + key.replace("_", "-")
        if value is True:
            words.append(flag)
        elif value is not None and value is not False:
            words += [f"{flag}={v}" for v in (value if isinstance(value, (list, tuple)) else [value])]
    return parser.parse_args(words)
