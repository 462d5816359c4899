"""Adapting: a recognizer and some corrected items in, a recognizer that errs less on this writer or speaker out, and how much less."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recognizer.bundle.io import Bundle, load_bundle
from recognizer.bundle.registry import find_bundle
from recognizer.data.manifest import Item, load_manifest
from recognizer.errors import Interrupted, RecognizerError, TrainingError
from recognizer.inference.recognizer import Recognizer
from recognizer.training.adapt_bundle import Adapted, Lesson, check_output, decoder_files, describe_origin, first_bundle, put_in_place, write_adapted
from recognizer.training.adapt_decoder import count_errors
from recognizer.training.adapt_items import describe_left_out, read_items
from recognizer.training.adapt_run import Run, Settings, Verdict
from recognizer.training.adapt_session import AdaptProgress, Session
from recognizer.training.adapt_unlabelled import find_unlabelled
from recognizer.training.checkpoint import CHECKPOINT, lock_run
from recognizer.utils.device import prepare_host
from recognizer.utils.progress import Progress

WORK = ".adapting"  # what the folder of an unfinished run is called, behind the name of the output
OnProgress = Callable[[AdaptProgress], None]


@dataclass(frozen=True)
class AdaptResult:
    """What adapting brought.

    Attributes:
        bundle: the folder of the new bundle.
        before, after: error rate on items that were not learnt, 0 and up.
        interval: 95 % interval of the difference, after minus before.
        metric: "CER", "WER" or "UER".
        items: that were learnt or held back.
        held_back: those that the rates are of.
        minutes: it took.
        gained: whether the new weights are better beyond chance; if not, the bundle holds the old ones.
        also: error rates before and after on another corpus, where one was named.
    """

    bundle: Path
    before: float
    after: float
    interval: tuple[float, float]
    metric: str
    items: int
    held_back: int
    minutes: float
    gained: bool
    also: tuple[float, float] | None = None


def adapt(
    bundle: str | Path,
    corrections: str | Path,
    output: str | Path,
    *,
    minutes: float = 10.0,
    folds: int | None = None,
    rehearse: str | Path | None = None,
    unlabelled: Iterable[str | Path] = (),
    also: str | Path | None = None,
    continue_: bool = False,
    resume: bool = False,
    force: bool = False,
    seed: int = 0,
    device: str = "auto",
    threads: int = 0,
    on_progress: OnProgress | None = None,
    quiet: bool = True,
) -> AdaptResult:
    """Adapt a recognizer to corrected items and write the new one to ``output``; the given one is not touched.

    A tenth of the items is held back (whole speakers or writers where there are 20), or each of fewer than 60 once; the rates are of items
    that were not learnt. Weights that are not
    better beyond chance are not kept. SIGINT ends with the best so far, SIGTERM without a bundle; either can be gone on from.

    Args:
        bundle: name or folder.
        corrections: a manifest, a folder of files with x.txt or x.gt.txt beside them, or a project.
        output: folder of the new bundle.
        minutes: that it may take.
        folds: how often items are held back; 1: one share.
        rehearse: manifest of earlier training material, of which as many items are learnt again, against forgetting.
        unlabelled: files or folders of the same hand or voice without texts.
        also: manifest of another corpus that is scored before and after.
        continue_: go on from ``bundle`` itself if it was adapted before, not from what it started from.
        resume: go on with an unfinished run to the same output.
        force: also with fewer than ten items, and over an older bundle at ``output``.
        seed: of the division and of the training.
        device: "auto", "cpu", "cuda" or "cuda:N"; ``threads``: of the CPU, 0 for all cores.
        on_progress: is told how far it is, several times a second at most.
        quiet: print nothing.

    Raises:
        RecognizerError: nothing was learnt; the message says why and what to do.
    """
    prepare_host(threads)
    progress = Progress(quiet)
    parent, output = load_bundle(find_bundle(bundle)), Path(output)
    parent.require_weights()
    if not continue_:
        parent, note = first_bundle(parent)
        if note:
            progress.line(note)
    check_output(output, parent, force or resume)
    items, left_out = read_items(corrections, parent.config.modality)
    describe_left_out(left_out, progress.line)
    rehearsed = () if rehearse is None else tuple(load_manifest(rehearse))
    others = None if also is None else load_manifest(also)
    files = find_unlabelled(map(Path, unlabelled), parent.config.modality, (item.source for item in items))
    settings = Settings(folds, seed, device, threads, force, rehearsed, tuple(files))
    with _working_folder(output, resume) as work, Session(minutes, progress, on_progress, f"--resume goes on with what is in {work}") as session:
        verdict = Run(parent, items, work, settings, session).carry_out()
        complete = _write(parent, verdict, output, work)
        extra = None if others is None else _score_both(parent, complete, others, verdict, session)
        result = AdaptResult(
            output, verdict.before.rate, verdict.after.rate, verdict.interval, verdict.before.metric, verdict.items,
            len(verdict.before.rows), session.minutes, verdict.gained, extra,
        )  # fmt: skip
        put_in_place(complete, output)
        session.report("done", 1.0)
    if session.finished:
        shutil.rmtree(work, ignore_errors=True)
    return result


def describe(result: AdaptResult) -> str:
    """A result in a few lines."""
    low, high = (100 * end for end in result.interval)
    change = f"95 % interval of the difference {low:+.2f} .. {high:+.2f}"
    lines = [
        f"{result.metric} {100 * result.before:.2f} -> {100 * result.after:.2f} % on {result.held_back} items that were not learnt ({change})",
        f"{result.items} items, {result.minutes:.1f} minutes",
    ]
    if not result.gained:
        lines.append("nothing gained beyond chance: old weights kept")
    if result.also is not None:
        lines.append(f"the other corpus: {result.metric} {100 * result.also[0]:.2f} -> {100 * result.also[1]:.2f} %")
    return "\n".join([*lines, str(result.bundle)])


@contextmanager
def _working_folder(output: Path, resume: bool) -> Iterator[Path]:
    """The folder of what an interrupted run goes on from, beside the output and locked."""
    work = output.with_name(output.name + WORK)
    if resume and not work.is_dir():
        raise TrainingError(f"{work}: there is no unfinished run to go on with; leave out --resume")
    try:
        work.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrainingError(f"{work}: cannot be made: {error.strerror}") from None
    with lock_run(work):
        if not resume:
            for path in work.iterdir():
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                elif path.name != "lock":
                    path.unlink(missing_ok=True)
        try:
            yield work
        except RecognizerError as error:
            if not isinstance(error, Interrupted) and not any(work.rglob(CHECKPOINT)):  # there is nothing to go on with
                shutil.rmtree(work, ignore_errors=True)
            raise


def _write(parent: Bundle, verdict: Verdict, output: Path, work: Path) -> Path:
    """The new bundle, complete but not in its place: adapted networks, or the old ones if nothing is gained."""
    complete = work / "new"
    shutil.rmtree(complete, ignore_errors=True)
    figures = {
        "metric": verdict.before.metric, "before": verdict.before.rate, "after": verdict.after.rate, "interval": list(verdict.interval),
        "gained": verdict.gained, "items": verdict.items, "held_back": len(verdict.before.rows),
    }  # fmt: skip
    origin = describe_origin(parent, output, **figures)
    card = _card(parent, output, figures, origin.digest)
    if verdict.gained:
        lesson = Lesson(verdict.train, verdict.held, verdict.decoder, verdict.files, card, origin)
        write_adapted(complete, verdict.parents, verdict.adapted, lesson, work)
        return complete
    decoder, files = decoder_files(parent, has_partner=len(verdict.parents) > 1)
    old = [Adapted(each.alphabet, each.weights) for each in verdict.parents]
    write_adapted(complete, verdict.parents, old, Lesson((), verdict.held, decoder, files, card, origin), work)
    return complete


def _card(parent: Bundle, output: Path, figures: dict[str, Any], digest: str) -> str:
    low, high = (100 * end for end in figures["interval"])
    kept = "" if figures["gained"] else "\n* Nothing was gained beyond chance: the weights are those of the parent."
    return f"""# {output.name}

* Adapted from `{parent.folder.name}`, whose `bundle.json` has the SHA-256 `{digest}`; its card says what it was trained on.
* Corrected items: {figures["items"]}. {figures["metric"]} on {figures["held_back"]} of them, each by weights that had not learnt it:
  {100 * figures["before"]:.2f} % before, {100 * figures["after"]:.2f} % after; 95 % interval of the difference: {low:+.2f} .. {high:+.2f}
  points.{kept}
* These items stopped the training and chose the decoder's settings; score others with `recognizer evaluate`, which refuses
  those that were learnt.
"""


def _score_both(parent: Bundle, complete: Path, items: Sequence[Item], verdict: Verdict, session: Session) -> tuple[float, float]:
    """Error rates of the old and the new bundle on another corpus."""
    session.report("scoring the other corpus", 0.97)
    old, new = (count_errors(Recognizer(bundle), items, verdict.before.metric) for bundle in (parent, load_bundle(complete)))
    return old.only(new.rows).rate, new.only(old.rows).rate
