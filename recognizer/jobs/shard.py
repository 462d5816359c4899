"""Shards: parts of one list of files that jobs on other processors or machines do, without knowing of each other."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass, replace
from pathlib import Path

from recognizer.errors import ConfigError
from recognizer.jobs.job import Plan


@dataclass(frozen=True)
class Shard:
    """One of several parts of a list of files.

    Which shard a file is in follows from the name of its results, not from its place in the list: files that come or go, another order of the
    list and another way to the same folder move no other file, so that every shard finds its own again under ``--resume``. The sizes of
    shards differ by chance, by 1 % or so for 10,000 files each.

    Attributes:
        index: which one, from 1; ``count``: of how many.
    """

    index: int
    count: int

    @classmethod
    def parse(cls, word: str) -> Shard:
        """The shard of ``I/N`` on a command line.

        Raises:
            ConfigError: it is no such word, or there is no shard of this index.
        """
        match = re.fullmatch(r"([0-9]{1,9})/([1-9][0-9]{0,8})", word)
        if not match:
            raise ConfigError(f"--shard: {word!r} is not I/N, such as 3/8 for the third of eight shards")
        index, count = int(match[1]), int(match[2])
        if not 1 <= index <= count:
            raise ConfigError(f"--shard: there is no shard {word}: of {count} shards the first is 1/{count}, the last {count}/{count}")
        return cls(index, count)

    @property
    def name(self) -> str:
        """As part of the names of files, ``3-of-8``."""
        return f"{self.index}-of-{self.count}"

    def holds(self, name: str) -> bool:
        """Whether what has this name is in this shard; every name is in one."""
        digest = hashlib.blake2b(os.fsencode(name), digest_size=8).digest()
        return int.from_bytes(digest) % self.count == self.index - 1

    def pick(self, plan: Plan) -> Plan:
        """The jobs of this shard, and the problems that it is to tell; each is told by one shard."""
        jobs = [job for job in plan.jobs if self.holds(job.output)]
        problems = [(source, message) for source, message in plan.problems if self.holds(source)]
        notes = [*plan.notes, f"shard {self.index} of {self.count}: {len(jobs)} of {len(plan.jobs)} files"]
        return replace(plan, jobs=jobs, problems=problems, notes=notes)


def rival_folders(state: Path, shard: Shard | None) -> list[Path]:
    """Where the runs keep their state that may do the same files as this one, because they divide the list otherwise.

    Args:
        state: the folder of the state within an output folder.
        shard: of this run; None: it does all files.
    """
    folders = shard_folders(state)
    return list(folders) if shard is None else [state, *(folder for folder, count in folders.items() if count != shard.count)]


def shard_folders(state: Path) -> dict[Path, int]:
    """The folders in which shards keep their state, each with the number of shards that there were."""
    matches = {folder: re.fullmatch(r"[0-9]+-of-([0-9]+)", folder.name) for folder in sorted(state.glob("*-of-*")) if folder.is_dir()}
    return {folder: int(match[1]) for folder, match in matches.items() if match}
