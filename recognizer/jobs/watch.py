"""A folder that files arrive in: each is read once it has stopped growing."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator

from recognizer.config import Modality
from recognizer.errors import InputError
from recognizer.jobs.find import Finder
from recognizer.jobs.job import Plan, plan_found

POLL_SECONDS = 2.0


def watch(
    folder: str, wanted: Modality | None = None, skip: str | None = None, every: float = POLL_SECONDS, wait: Callable[[float], None] = time.sleep
) -> Iterator[Plan]:
    """Plans of the files in a folder, for ever: those that are there, then those that come or change.

    A file is taken when its size and its time of change are the same at two looks that follow each other, and it is not empty.

    Args:
        folder: to be looked at, with all below it.
        wanted: what the recognizer reads; None: each file's name decides.
        skip: a folder that is not searched, that of the results.
        every: seconds between two looks.
        wait: called between looks.

    Raises:
        InputError: there is no such folder.
    """
    if not os.path.isdir(folder):
        raise InputError(f"{folder}: no such folder to watch")
    last: dict[str, tuple[int, int]] = {}
    taken: dict[str, tuple[int, int]] = {}
    told: set[str] = set()
    while True:
        finder = Finder(wanted, skip)
        finder.add(folder)
        now = {name: state for name in (found.source for found in finder.found) if (state := _state(name)) is not None}
        steady = {name for name, state in now.items() if state[0] > 0 and last.get(name) == state != taken.get(name)}
        whole = plan_found(finder)
        plan = Plan([job for job in whole.jobs if job.source in steady])
        problems = [*whole.problems, *((name, f"{name}: is of another kind and is passed over") for name in whole.passed_over)]
        for name, line in problems:
            if line not in told and name != folder:  # an empty folder is no fault here
                plan.notes.append(line)
        told.update(plan.notes)
        if plan.jobs or plan.notes:
            yield plan
        taken.update((name, now[name]) for name in steady)
        last = now
        wait(every)


def _state(name: str) -> tuple[int, int] | None:
    try:
        found = os.stat(name)
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns
