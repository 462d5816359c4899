"""The part of bulk recognition that Ray Data does: read, recognize on actors, write, and know what is done."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset
import ray
import ray.data
from ray.data import ActorPoolStrategy, DataContext
from ray.data.checkpoint import CheckpointConfig
from ray.exceptions import RayError

from recognizer.errors import InputError, OutputError
from recognizer.jobs.bulk import BulkResult, BulkSettings, Place, recognize_rows
from recognizer.jobs.find import STATE

if TYPE_CHECKING:
    from ray.data import Dataset

BLOCK = 32 << 20  # bytes of the content of files that are handed on together
TOGETHER = 8  # files that are fetched at a time
RETRIED = ["Input/output error", "Stale file handle", "Connection timed out", "Transport endpoint is not connected", "No route to host",
    "Network is unreachable", "Connection reset by peer", "Host is down"]  # fmt: skip

_WORD = pa.struct([("text", pa.string()), ("start", pa.float64()), ("end", pa.float64()), ("confidence", pa.float64()),
                   ("box", pa.list_(pa.float64()))])  # fmt: skip
_LINE = pa.struct([("id", pa.string()), ("text", pa.string()), ("outline", pa.list_(pa.list_(pa.float64()))), ("confidence", pa.float64()),
                   ("words", pa.list_(_WORD)), ("error", pa.string())])  # fmt: skip
SCHEMA = pa.schema([  # the same for every block, whatever its rows hold
    ("source", pa.string()), ("text", pa.string()), ("error", pa.string()), ("score", pa.float64()), ("seconds", pa.float64()),
    ("width", pa.int64()), ("height", pa.int64()), ("page", pa.int64()), ("channel", pa.string()), ("units", pa.list_(pa.string())),
    ("words", pa.list_(_WORD)), ("lines", pa.list_(_LINE)),
    ("alternatives", pa.list_(pa.struct([("text", pa.string()), ("score", pa.float64())]))),
])  # fmt: skip


class Worker:
    """An actor with a recognizer of its own."""

    def __init__(self, settings: BulkSettings) -> None:
        self.settings = settings
        self.recognizer = settings.load()

    def __call__(self, rows: pa.Table) -> pa.Table:
        """The results of a batch of files."""
        columns = {name: rows[name].to_pylist() for name in rows.column_names}
        columns["source"] = columns.pop(self.settings.name_column)
        if self.settings.bytes_column is not None:  # as data sets keep it, with the name beside
            held = columns.pop(self.settings.bytes_column)
            columns["content"] = [each["bytes"] if isinstance(each, dict) else each for each in held]
            columns["problem"] = [None if content else f"{name}: the row holds no bytes"
                                  for name, content in zip(columns["source"], columns["content"], strict=True)]
        table = pa.Table.from_pylist(recognize_rows(self.recognizer, columns, self.settings), SCHEMA)
        return table.rename_columns([self.settings.name_column, *table.column_names[1:]])


def run_on_ray(place: Place, target: Place, settings: BulkSettings) -> None:
    """Recognize what the rows of Parquet tables name or hold; raises as :func:`recognizer.jobs.bulk.bulk`."""
    if not ray.is_initialized():
        ray.init(log_to_driver=False)
    context = DataContext.get_current().copy()
    context.target_max_block_size = BLOCK
    context.retried_io_errors = [*context.retried_io_errors, *RETRIED]
    checkpoint = posixpath.join(str(target), STATE, "checkpoint")
    context.checkpoint_config = CheckpointConfig(settings.name_column, checkpoint, delete_checkpoint_on_success=False, **_system(target))
    context.checkpoint_config.checkpoint_actor_pool_max_size = 1
    try:
        with DataContext.current(context):
            _write(_recognize(_read(place, settings), settings), target, settings)
    except (RayError, OSError) as error:
        raise OutputError(f"{target}: the run ended: {_first_line(error)}; what is done stays, and the same call goes on") from None


def count_results(target: Place, settings: BulkSettings) -> BulkResult:
    """How many results a folder holds, and how many of them are errors."""
    files = [name for name in target.system.ls(target.path, detail=False) if name.endswith(_ending(settings))]
    form = "parquet" if settings.output == "parquet" else "json"
    if not files:
        return BulkResult(0, 0)
    table = pyarrow.dataset.dataset(files, schema=pa.schema([SCHEMA.field("error")]), format=form, filesystem=target.system)
    return BulkResult(table.count_rows(), table.count_rows(filter=pc.field("error").is_valid()))


def _read(place: Place, settings: BulkSettings) -> Dataset:
    """Rows with "source" and, unless the files are on this machine, "content"."""
    columns = [settings.name_column, *([settings.bytes_column] if settings.bytes_column else [])]
    rows = ray.data.read_parquet(str(place), columns=columns, **({} if place.local else {"filesystem": place.system}))
    if settings.bytes_column is None:
        rows = rows.repartition(target_num_rows_per_block=settings.batch).map_batches(fetch, batch_format="pyarrow", batch_size=settings.batch)
    return rows


def _recognize(rows: Dataset, settings: BulkSettings) -> Dataset:
    pool = ActorPoolStrategy(size=settings.actors) if settings.actors else ActorPoolStrategy(min_size=1)
    return rows.map_batches(
        Worker, batch_format="pyarrow", batch_size=settings.batch, compute=pool, fn_constructor_args=(settings,),
        num_gpus=settings.gpus or None, num_cpus=settings.cpus,
        ray_remote_args_fn=lambda: {"max_restarts": -1, "max_task_retries": settings.retries},
    )  # fmt: skip


def _write(results: Dataset, target: Place, settings: BulkSettings) -> None:
    write = results.write_parquet if settings.output == "parquet" else results.write_json
    write(str(target), min_rows_per_file=settings.file_rows, **({} if target.local else {"filesystem": target.system}))


def fetch(rows: pa.Table) -> Iterator[pa.Table]:
    """Names with the content of the files that are not on this machine, a few at a time, so that blocks of large files stay small."""
    names = rows[rows.column_names[0]].to_pylist()
    for begin in range(0, len(names), TOGETHER):
        some = names[begin : begin + TOGETHER]
        yield pa.table({rows.column_names[0]: pa.array(some, pa.string()), **_contents(some)})


def _contents(names: list[str]) -> dict[str, pa.Array]:
    """Columns "content" and, why there is none, "problem"; those of local files are empty."""
    contents: list[bytes | None] = [None] * len(names)
    problems: list[str | None] = [None] * len(names)
    for number, name in enumerate(names):
        if "://" in name:
            try:
                contents[number] = Place.of(name).read()
            except InputError as error:
                problems[number] = str(error)
    return {"content": pa.array(contents, pa.large_binary()), "problem": pa.array(problems, pa.string())}


def _system(place: Place) -> dict[str, Any]:
    """The file system of results, where Ray cannot tell it by itself."""
    if place.local:
        return {}
    from pyarrow.fs import FSSpecHandler, PyFileSystem

    return {"override_filesystem": PyFileSystem(FSSpecHandler(place.system))}


def _ending(settings: BulkSettings) -> str:
    return ".parquet" if settings.output == "parquet" else ".json"


def _first_line(error: BaseException) -> str:
    """What a failure on Ray was about, without the trace."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if isinstance(error, RayError) and lines else " ".join(lines[:1]) or type(error).__name__
