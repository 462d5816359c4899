"""The steps of adapting: what can learn, the folds, the decoder, and the decision by items that were held back."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Any

from torch import Tensor

from recognizer.bundle.averaging import average
from recognizer.bundle.io import Bundle, is_bundle, load_bundle
from recognizer.bundle.provenance import Origin, digest_item
from recognizer.bundle.registry import PARTNER
from recognizer.config import DecoderConfig
from recognizer.data.manifest import Item
from recognizer.errors import Interrupted, ManifestError, TrainingError
from recognizer.inference.recognizer import Recognizer
from recognizer.training.adapt_bundle import Adapted, Lesson, decoder_files, partner_of, write_adapted
from recognizer.training.adapt_decoder import (
    STEPS,
    Errors,
    Metric,
    choose_metric,
    compare_errors,
    count_errors,
    frame_texts,
    learn_texts,
    tune_decoder,
)
from recognizer.training.adapt_items import FEWEST, Fold, join, plan_folds, select
from recognizer.training.adapt_learners import Learner, open_learners
from recognizer.training.adapt_network import learn, mix_weights
from recognizer.training.adapt_recipe import AUGMENT, choose_share
from recognizer.training.adapt_session import Session
from recognizer.training.adapt_unlabelled import read_unlabelled
from recognizer.training.datamodule import Split
from recognizer.utils.device import choose_device
from recognizer.utils.files import write_text

PLAN = "plan.json"
FIRST_PASS = 0.6  # share of the time for networks before items without texts are read
READING, DECODING = 0.05, 0.15  # shares of the whole before networks learn, and after


@dataclass(frozen=True)
class Settings:
    """How to adapt: see :func:`recognizer.training.adapt.adapt`."""

    folds: int | None = None
    seed: int = 0
    device: str = "auto"
    threads: int = 0
    force: bool = False
    rehearse: tuple[Item, ...] = ()
    unlabelled: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """What adapting brought, on items held back, and what goes into the new bundle.

    Attributes:
        before, after: errors; ``interval``: of the difference of the rates; ``gained``: whether it lies below zero.
        parents: what the networks started from; ``adapted``: the networks now; ``decoder``, ``files``: with which they decode.
        train, held: items that were learnt, and that chose.
    """

    before: Errors
    after: Errors
    interval: tuple[float, float]
    gained: bool
    parents: tuple[Bundle, ...]
    adapted: tuple[Adapted, ...]
    decoder: DecoderConfig
    files: Mapping[str, Path]
    train: tuple[Item, ...]
    held: tuple[Item, ...]

    @property
    def items(self) -> int:
        """How many items were learnt or held back."""
        return len({item.id for item in (*self.train, *self.held)})


class Run:
    """Adapting of one bundle, from its items to a verdict.

    Args:
        parent: the bundle.
        items: corrected, of the kind that it reads.
        work: folder of what an interrupted run goes on from.
        settings: how.
        session: its time.

    Raises:
        ManifestError: too few items can be used.
        TrainingError: ``work`` holds an unfinished run with other items.
    """

    def __init__(self, parent: Bundle, items: Sequence[Item], work: Path, settings: Settings, session: Session) -> None:
        self.parent, self.work, self.settings, self.session = parent, work, settings, session
        self.device, self.note = choose_device(settings.device), session.progress.line
        session.report("reading the items", 0.01)
        partner = partner_of(parent) if parent.config.decoder.kind == "beam" else None
        self.learners = open_learners(parent, partner, items, work, settings.seed, settings.device, self.note)
        self.items = {item.id: item for item in self.learners[0].items.dataset.items}
        if len(self.items) < (2 if settings.force else FEWEST):
            advice = "two are needed to learn from one and to score the other" if settings.force else f"correct {FEWEST} or more, or say --force"
            raise ManifestError(f"{len(self.items)} usable items are too few to tell whether anything is gained; {advice}")
        self.folds = plan_folds(list(self.items.values()), settings.folds, settings.seed)
        self.share = choose_share(list(self.items.values()), parent.config.modality)
        if self.share < 1:
            one = f"all {len(self.items)} lines are of {next(iter(self.items.values())).group}"
            self.note(f"{one}: the mean of old and new weights is taken, as other pages may differ; correct lines of some of these, too")
        self._check_plan()
        self.decoder, self.files = decoder_files(parent, has_partner=len(self.learners) > 1)
        self.parents = [learner.bundle for learner in self.learners]

    def carry_out(self) -> Verdict:
        """Learn, fold by fold, and judge by what was held back.

        Raises:
            Interrupted: SIGTERM came.
        """
        held = [self._named(fold.held) for fold in self.folds]
        self.session.report("reading with the old model", 0.02)
        old = Recognizer(self.parent, self.settings.device, threads=self.settings.threads)
        metric = choose_metric(old)
        before = count_errors(old, [item for part in held for item in part], metric)
        done: list[Recognizer] = []
        for number, fold in enumerate(self.folds):
            if self.session.stopped:
                break
            if done and not self.session.training_left:
                self.note(f"the time ended after {number} of {len(self.folds)} folds; the rates are of what these held back")
                break
            done.append(self._open(self._learn_fold(number, fold)))
            self.session.check()
        if not done:
            raise Interrupted(f"stopped by SIGINT before anything was learnt; no bundle was written; {self.session.advice}")
        parts = held[: len(done)]
        self.session.report("scoring", 1 - DECODING)
        after = _count_all(done, parts, metric)
        done, after = self._learn_unlabelled(done, parts, after)
        done, after, with_texts = self._learn_texts(done, parts, after)
        decoder, after = self._tune(done, parts, after)
        alone, after = self._leave_models_out(done, parts, after)
        self.session.check()
        before = before.only(after.rows)
        interval = compare_errors(before, after)
        learnt = self._learnt(len(done))
        adapted = self._final_weights(done)
        files = self.files
        gained = interval[1] < 0
        if alone and gained:
            decoder, files, adapted = DecoderConfig(), {}, adapted[:1]
        elif with_texts:
            files, lines = learn_texts(self.decoder, self.files, frame_texts(done[0], learnt), self.work / "texts")
            for line in lines:
                self.note(line)
        self.session.finished = not self.session.stopped
        scored = tuple(item for part in parts for item in part)
        parents = tuple(self.parents[: len(adapted)])
        return Verdict(before, after, interval, gained, parents, adapted, decoder, files, tuple(learnt), scored)

    def _named(self, numbers: Sequence[int]) -> list[Item]:
        items = list(self.items.values())
        return [items[number] for number in numbers]

    def _learnt(self, folds: int) -> list[Item]:
        numbers = sorted({number for fold in self.folds[:folds] for number in fold.train})
        return self._named(numbers)

    def _check_plan(self) -> None:
        """Write down what is planned, or compare it with what an interrupted run had planned."""
        rows = "\n".join(sorted(map(digest_item, self.items.values())))
        plan = {
            "bundle": Origin.digest_of(self.parent.folder),
            "items": hashlib.sha256(rows.encode()).hexdigest(),
            "folds": len(self.folds),
            "seed": self.settings.seed,
        }
        path = self.work / PLAN
        if path.is_file() and json.loads(path.read_text(encoding="utf-8")) != plan:
            raise TrainingError(f"{self.work}: the unfinished run there had another bundle, other items or another seed; leave out --resume")
        write_text(path, json.dumps(plan) + "\n")

    def _learn_fold(self, number: int, fold: Fold) -> Path:
        """Train the networks on a fold and write them as a bundle; one that an interrupted run has finished is taken as it is."""
        folder = self.work / f"fold{number + 1}"
        if is_bundle(folder):
            return folder
        train, held = self._named(fold.train), self._named(fold.held)
        adapted = [Adapted(each.alphabet, self._learn(each, place, number, train, held)) for place, each in enumerate(self.learners)]
        if self.session.stopped:  # to be gone on with, so that it is no finished fold
            folder = self.work / f"stopped{number + 1}"
            shutil.rmtree(folder, ignore_errors=True)
        write_adapted(folder, self.parents, adapted, Lesson(train, held, self.decoder, self.files), self.work)
        return folder

    def _learn_unlabelled(self, done: list[Recognizer], held: Sequence[Sequence[Item]], after: Errors) -> tuple[list[Recognizer], Errors]:
        """Recognizers that have also learnt what they read in items without texts, if the items held back gain by it; else the same."""
        files = self.settings.unlabelled
        if not files or self.session.stopped:
            return done, after
        tried = []
        for number, each in enumerate(done):
            fold, folder = self.folds[number], self.work / f"unlabelled{number + 1}"
            train, own = self._named(fold.train), self._named(fold.held)
            more = read_unlabelled(each, files, len(train))
            self.note(f"unlabelled: {len(more)} of {len(files)} items are read with confidence")
            if not more:
                return done, after
            starts = [load_bundle(each.bundle.folder / PARTNER if place else each.bundle.folder) for place in range(len(self.learners))]
            adapted = [
                Adapted(learner.alphabet, self._learn(learner, place, number, train, own, more, starts[place].weights))
                for place, learner in enumerate(self.learners)
            ]
            shutil.rmtree(folder, ignore_errors=True)
            write_adapted(folder, self.parents, adapted, Lesson([*train, *more], own, self.decoder, self.files), self.work)
            tried.append(self._open(folder))
        errors = _count_all(tried, held, after.metric)
        gained = self._compare("items without texts", after, errors)
        return (tried, errors) if gained else (done, after)

    def _learn(
        self,
        learner: Learner,
        place: int,
        number: int,
        train: Sequence[Item],
        held: Sequence[Item],
        more: Sequence[Item] = (),
        start: Mapping[str, Tensor] | None = None,
    ) -> Mapping[str, Tensor]:
        """The weights of one network after a fold; with ``more`` items, after it has learnt these as well, from weights to ``start`` from."""
        augment = AUGMENT[self.parent.config.modality]
        learnt = select(learner.items, (item.id for item in train), augment, self.settings.seed)
        chosen_by = select(learner.items, (item.id for item in held))
        if not learner.cost or not learnt.frames or not chosen_by.frames or self.session.stopped:
            return dict(start) if start is not None else learner.open().state_dict()
        if more:
            judged, _ = learner.judge(more)
            learnt = join([learnt, select(judged, (item.id for item in judged.dataset.items))])
        share = FIRST_PASS if self.settings.unlabelled and not more else 1.0
        costs = [each.cost for each in self.learners]
        whole, before = sum(costs) * len(self.folds), sum(costs) * number + sum(costs[:place])
        span = 1 - READING - DECODING
        which = [f"fold {number + 1} of {len(self.folds)}"] * (len(self.folds) > 1) + [f"network {place + 1} of {len(costs)}"] * (len(costs) > 1)
        name = ", ".join(["learning", *which])
        outcome = learn(
            learner,
            self._with_rehearsal(learner, learnt),
            chosen_by,
            self.work / f"{'unlabelled' if more else 'fold'}{number + 1}.network{place + 1}",
            self.device,
            share * self.session.training_left * learner.cost / (whole - before),
            self.session.watcher(name, READING + span * before / whole, READING + span * (before + learner.cost) / whole),
            start,
        )
        self.session.check()
        old, new = outcome.history[0][1], outcome.error
        self.note(f"{name}: {outcome.epochs} epochs; errors in symbols {100 * old:.1f} -> {100 * new:.1f} % (greedy, held back)")
        return outcome.weights if self.share == 1 else mix_weights(learner.open().state_dict(), outcome.weights, self.share)

    def _with_rehearsal(self, learner: Learner, learnt: Split) -> Split:
        """What is learnt, with as many items of earlier training material, if there is any."""
        if not self.settings.rehearse:
            return learnt
        rehearsed, _ = learner.judge(self.settings.rehearse)
        count = min(len(learnt.frames), len(rehearsed.frames))
        chosen = random.Random(self.settings.seed).sample([item.id for item in rehearsed.dataset.items], count)
        return join([learnt, select(rehearsed, chosen)])

    def _open(self, folder: Path, files: Mapping[str, Path] | None = None, decoder: DecoderConfig | None = None) -> Recognizer:
        """A recognizer of adapted weights, with other models or settings of the decoder."""
        bundle = load_bundle(folder)
        config, known = decoder or bundle.config.decoder, files or {}
        changes: dict[str, Any] = {key: str(known[name].absolute()) for key in ("lm", "char_lm") if (name := getattr(config, key)) in known}
        return Recognizer(bundle, self.settings.device, decoder=replace(config, **changes), threads=self.settings.threads)

    def _learn_texts(self, done: list[Recognizer], held: Sequence[Sequence[Item]], after: Errors) -> tuple[list[Recognizer], Errors, bool]:
        """Recognizers whose language models learnt the texts of their folds, if that costs errors; else the same."""
        if done[0].decoding.kind == "greedy" or self.session.time_left <= 0:
            return done, after, False
        self.session.report("learning the texts", 1 - 0.8 * DECODING)
        tried = []
        for number, each in enumerate(done):
            texts = frame_texts(each, self._named(self.folds[number].train))
            files, lines = learn_texts(self.decoder, self.files, texts, self.work / f"texts{number + 1}")
            if not lines:
                return done, after, False
            tried.append(self._open(each.bundle.folder, files))
        errors = _count_all(tried, held, after.metric)
        gained = self._compare("language models with the corrected texts", after, errors)
        return (tried, errors, True) if gained else (done, after, False)

    def _tune(self, done: Sequence[Recognizer], held: Sequence[Sequence[Item]], after: Errors) -> tuple[DecoderConfig, Errors]:
        """The settings of the decoder that fit the new weights better, if there are any."""
        if self.session.stopped:
            return self.decoder, after
        self.session.report("tuning the decoder", 1 - 0.5 * DECODING)
        tuned = tune_decoder(done, held, after.metric, self.session.end, self.settings.seed)
        if tuned is None or not self._compare("other settings of the decoder", after.only(tuned.errors.rows), tuned.errors):
            return self.decoder, after
        found = {key: getattr(tuned.config, key) for key in STEPS}
        self.note("decoder: " + " ".join(f"{key}={value:g}" for key, value in found.items() if value != getattr(self.decoder, key)))
        return replace(self.decoder, **found), after | tuned.errors

    def _leave_models_out(self, done: Sequence[Recognizer], held: Sequence[Sequence[Item]], after: Errors) -> tuple[bool, Errors]:
        """Whether the new weights alone err less, beyond chance, than with models of another language or subject; and the errors then."""
        if done[0].decoding.kind == "greedy" or self.decoder.vocabulary == "closed" or self.session.stopped:
            return False, after
        errors = _count_all([self._open(each.bundle.folder, decoder=DecoderConfig()) for each in done], held, after.metric).only(after.rows)
        if compare_errors(after, errors)[1] >= 0:
            return False, after
        self._compare("the new weights alone, without the models", after, errors)
        return True, errors

    def _compare(self, what: str, before: Errors, after: Errors) -> bool:
        """Whether something makes fewer errors on the items held back; it is said either way."""
        gained = after.rate < before.rate
        self.note(f"{what}: {after.metric} {100 * before.rate:.2f} -> {100 * after.rate:.2f} %, {'kept' if gained else 'not kept'}")
        return gained

    def _final_weights(self, folds: Sequence[Recognizer]) -> tuple[Adapted, ...]:
        """The weights of the only fold, or the mean of those of several, which all began at the same ones (Wortsman et al. 2022)."""
        bundles = [each.bundle.folder for each in folds]
        final = []
        for place in range(len(self.learners)):
            opened = [load_bundle(folder / PARTNER if place else folder) for folder in bundles]
            whole = opened[0]
            if len(opened) > 1:
                mean = self.work / f"mean{place + 1}"
                average(opened, mean)
                whole = load_bundle(mean)
            final.append(Adapted(whole.alphabet, whole.weights))
        return tuple(final)


def _count_all(recognizers: Sequence[Recognizer], parts: Sequence[Sequence[Item]], metric: Metric) -> Errors:
    """Errors of each part by its recognizer."""
    return reduce(or_, (count_errors(each, part, metric) for each, part in zip(recognizers, parts, strict=True)))
