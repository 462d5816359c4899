"""What callers give a recognizer: paths, bytes, open files, arrays, tensors and pictures, one or many, held until they are read."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import weakref
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, cast, runtime_checkable

import numpy as np
from PIL import Image

from recognizer.errors import InputError
from recognizer.image.io import gray_picture

if TYPE_CHECKING:
    import torch


@runtime_checkable
class Readable(Protocol):
    """A file opened for reading bytes, or what can be read as one."""

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes, all of them for -1; none at the end."""
        ...


# One input, as callers give it.
Given: TypeAlias = "str | os.PathLike[str] | bytes | bytearray | memoryview | Readable | np.ndarray | torch.Tensor | Image.Image"


class HeldFile:
    """What bytes or an open file hold, as a temporary file that is removed with this object.

    As a path it is that file; as text it is the name that messages and results call it.
    """

    def __init__(self, name: str, content: bytes | bytearray | memoryview | Readable) -> None:
        """Write the file, of an open file from where it stands to its end.

        Raises:
            InputError: it cannot be read, or was opened as text.
        """
        self.name = name
        number, self._path = tempfile.mkstemp(prefix="recognizer-")
        self._remove = weakref.finalize(self, _remove, self._path, os.getpid())
        try:
            with os.fdopen(number, "wb") as target:
                if isinstance(content, (bytes, bytearray, memoryview)):
                    target.write(content)
                else:
                    shutil.copyfileobj(cast("Any", content), target, 1 << 20)
        except TypeError:
            raise InputError(f"{name}: was opened as text; open it as bytes, open(..., 'rb')") from None
        except (OSError, ValueError) as error:  # the latter: a file that is closed
            raise InputError(f"{name}: cannot be read: {getattr(error, 'strerror', None) or error}") from None

    def __fspath__(self) -> str:
        return self._path

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Unusable:
    """An input that cannot be used: its name and one line that says why."""

    name: str
    error: str

    def __str__(self) -> str:
        return self.name


Held: TypeAlias = str | Path | np.ndarray | HeldFile | Unusable


def is_one(given: object) -> bool:
    """Whether this is one input rather than a list or iterator of many."""
    if isinstance(given, (str, bytes, bytearray, memoryview, os.PathLike, np.ndarray, Image.Image, Readable)) or _is_tensor(given):
        return True
    return not isinstance(given, Iterable)


def hold_all(given: Iterable[Any]) -> Iterator[Any]:
    """Each input as it can be read later, in another thread; see :func:`hold`."""
    for number, each in enumerate(given):
        yield hold(number, each)


def hold(number: int, given: Any) -> Any:
    """An input that stays as it is now, whatever the caller does with it: paths, arrays and what the package itself passes on as they are.

    Bytes and open files become a :class:`HeldFile`, tensors and pictures arrays; what is none of these becomes :class:`Unusable`.

    Args:
        number: by which an input without a name of its own is called.
        given: one input.
    """
    name = f"input {number}"
    try:
        if isinstance(given, (bytes, bytearray, memoryview)):
            return HeldFile(f"bytes {number}", given)
        if _is_tensor(given):
            return _array_of(given)
        if isinstance(given, Image.Image):
            name = f"image {number}"
            return gray_picture(given, name)
        if isinstance(given, Readable):
            named = getattr(given, "name", None)
            name = named if isinstance(named, str) else f"file {number}"
            return HeldFile(name, given)
    except InputError as error:
        return Unusable(name, str(error))
    if isinstance(given, os.PathLike) and not isinstance(given, (Path, HeldFile)):
        given = os.fspath(given)
    if isinstance(given, bytes):
        given = os.fsdecode(given)
    if given is None or isinstance(given, (bool, int, float, complex, list, tuple, dict, set)):
        kinds = "a path, bytes, an open file, an array, a tensor or a picture"
        return Unusable(name, f"{name}: expected {kinds}, found {type(given).__name__}")
    return given


def _is_tensor(given: object) -> bool:
    """Whether this is a tensor of torch, which whoever made one has imported."""
    return "torch" in sys.modules and isinstance(given, sys.modules["torch"].Tensor)


def _array_of(tensor: torch.Tensor) -> np.ndarray:
    """The array of a tensor; one channel of samples (1, N), as torchaudio reads it, becomes (N,)."""
    tensor = tensor.detach().cpu()
    if tensor.is_floating_point():
        tensor = tensor.float() if tensor.element_size() == 2 else tensor
        tensor = tensor[0] if tensor.ndim == 2 and len(tensor) == 1 else tensor
    array: np.ndarray = tensor.numpy()
    return array


def _remove(path: str, process: int) -> None:
    if os.getpid() == process:  # in a process forked from it the file is still the parent's
        with suppress(OSError):
            os.unlink(path)
