"""Recognition of archives of any size: files, lists or tables in, Parquet or JSONL out, on all machines of a Ray cluster."""

from __future__ import annotations

import hashlib
import json
import posixpath
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from recognizer.config import DecoderConfig
from recognizer.errors import ConfigError, InputError, OutputError
from recognizer.formats.json_lines import transcript_record
from recognizer.inference.inputs import SUFFIXES
from recognizer.inference.recognizer import Recognizer
from recognizer.jobs.find import STATE, describe
from recognizer.jobs.job import Job
from recognizer.jobs.ledger import digest_settings
from recognizer.jobs.pages import BY_LOOK, PageChoice
from recognizer.jobs.recognize import ChannelChoice, recognize
from recognizer.jobs.run import open_results
from recognizer.types import Transcript
from recognizer.utils.reading import parse_json

if TYPE_CHECKING:
    import fsspec

NAME_KEYS = ("source", "path")  # of a list, whichever comes first
WAITS = (1.0, 4.0)  # seconds after which a file is fetched again
SETTINGS = "settings.json"  # within the state of an output folder: what its results were made with


@dataclass(frozen=True)
class BulkSettings:
    """How an archive is recognized.

    Attributes:
        model: folder of a bundle, or name of one that ships; every machine needs it at this place.
        output: "parquet", or "jsonl".
        actors: recognizers that work side by side; 0: as many as the cluster has room for.
        gpus: that each of them takes, a part of one for small models; ``cpus``: processor cores of each, which are its threads.
        precision: of the network, "float32" or "bf16".
        n_best: how many hypotheses; ``times``: whether to align words and give confidences.
        channel: of recordings; ``pages``: which pictures are pages, and how these are read.
        decoder: other settings of decoding than the bundle's.
        name_column: of a Parquet table, names of files or, beside ``bytes_column``, what its rows are called.
        bytes_column: of a Parquet table, the content of files; None: the files are read from where their names say.
        batch: files that an actor takes at a time. It sorts them by length; the more, the less padding.
        file_rows: least results in one file; what is not yet in one is done again if the run is killed.
        retries: how often a batch is tried again whose actor died, of a lack of memory, say.
    """

    model: str
    output: Literal["parquet", "jsonl"] = "parquet"
    actors: int = 0
    gpus: float = 0.0
    cpus: int = 1
    precision: str = "float32"
    n_best: int = 1
    times: bool = False
    channel: ChannelChoice = "auto"
    pages: PageChoice = BY_LOOK
    decoder: DecoderConfig | None = None
    name_column: str = "source"
    bytes_column: str | None = None
    batch: int = 64
    file_rows: int = 512
    retries: int = 3

    def load(self) -> Recognizer:
        """The recognizer of one actor."""
        return Recognizer.load(self.model, "cuda" if self.gpus else "cpu", self.precision, self.cpus, self.decoder)


@dataclass(frozen=True)
class BulkResult:
    """What is in an output folder once a run is over: so many rows, of which ``failed`` are errors."""

    rows: int
    failed: int


def bulk(source: str | Path, out: str | Path, model: str | Path, **settings: Any) -> BulkResult:
    """Recognize an archive on a Ray cluster, or on this machine if there is none.

    The results are tables in ``out``, a row for each file (for each channel or page where these are told apart) with its ``source``, ``text``,
    ``score``, ``seconds`` and so on, and ``error`` where it could not be used. A run that was stopped goes on when it is called again:
    what is in a finished table is not done again, and no file is in two. Memory does not grow with the number of files.

    Args:
        source: a folder with recordings, line images or pen traces anywhere below it; a JSONL list whose lines have a key "source" or "path",
            such as a manifest; a Parquet table, or a folder of such tables, with a column of names and perhaps one of the files' content.
            Each may be an address that fsspec opens (``s3://``, ``gs://``, ``hf://``), and so may the names in a list or a table.
        out: folder, or address of one, that no other run writes into.
        model: folder of a bundle, or name of one that ships.
        settings: those of :class:`BulkSettings`, by name.

    Raises:
        ConfigError: Ray is not installed, the settings cannot be, or ``out`` holds results of other settings.
        InputError: the source cannot be read, or holds nothing that the model reads.
        OutputError: ``out`` cannot be written, another run uses it, or actors keep dying; what is done stays.
    """
    try:
        from recognizer.jobs.bulk_ray import count_results, run_on_ray
    except ModuleNotFoundError as error:
        raise ConfigError(f"bulk recognition needs Ray Data ({error.name} is missing); pip install 'recognizer[ray]'") from None
    wanted = BulkSettings(str(model), **settings)
    if wanted.output not in ("parquet", "jsonl"):
        raise ConfigError(f"output: {wanted.output!r} is not parquet or jsonl")
    recognizer = Recognizer.load(wanted.model, "cpu", decoder=wanted.decoder)
    place, target = Place.of(source), Place.of(out)
    with ExitStack() as stack:
        if target.local:
            stack.enter_context(open_results(target.path))
        target.keep_settings(_digest(recognizer, wanted))
        table = place.table()
        if table is None:
            names = place.listed() if place.path.endswith(".jsonl") else place.files(SUFFIXES[recognizer.config.modality])
            table = stack.enter_context(TemporaryDirectory(prefix="recognizer-"))
            if not write_names(names, Path(table)):
                raise InputError(f"{place}: no {describe(recognizer.config.modality)} found")
            place, wanted = Place.of(table), replace(wanted, name_column="source", bytes_column=None)
        run_on_ray(place, target, wanted)
    return count_results(target, wanted)


@dataclass(frozen=True)
class Place:
    """A file or folder on this machine or behind an address.

    Attributes:
        system: that opens it; ``path``: within that; ``local``: whether it is on this machine.
        address: what stands in front of the path in names; empty where it is local.
    """

    system: fsspec.AbstractFileSystem
    path: str
    local: bool
    address: str

    @classmethod
    def of(cls, name: str | Path) -> Place:
        """Open the file system of a name.

        Raises:
            InputError: it is the address of something that cannot be opened.
        """
        import fsspec

        try:
            system, path = fsspec.core.url_to_fs(str(name))
        except (ImportError, ValueError, OSError) as error:
            raise InputError(f"{name}: cannot be opened: {error}") from None
        local = "file" in (system.protocol if isinstance(system.protocol, tuple) else (system.protocol,))
        address = "" if local else str(name).partition("://")[0] + "://"
        return cls(system, path, local, "" if path.startswith(address) else address)

    def __str__(self) -> str:
        return self.address + self.path

    def files(self, suffixes: Iterable[str]) -> Iterator[str]:
        """The names of the files of a kind below a folder, or the one that this is."""
        try:
            found = self.system.find(self.path)
        except (OSError, ValueError) as error:
            raise InputError(f"{self}: cannot be read: {error}") from None
        below = posixpath.join(self.path, STATE)
        return (self.address + name for name in found if PurePosixPath(name).suffix.lower() in suffixes and not name.startswith(below))

    def listed(self) -> Iterator[str]:
        """The names in a list, each once; those that are relative are so to the folder of the list."""
        digests = np.fromiter((_digest_name(name) for name in self._lines()), np.uint64)
        values, counts = np.unique(digests, return_counts=True)
        repeated, seen = set(values[counts > 1].tolist()), set()
        for name in self._lines():
            if _digest_name(name) in repeated:
                if name in seen:
                    continue
                seen.add(name)
            yield name

    def table(self) -> str | None:
        """This place if it holds Parquet tables; None if not."""
        if self.path.endswith(".parquet"):
            return str(self)
        isdir = not self.path.endswith(".jsonl") and self.system.isdir(self.path)
        return str(self) if isdir and any(name.endswith(".parquet") for name in self.system.ls(self.path, detail=False)) else None

    def read(self) -> bytes:
        """The content of the file; storage that does not answer is asked again.

        Raises:
            InputError: it cannot be read.
        """
        for seconds in (*WAITS, None):
            try:
                content: bytes = self.system.cat_file(self.path)
                return content
            except FileNotFoundError:
                raise InputError(f"{self}: no such file") from None
            except Exception as error:  # each file system has its own
                if seconds is None:
                    raise InputError(f"{self}: cannot be read: {' '.join(str(error).split()) or type(error).__name__}") from None
                time.sleep(seconds)
        raise AssertionError

    def keep_settings(self, digest: str) -> None:
        """Write what the results of this folder are made with, or make sure that it is the same as before.

        Raises:
            ConfigError: it is not.
            OutputError: it cannot be written.
        """
        path = posixpath.join(self.path, STATE, SETTINGS)
        try:
            if self.system.exists(path):
                if json.loads(self.system.cat_file(path))["digest"] != digest:
                    raise ConfigError(f"{self}: holds results of another model or of other settings; name another folder")
                return
            self.system.makedirs(posixpath.dirname(path), exist_ok=True)
            self.system.pipe_file(path, json.dumps({"digest": digest}).encode())
        except (OSError, ValueError, KeyError) as error:
            raise OutputError(f"{self}: cannot be used for results: {error}") from None

    def _lines(self) -> Iterator[str]:
        try:
            with self.system.open(self.path, "rb") as file:
                for number, line in enumerate(file, start=1):
                    if line.strip():
                        yield self._name(parse_json(line.rstrip(b"\r\n").removeprefix(b"\xef\xbb\xbf"), f"{self}:{number}"), number)
        except OSError as error:
            raise InputError(f"{self}: cannot be read: {error.strerror or error}") from None

    def _name(self, record: Any, number: int) -> str:
        name = next((record[key] for key in NAME_KEYS if isinstance(record.get(key), str)), None) if isinstance(record, dict) else None
        if not name:
            raise InputError(f"{self}:{number}: expected a JSON object with the key {NAME_KEYS[0]!r} or {NAME_KEYS[1]!r}")
        return name if "://" in name else posixpath.join(posixpath.dirname(str(self)), name)


def write_names(names: Iterable[str], folder: Path, rows: int = 4096) -> int:
    """Write names as Parquet tables with a column "source", so many to a file, which is what one task reads; returns how many there were."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    count, part = 0, list[str]()

    def flush() -> None:
        pq.write_table(pa.table({"source": pa.array(part, pa.string())}), folder / f"{count:012d}.parquet")

    for name in names:
        part.append(name)
        count += 1
        if len(part) == rows:
            flush()
            part.clear()
    if part:
        flush()
    return count


def recognize_rows(recognizer: Recognizer, columns: Mapping[str, Sequence[Any]], settings: BulkSettings) -> list[dict[str, Any]]:
    """The results of some files.

    Args:
        recognizer: of their kind.
        columns: "source", names of files; "content", their bytes, or None of a file on this machine; "problem", one line about a file
            that could not be fetched, or None.
        settings: what is wanted.
    """
    results: list[dict[str, Any]] = []
    with TemporaryDirectory(prefix="recognizer-") as folder:

        def jobs() -> Iterator[Job]:
            for number, (name, content, problem) in enumerate(zip(columns["source"], columns["content"], columns["problem"], strict=True)):
                path = name
                if problem is not None:
                    results.append(_record(Transcript(name, error=problem)))
                    continue
                if content is not None:
                    path = str(Path(folder) / f"{number}{PurePosixPath(name).suffix.lower()}")
                    Path(path).write_bytes(content)
                yield Job(name, name, recognizer.config.modality, name, path)

        for result in recognize(recognizer, jobs(), settings.n_best, settings.times, settings.channel, None, settings.pages):
            results.append(_record(result.transcript))
            if result.last and result.job.path != result.job.source:
                Path(result.job.path).unlink()
    return results


def _record(transcript: Transcript) -> dict[str, Any]:
    """A transcript as a row."""
    if transcript.error is not None:
        return {"source": transcript.source, "error": transcript.error, "page": transcript.page, "channel": transcript.channel}
    return transcript_record(transcript)


def _digest(recognizer: Recognizer, settings: BulkSettings) -> str:
    """What results depend on."""
    kept = ("n_best", "times", "channel", "pages", "precision", "output", "name_column", "bytes_column")
    return digest_settings(recognizer, {key: value for key, value in asdict(settings).items() if key in kept})


def _digest_name(name: str) -> int:
    return int.from_bytes(hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest())
