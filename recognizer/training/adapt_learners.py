"""The networks of a bundle that can learn from corrected items: its own and, where it reads the same, the second one that decides with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from recognizer.bundle.io import Bundle
from recognizer.bundle.registry import locate_file
from recognizer.data.cache import ArrayCache
from recognizer.data.manifest import Item, target
from recognizer.errors import InputError
from recognizer.models.network import Network
from recognizer.text.lexicon import load_lexicon, pronounce
from recognizer.training.adapt_items import describe_left_out, find_new_symbols, judge_items, with_symbols
from recognizer.training.adapt_network import Learner
from recognizer.training.adapt_recipe import MAX_FRAMES, training_settings
from recognizer.training.datamodule import Split

SPELT = 0.5  # share of the items whose words the second recognizer's units must spell for it to learn: another language is not for it

Note = Callable[[str], None]


def open_learners(bundle: Bundle, partner: Bundle | None, items: Sequence[Item], work: Path, seed: int, device: str, note: Note) -> list[Learner]:
    """What learns: the network of a bundle, and that of its partner.

    Args:
        bundle: the recognizer; ``partner``: the second one that decides with it.
        items: corrected.
        work: folder for arrays that are kept.
        seed, device: of the training.
        note: is told what is left out, and which symbols are new.
    """
    cache = ArrayCache(work / "cache", bundle.config.features)
    own = _learner(bundle, items, cache, work, seed, device, note)
    if partner is None:
        return [own]
    usable = own.items.dataset.items
    if partner.config.text.level == bundle.config.text.level:
        return [own, _learner(partner, usable, cache, work, seed, device, None)]
    other = _learner(partner, _pronounce(usable, bundle, note), cache, work, seed, device, None)
    judge, enough = other.judge, len(other.items.frames) >= SPELT * len(usable)
    if not enough:
        note(f"the second recognizer stays as it is: it could learn from {len(other.items.frames)} of {len(usable)} items only")
    return [own, replace(other, judge=lambda some: judge(_pronounce(some, bundle, None)), cost=other.cost if enough else 0.0)]


def _learner(bundle: Bundle, items: Sequence[Item], cache: ArrayCache, work: Path, seed: int, device: str, note: Note | None) -> Learner:
    text, features = bundle.config.text, bundle.config.features
    new = find_new_symbols(items, text, features, bundle.alphabet)
    if new and note is not None:
        counted = ", ".join(f"{symbol!r} ({count})" for symbol, count in new.most_common())
        note(f"symbols that the model could not write so far, and the items that have them: {counted}")
    alphabet = with_symbols(bundle.alphabet, new)
    network = Network(bundle.config, len(alphabet))

    def judge(some: Sequence[Item]) -> tuple[Split, list[str]]:
        return judge_items(some, text, features, alphabet, network, MAX_FRAMES, cache)

    split, left_out = judge(items)
    if note is not None:
        describe_left_out(left_out, note)
    cost = sum(parameter.numel() for parameter in network.parameters())
    return Learner(bundle, alphabet, training_settings(bundle, len(split.frames), work, seed, device), split, float(cost), judge)


def _pronounce(items: Sequence[Item], bundle: Bundle, note: Note | None) -> list[Item]:
    """Items with the units of their words by the lexicon through which both recognizers decide; those with other words are left out."""
    name = bundle.config.decoder.combine_lexicon
    path = None if name is None else locate_file(name, bundle.folder)
    if path is None:
        if note is not None:
            note("the second recognizer does not learn: no lexicon says how its units spell the words")
        return []
    lexicon, spelt, unknown = load_lexicon(path, bare=False), [], 0
    for item in items:
        try:
            said = target(item, bundle.config.text)
            spelt.append(replace(item, units=pronounce(said if isinstance(said, str) else item.text or "", lexicon)))
        except InputError:
            unknown += 1
    if unknown and note is not None:
        note(f"the second recognizer does not learn {unknown} items, whose words are not all in its lexicon")
    return spelt
