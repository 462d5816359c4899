"""From a corpus as it is distributed to manifests, with counts."""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import re
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn, Protocol, cast

from recognizer.alphabet import split as split_symbols
from recognizer.data.manifest import Item, load_manifest, save_manifest
from recognizer.data.measurement import measure
from recognizer.data.split import SplitPlan, divide
from recognizer.errors import ConfigError, InputError, ManifestError, RecognizerError, nearest
from recognizer.lexicon import Pronunciations, load_lexicon, pronounce

PACKAGE = "recognizer.data_prep"
STANDARD = ("train", "dev", "test")


class Corpus(Protocol):
    """What a module of :mod:`recognizer.data_prep` defines; one without ``CORPUS`` is a helper of others.

    The options that ``read`` gets are those of ``add_arguments`` (none may be required) and besides: ``made``, the folder for files
    that a reader makes, named after the manifest that is asked for or else after the corpus (ids of what is made of nothing but
    text or pieces begin with this name, so that several such sets lie in one folder and are trained on together); ``seed``;
    ``drop(InputError)``, to be called for every file or line left out; ``note(str)``, for remarks. Items are read in an order that
    does not depend on the file system, with absolute sources. An item with ``meta["split"]`` goes into that split; "train", or none,
    is what a user may divide further. A module with ``NEEDS_SOURCE = False`` makes its items of nothing: no source is asked for,
    and ``read`` is given ``out`` in its place.
    """

    CORPUS: str
    __doc__: str | None

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the options that only this corpus has."""

    def read(self, source: Path, options: argparse.Namespace) -> Iterator[Item]:
        """Read the corpus at ``source``; a :class:`RecognizerError` raised here ends the preparation."""


@dataclass(frozen=True)
class Counts:
    """What one manifest holds."""

    items: int
    groups: int  # speakers or writers; an item without one is not counted
    seconds: float | None  # of all recordings; None for images
    characters: int  # different ones in the texts
    units: int  # different ones


def corpora() -> dict[str, Corpus]:
    """The corpora that can be prepared, by name: every module of the package that has an attribute ``CORPUS``."""
    package = importlib.import_module(PACKAGE)
    modules = (importlib.import_module(f"{PACKAGE}.{module.name}") for module in pkgutil.iter_modules(package.__path__))
    return {module.CORPUS: cast(Corpus, module) for module in modules if hasattr(module, "CORPUS")}


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
    drop: Callable[[InputError], None] | None = None,
    note: Callable[[str], None] | None = None,
    **options: Any,
) -> dict[str, Counts]:
    """Read a corpus and write ``train.jsonl``, ``dev.jsonl`` and ``test.jsonl`` (``all.jsonl`` where nothing is divided) into ``out``.

    Args:
        corpus: a key of :func:`corpora`.
        source: where the corpus lies, None for one that is made of nothing; ``out``: a folder, made if need be.
        dev, test, dev_every, seed, name: see :class:`~recognizer.data.split.SplitPlan`.
        lexicon: pronouncing dictionary (:func:`~recognizer.lexicon.load_lexicon`) by which texts without units get phones.
        drop: told of every file or line left out; by default they are named on stderr.
        note: told remarks; by default they go to stderr.
        options: of the corpus, spelt as on the command line with underscores; repeatable ones take a list.

    Raises:
        ConfigError: no such corpus or option, a wrong value, or too few groups for the splits.
        InputError: the source does not exist or not one item could be read.
        ManifestError: two splits or ids cannot be told apart.
    """
    known = corpora()
    if corpus not in known:
        raise ConfigError(_unknown(corpus, known))
    plan = SplitPlan(dev, test, dev_every, seed, name)
    parsed = _parse_options(known[corpus], options)
    parsed.lexicon = Path(lexicon) if lexicon is not None else None
    source = Path(source) if source is not None else None
    return _prepare(known[corpus], source, Path(out), plan, parsed, drop or _complain, note or _remark)


def add_prepare_arguments(parser: argparse.ArgumentParser) -> None:
    """Add one subcommand a corpus: ``NAME SOURCE OUT`` (``NAME OUT`` without a source), the options of splitting and those of the corpus."""
    choices = parser.add_subparsers(dest="corpus", required=True, metavar="CORPUS", action=_CorpusAction)
    for name, module in sorted(corpora().items()):
        description = (module.__doc__ or "").strip()
        sub = choices.add_parser(name, help=description.split("\n")[0], description=description)
        if _needs_source(module):
            sub.add_argument("source", metavar="SOURCE", type=Path, help="the corpus as distributed")
        else:
            sub.set_defaults(source=None)
        sub.add_argument("out", metavar="OUT", type=Path, help="folder for the manifests")
        splits = sub.add_argument_group("splits (always whole speakers or writers)")
        splits.add_argument("--dev", type=float, default=0.0, metavar="SHARE", help="share of the items for dev.jsonl")
        splits.add_argument("--test", type=float, default=0.0, metavar="SHARE", help="share of the items for test.jsonl")
        splits.add_argument("--dev-every", type=int, default=0, metavar="N", help="every N-th group in sorted order for dev.jsonl")
        splits.add_argument("--seed", type=int, default=1, help="another seed, another split (default 1)")
        splits.add_argument("--name", metavar="NAME", help="write everything to NAME.jsonl, and files that are made to the folder NAME")
        sub.add_argument("--lexicon", type=Path, metavar="FILE", help="pronouncing dictionary; texts without units get their phones from it")
        module.add_arguments(sub)
    choices.choices = None  # type: ignore[assignment]  # unknown names come to _CorpusAction, which knows better what to say than argparse


def run_prepare(arguments: argparse.Namespace) -> int:
    """Carry out what :func:`add_prepare_arguments` parsed: counts on stdout, notes on stderr; 1 if anything was left out.

    Raises:
        RecognizerError: as :func:`prepare`.
    """
    dropped: list[InputError] = []

    def drop(error: InputError) -> None:
        dropped.append(error)
        _complain(error)

    plan = SplitPlan(arguments.dev, arguments.test, arguments.dev_every, arguments.seed, arguments.name)
    counts = _prepare(corpora()[arguments.corpus], arguments.source, arguments.out, plan, arguments, drop, _remark)
    print(format_counts(counts))
    print(f"dropped {len(dropped)}")
    return 1 if dropped else 0


def format_counts(counts: dict[str, Counts]) -> str:
    """A table of counts, one split a line."""
    rows = [("split", "items", "groups", "hours", "characters", "units")]
    for name, count in counts.items():
        hours = "-" if count.seconds is None else f"{count.seconds / 3600:.2f}"
        rows.append((name, f"{count.items}", f"{count.groups}", hours, f"{count.characters}", f"{count.units}"))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows)
    return "\n".join(lines)


def count_items(items: Iterable[Item]) -> Counts:
    """Count items, groups, time and different symbols."""
    items = list(items)
    seconds = [item.seconds for item in items if item.seconds is not None]
    characters = {symbol for item in items for symbol in split_symbols(item.text or "", "characters")}
    units = {unit for item in items for unit in item.units or ()}
    groups = {item.group for item in items if item.group is not None}
    return Counts(len(items), len(groups), sum(seconds) if seconds else None, len(characters), len(units))


def _prepare(
    corpus: Corpus,
    source: Path | None,
    out: Path,
    plan: SplitPlan,
    options: argparse.Namespace,
    drop: Callable[[InputError], None],
    note: Callable[[str], None],
) -> dict[str, Counts]:
    if plan.name is not None:
        _check_name(plan.name)  # before anything is made in a folder of this name
    if not _needs_source(corpus):
        if source is not None:
            raise ConfigError(f"the corpus '{corpus.CORPUS}' is made of nothing; leave its source out")
        source = out
    elif source is None:
        raise ConfigError(f"the corpus '{corpus.CORPUS}' needs a source")
    elif not source.exists():
        raise InputError(f"{source}: no such file or folder")
    made = out.absolute() / (plan.name or corpus.CORPUS)
    options = argparse.Namespace(**{**vars(options), "made": made, "seed": plan.seed, "drop": drop, "note": note})
    found = _unique(corpus.read(source.absolute(), options), drop)
    if options.lexicon is not None:
        found = _pronounced(found, load_lexicon(options.lexicon), drop)
    items = measure(list(found), drop)
    if not items:
        raise InputError(f"{source}: not one usable item found; is this a corpus of the kind '{corpus.CORPUS}'?")
    parts = divide(items, plan)
    for name in parts:
        _check_name(name)
    alone = sum(item.group is None for item in items)
    if alone and len(parts) > 1:
        note(f"{alone} of {len(items)} items have no group (speaker or writer); each was assigned by itself")
    _note_shared_groups(parts, out, note)
    for name, part in parts.items():
        save_manifest(part, out / f"{name}.jsonl")
    return {name: count_items(part) for name, part in parts.items()}


def _check_name(name: str) -> None:
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise ManifestError(f"{name!r} cannot be the name of a manifest: use letters, digits, '-' and '_'")


def _needs_source(corpus: Corpus) -> bool:
    return bool(getattr(corpus, "NEEDS_SOURCE", True))


def _unique(items: Iterable[Item], drop: Callable[[InputError], None]) -> Iterator[Item]:
    seen: dict[str, Path] = {}
    for item in items:
        if item.id in seen:
            drop(InputError(f"{item.source}: its id {item.id!r} is already that of {seen[item.id]}"))
        else:
            seen[item.id] = item.source
            yield item


def _pronounced(items: Iterable[Item], lexicon: Pronunciations, drop: Callable[[InputError], None]) -> Iterator[Item]:
    for item in items:
        if item.units is not None or item.text is None:
            yield item
            continue
        try:
            yield replace(item, units=pronounce(item.text, lexicon))
        except InputError as error:
            drop(InputError(f"{item.source}: {error}"))


def _note_shared_groups(parts: dict[str, list[Item]], out: Path, note: Callable[[str], None]) -> None:
    """Remark on speakers that occur in two manifests of a folder, those of earlier runs included."""
    manifests: dict[str, Sequence[Item]] = dict(parts)
    for name in STANDARD:
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


class _CorpusAction(argparse._SubParsersAction):  # type: ignore[type-arg]
    def __call__(self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option_string: str | None = None) -> None:
        if values[0] not in self._name_parser_map:
            raise argparse.ArgumentError(None, _unknown(values[0], self._name_parser_map))
        super().__call__(parser, namespace, values, option_string)


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


def _unknown(name: str, known: Iterable[str]) -> str:
    return f"no corpus is called {name!r}{nearest(name, known)} (there are {', '.join(sorted(known))})"


def _complain(error: RecognizerError) -> None:
    print(f"dropped: {error}", file=sys.stderr)


def _remark(text: str) -> None:
    print(f"note: {text}", file=sys.stderr)
