"""Jobs: one file to recognize and the name of its results, found for all that a command line names."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field

from recognizer.config import Modality
from recognizer.jobs.find import Finder, Found
from recognizer.jobs.names import distinct_ids, name_outputs


@dataclass(frozen=True, slots=True)
class Job:
    """One file to recognize.

    Attributes:
        source: its name as the user knows it; messages and results call it so.
        output: relative path of its results below an output folder, without the ending of a format.
        modality: what it holds.
        id: what a stream of the results of many files calls it; no two files have the same.
        path: where it lies.
    """

    source: str
    output: str
    modality: Modality
    id: str
    path: str


@dataclass
class Plan:
    """What is to be done, and what is said about the rest.

    Attributes:
        jobs: in the order of the sources.
        problems: sources that cannot be used, each with one line that names it.
        notes: lines about what is left out on purpose, such as files of other kinds in a folder.
        passed_over: files of other kinds, by name.
    """

    jobs: list[Job] = field(default_factory=list)
    problems: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    passed_over: list[str] = field(default_factory=list)

    def of(self, modality: Modality) -> list[Job]:
        """The jobs of one kind."""
        return [job for job in self.jobs if job.modality == modality]


def plan_jobs(sources: Iterable[str], wanted: Modality | None = None, skip: str | None = None, once: bool = False) -> Plan:
    """Find the files that file names, folders, glob patterns, manifests and projects stand for.

    Args:
        sources: as on a command line.
        wanted: what the recognizer reads; None: each file's name decides.
        skip: a folder that is not searched, that of the results.
        once: whether a file that is named twice is one job.
    """
    finder = Finder(wanted, skip)
    for source in sources:
        finder.add(source)
    return plan_found(finder, once)


def plan_found(finder: Finder, once: bool = False) -> Plan:
    """The plan for what was found; see :func:`plan_jobs`."""
    found = _without_repeats(finder.found) if once else finder.found
    plan = Plan(problems=finder.problems, notes=finder.notes, passed_over=finder.passed_over)
    outputs = name_outputs(found)
    for each, output, identity in zip(found, outputs, distinct_ids(outputs), strict=True):
        plan.jobs.append(Job(each.source, output, each.modality, identity, each.source))
    return plan


def _without_repeats(found: list[Found]) -> list[Found]:
    first: dict[str, Found] = {}
    for each in found:
        first.setdefault(os.path.abspath(each.source), each)
    return list(first.values())
