"""The corrected items that a recognizer adapts to: read from whatever a user has, judged, and divided into what is learnt and what is held back."""

from __future__ import annotations

import argparse
import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from recognizer.config import Augment, Features, Modality, NoAugment, TextConfig
from recognizer.data.audit import Auditor
from recognizer.data.cache import ArrayCache
from recognizer.data.dataset import CtcDataset
from recognizer.data.manifest import Item, load_manifest, target_in_frames
from recognizer.data.preparation import corpora
from recognizer.data.project import SUFFIXES, is_project, read_corrections
from recognizer.data.split import Key, group_key
from recognizer.errors import ConfigError, ManifestError
from recognizer.models.network import Network
from recognizer.text.alphabet import Alphabet
from recognizer.training.datamodule import Split

FEWEST = 10  # items below which an error rate says nothing
FEWEST_HELD_BACK = 8
HELD_BACK = 0.1  # share of the items
FOLDS_BELOW = 60  # items below which every item is held back once
FOLDS = 4
# Speakers, writers or pages below which items of the same one are both learnt and held back: a page or two of another pen stop a training that
# all other pages gain by. Of 100 lines of three pages, the third alone kept the old weights, while errors on further pages would have halved.
FEWEST_GROUPS = 20
FEWEST_GROUPS_IN_FOLDS = 4  # where each is held back once
LARGEST_SHARE = 0.25  # of the items that may be held back so that groups stay whole
KINDS: dict[Modality, tuple[str, str]] = {  # one and many
    "audio": ("recording", "recordings"), "line": ("picture of a line", "pictures of lines"), "strokes": ("pen trace", "pen traces"),
}  # fmt: skip
SHOWN = 3  # examples of what is left out

Note = Callable[[str], None]


@dataclass(frozen=True)
class Fold:
    """Numbers of the items that are learnt, and of those that are held back from it."""

    train: tuple[int, ...]
    held: tuple[int, ...]


def read_items(source: str | Path, modality: Modality) -> tuple[list[Item], list[str]]:
    """Corrected items from a manifest, a folder of files with transcripts beside them, or a project.

    Args:
        source: the manifest or folder.
        modality: what the recognizer reads; items of another kind are left out.

    Returns:
        The items, and a line for each that is left out.

    Raises:
        ManifestError: none is there, or none of this kind.
    """
    path, left_out = Path(source), []
    if path.is_dir() and not is_project(path):
        options = argparse.Namespace(group_by="folder", drop=lambda error: left_out.append(str(error)), note=left_out.append)
        items = list(corpora()["folder"].read(path.absolute(), options))
    else:
        items = read_corrections(path, modality) if path.is_dir() else list(load_manifest(path))
    others = {suffix: kind for kind, suffixes in SUFFIXES.items() if kind != modality for suffix in suffixes - SUFFIXES[modality]}
    wrong = [item for item in items if item.source.suffix.lower() in others]
    left_out += [f"{item.id}: {item.source} is no {KINDS[modality][0]}, which is what this model reads" for item in wrong]
    if wrong and len(wrong) == len(items):
        found = KINDS[others[wrong[0].source.suffix.lower()]][1]
        raise ManifestError(f"{source}: holds {found}, but this model reads {KINDS[modality][1]}; name a model for {found}")
    if not items:
        reason = f"; the first reason: {left_out[0]}" if left_out else ""
        raise ManifestError(f"{source}: holds no corrected items: a manifest, a project, or files with x.txt or x.gt.txt beside them{reason}")
    unwanted = {item.id for item in wrong}
    return [item for item in items if item.id not in unwanted], left_out


def describe_left_out(messages: Sequence[str], note: Note) -> None:
    """Say how many items are left out, and the reasons of the first few."""
    if messages:
        note(f"left out: {len(messages)} item{'s' * (len(messages) != 1)}")
        for message in messages[:SHOWN]:
            note(f"  {message}")
        if len(messages) > SHOWN:
            note(f"  ... and {len(messages) - SHOWN} more")


def find_new_symbols(items: Iterable[Item], text: TextConfig, features: Features, alphabet: Alphabet) -> Counter[str]:
    """How many items have each symbol that an alphabet lacks."""
    found: Counter[str] = Counter()
    for item in items:
        transcript = target_in_frames(item, text, features)
        found.update(set(alphabet.unknown(transcript)) if transcript else ())
    return found


def with_symbols(alphabet: Alphabet, symbols: Iterable[str]) -> Alphabet:
    """The alphabet with further symbols behind its own, whose labels stay."""
    return Alphabet((*alphabet.symbols, *sorted(symbols)), alphabet.level)


def judge_items(
    items: Sequence[Item], text: TextConfig, features: Features, alphabet: Alphabet, network: Network, max_frames: int, cache: ArrayCache | None
) -> tuple[Split, list[str]]:
    """The items that a network can learn from, ready for batching, and a line for each of the others.

    Args:
        items: what is judged.
        text: which transcript is the target; ``features``: how sources are read.
        alphabet: what the network writes.
        network: whose frames count; its weights do not.
        max_frames: most feature frames of an item.
        cache: where arrays are kept.
    """
    audit = Auditor(features, text, network.features.frames, network.frames, alphabet, max_frames, cache).audit(items)
    dataset = CtcDataset(audit.usable, features, text, alphabet, NoAugment(), 0, audit.shortest, cache)
    return Split(dataset, audit.frames), [finding.message for finding in audit.excluded]


def select(split: Split, ids: Iterable[str], augment: Augment | None = None, seed: int = 0) -> Split:
    """The items of a split with these ids, augmented or as they are."""
    wanted, whole = set(ids), split.dataset
    places = [place for place, item in enumerate(whole.items) if item.id in wanted]
    items, shortest = [whole.items[place] for place in places], [whole.shortest[place] for place in places]
    dataset = replace(whole, items=items, shortest=shortest, augment=augment or NoAugment(), seed=seed)
    return Split(dataset, [split.frames[place] for place in places])


def join(splits: Sequence[Split]) -> Split:
    """The items of several splits, with the settings of the first; ids are made to differ by the number of the split."""
    first = splits[0].dataset
    items = [item if n == 0 else replace(item, id=f"{n}:{item.id}") for n, split in enumerate(splits) for item in split.dataset.items]
    shortest = [length for split in splits for length in split.dataset.shortest]
    return Split(replace(first, items=items, shortest=shortest), [frames for split in splits for frames in split.frames])


def plan_folds(items: Sequence[Item], folds: int | None = None, seed: int = 0) -> list[Fold]:
    """Divide items into those that are learnt and those that are held back.

    About a tenth of the items is held back, eight at least; of fewer than 60 items each is held back once, in four folds. Whole groups are
    held back where there are 20 of them, or 4 where each is held back once, and none is too large; else all items of the same text, under
    the same conditions; else items. They are ordered by a hash of the seed and their name, so that the order of the items does not matter.

    Args:
        items: what there is.
        folds: how often items are held back, None: as said; 1: one share is.
        seed: another one gives another division.

    Raises:
        ConfigError: no fold, or fewer items than folds.
    """
    count = folds if folds is not None else min(FOLDS, len(items)) if len(items) < FOLDS_BELOW else 1
    if not 1 <= count <= len(items) or len(items) < 2:
        raise ConfigError(f"--folds {count}: there are {len(items)} items; take 1 or more, and no more than items")
    keys = [group_key(item) for item in items]
    fewest = FEWEST_GROUPS if count == 1 else max(FEWEST_GROUPS_IN_FOLDS, count)
    # a sentence that others have learnt is read the better for it, so that items of the same text are learnt or held back together
    texts: list[Key] = [("text", item.text or " ".join(item.units or ())) for item in items]
    for choice in (keys, texts):
        if len({key for key in choice if key[0] in ("group", "text")}) >= fewest:
            held = _divide(choice, count, seed)
            if max(map(len, held)) <= LARGEST_SHARE * len(items) * (1 if count == 1 else 4 / count):
                break
    else:
        held = _divide([("item", item.id) for item in items], count, seed)
    return [Fold(tuple(n for n in range(len(items)) if n not in part), tuple(sorted(part))) for part in held]


def _divide(keys: Sequence[Key], folds: int, seed: int) -> list[set[int]]:
    """Numbers of the items that each fold holds back, which have their keys for themselves."""
    sizes = Counter(keys)
    order = sorted(sizes, key=lambda key: (hashlib.sha256(repr((seed, *key)).encode()).digest(), key))
    place: dict[Key, int] = {}
    filled = [0] * folds
    if folds > 1:
        for key in order:
            place[key] = filled.index(min(filled))
            filled[place[key]] += sizes[key]
        return [{n for n, key in enumerate(keys) if place[key] == fold} for fold in range(folds)]
    wanted = min(max(FEWEST_HELD_BACK, round(HELD_BACK * len(keys))), len(keys) // 2)
    for key in order:
        if filled[0] + sizes[key] / 2 <= wanted and filled[0] < wanted:  # which brings it nearer to the share
            place[key] = 0
            filled[0] += sizes[key]
    for key in sorted(order, key=lambda key: sizes[key]):  # whole groups near the share may be too few items
        if filled[0] < min(FEWEST_HELD_BACK, len(keys) // 2) and key not in place:
            place[key] = 0
            filled[0] += sizes[key]
    return [{n for n, key in enumerate(keys) if key in place}]
