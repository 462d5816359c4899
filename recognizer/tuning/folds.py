"""A decoder tuned and scored on the same speakers or writers, in turns: each is scored with weights that were tuned on others."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from recognizer.config import DecoderConfig
from recognizer.data.manifest import Item
from recognizer.data.split import group_key
from recognizer.errors import ConfigError
from recognizer.evaluation.bootstrap import SEED
from recognizer.evaluation.metrics import ScoredItem, Scores, render_scores, score
from recognizer.tuning.data import TuningData
from recognizer.tuning.search import SETTINGS, find_weights, spell_settings
from recognizer.utils.progress import Progress


@dataclass(frozen=True)
class Fold:
    """Groups that were scored together.

    Attributes:
        groups: their names, or the ids of items without one; ``items``: how many items.
        config: as tuned on all others.
        tuned: error rate with it on the items of these others; ``error``: on the items of the fold.
    """

    groups: tuple[str, ...]
    items: int
    config: DecoderConfig
    tuned: float
    error: float


@dataclass(frozen=True)
class FoldScores:
    """What the folds gave.

    Attributes:
        metric: CER, WER or UER, which the weights were to lower.
        seed: of the split.
        folds: in turn.
        pooled: of all items together, each decoded with the weights of its fold.
        greedy: of all items without a beam; None where words cannot be had without one.
    """

    metric: str
    seed: int
    folds: tuple[Fold, ...]
    pooled: Scores
    greedy: Scores | None

    def to_json(self) -> dict[str, Any]:
        """Ready for ``json.dump``."""
        folds = [
            {
                "groups": list(fold.groups),
                "items": fold.items,
                "settings": {key: getattr(fold.config, key) for key in SETTINGS},
                "tuned": fold.tuned,
                "error": fold.error,
            }
            for fold in self.folds
        ]
        greedy = None if self.greedy is None else self.greedy.to_json()
        return {"metric": self.metric, "seed": self.seed, "folds": folds, "pooled": self.pooled.to_json(), "greedy": greedy}


def split_folds(items: Sequence[Item], folds: int, seed: int) -> list[list[int]]:
    """Numbers of the items of each fold, which holds whole groups and about as many items as the others.

    Groups are ordered by a hash of the seed and their name, and each goes to the fold that has fewest items so far, so the
    order of ``items`` does not matter. An item without a group is a group of its own.

    Raises:
        ConfigError: fewer than two folds, or fewer groups than folds.
    """
    sizes = Counter(group_key(item) for item in items)
    if folds < 2:
        raise ConfigError(f"--folds {folds}: some groups have to tune what others are scored with; take 2 or more")
    if len(sizes) < folds:
        raise ConfigError(f"--folds {folds}: the items have {len(sizes)} group{'s' * (len(sizes) != 1)} only; take fewer folds")
    place: dict[tuple[str, str], int] = {}
    filled = [0] * folds
    for key in sorted(sizes, key=lambda key: (hashlib.sha256(repr((seed, *key)).encode()).digest(), key)):
        place[key] = filled.index(min(filled))
        filled[place[key]] += sizes[key]
    members: list[list[int]] = [[] for _ in range(folds)]
    for number, item in enumerate(items):
        members[place[group_key(item)]].append(number)
    return members


def score_folds(data: TuningData, folds: int, seed: int = SEED, progress: Progress | None = None) -> FoldScores:
    """Tune on all folds but one and score that one, for each in turn; then pool the texts.

    Args:
        data: all groups.
        folds: how many.
        seed: of the split and of the intervals.
        progress: told how far it is.

    Raises:
        ConfigError: from :func:`split_folds`.
    """
    progress = progress or Progress(quiet=True)
    texts = [""] * len(data)
    done: list[Fold] = []
    for members in split_folds(data.items, folds, seed):
        held_out = set(members)
        # from the defaults, since the recognizer's own weights may have been tuned on these very groups
        found = find_weights(data, [n for n in range(len(data)) if n not in held_out], progress, from_defaults=True)
        decoded = data.decode(found.config, members)
        for number, text in zip(members, decoded, strict=True):
            texts[number] = text
        groups = tuple(sorted({group_key(data.items[n])[1] for n in members}))
        done.append(Fold(groups, len(members), found.config, found.error, data.rate(data.count_errors(decoded, members), members)))
        progress.line(f"fold {len(done)} of {folds}: {data.metric} {100 * done[-1].error:.2f} %, of the others {100 * found.error:.2f} %")
    greedy = data.decode_greedily()
    return FoldScores(data.metric, seed, tuple(done), _score(data, texts, seed), None if greedy is None else _score(data, greedy, seed))


def _score(data: TuningData, texts: Sequence[str], seed: int) -> Scores:
    rows = zip(data.items, data.references, texts, strict=True)
    return score([ScoredItem(item.id, reference, text, item.group, item.meta) for item, reference, text in rows], data.level, seed=seed)


def render_folds(scores: FoldScores) -> str:
    """The folds as a table, and the scores of all items together."""
    lines = [f"{len(scores.folds)} folds (seed {scores.seed}), each scored with weights tuned on the others"]
    lines.append(f"fold  groups  items  {scores.metric} tuned on  {scores.metric} scored")
    for number, fold in enumerate(scores.folds, start=1):
        counts = f"{number:4}  {len(fold.groups):6}  {fold.items:5}"
        lines.append(f"{counts}  {100 * fold.tuned:10.2f} %  {100 * fold.error:8.2f} %  {spell_settings(fold.config)}")
    blocks = ["\n".join(lines), f"All items, with the weights of their folds\n{render_scores(scores.pooled)}"]
    if scores.greedy is not None:
        blocks.append("All items without a beam\n" + render_scores(scores.greedy).partition("\n\n")[0])
    return "\n\n".join(blocks)
