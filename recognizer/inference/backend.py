"""What runs a bundle's network over a padded batch: torch, or onnxruntime where the bundle was exported. Neither is imported for the other."""

from __future__ import annotations

import ctypes
import os
from abc import ABC, abstractmethod
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from recognizer.bundle.io import Bundle
from recognizer.config import AudioFeatures
from recognizer.errors import ConfigError, InputError
from recognizer.utils.device import choose_device, mixed_precision

if TYPE_CHECKING:
    import torch

    from recognizer.models.heads import Head
    from recognizer.models.network import Network


class Backend(ABC):
    """A network ready for use, with arrays in and out.

    Attributes:
        stride: feature frames that one frame of its output stands for.
        num_labels: V, labels with the blank.
        num_units: U, those of the second output behind them, 0 where it is not read.
        head: what the objective adds to CTC, else None.
        has_ctc: whether log-probs of CTC stand in front of what the decoder takes.
        device: where it runs, "cpu", "cuda:0".
    """

    stride: int
    num_labels: int
    num_units: int = 0
    head: Head | None = None
    has_ctc: bool = True
    device: str = "cpu"

    @abstractmethod
    def feature_frames(self, size: int) -> int:
        """Feature frames of an input of so many samples, columns or points."""

    @abstractmethod
    def frames(self, features: int) -> int:
        """Frames that come out for so many feature frames."""

    @abstractmethod
    def run(self, inputs: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """A padded batch (B, N, ...) with lengths (B,) int64 -> what the decoder takes (B, T, C) float32, and the frames of each item (B,)."""

    def ctc_log_probs(self, decoder_input: np.ndarray) -> np.ndarray | None:
        """The CTC log-probs (T, V) within what the decoder takes (T, C), None where the objective has none."""
        return decoder_input[:, : self.num_labels] if self.has_ctc else None

    def silent_frame(self, probability: float) -> np.ndarray:
        """What the decoder takes (C,) of a frame in which nothing is said: the blank, each label having this probability; zeros for a head."""
        sizes = [size for size in (self.num_labels, self.num_units) if size and self.has_ctc]
        parts = [np.log([1 - probability * (size - 1), *[probability] * (size - 1)]) for size in sizes]
        if self.head is not None:
            parts.append(np.zeros(self.head.dim - (self.num_labels if parts else 0)))
        return np.concatenate(parts).astype(np.float32)


class TorchBackend(Backend):
    """A network run by torch.

    Args:
        network: on its device, in evaluation mode.
        precision: "float32" or "bf16".
        units: whether its second output is read.
    """

    def __init__(self, network: Network, precision: str, units: bool = False) -> None:
        self.network, self.precision = network, precision
        self.num_units = network.num_units if units else 0
        self.stride, self.num_labels, self.head = network.stride, network.num_labels, network.head
        self.has_ctc, self.device = network.output is not None, str(network.device)

    def feature_frames(self, size: int) -> int:
        """As :class:`Backend` says."""
        return self.network.features.frames(size)

    def frames(self, features: int) -> int:
        """As :class:`Backend` says."""
        return self.network.frames(features)

    def run(self, inputs: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """As :class:`Backend` says."""
        import torch

        device: torch.device = self.network.device
        batch, sizes = torch.from_numpy(inputs).to(device), torch.from_numpy(lengths).to(device)
        with torch.inference_mode(), mixed_precision(device, self.precision):
            table, frames = self.network(batch, sizes)
        return table[:, :, : table.shape[2] - self.network.num_units + self.num_units].cpu().numpy(), frames.cpu().numpy()


class OnnxBackend(Backend):
    """An exported network run by onnxruntime on the CPU.

    Args:
        bundle: with a graph.
        threads: of the CPU, 0: one for each core.
        units: whether its second output is read.

    Raises:
        ConfigError, BundleError: from :func:`~recognizer.bundle.onnx_file.open_session`.
    """

    def __init__(self, bundle: Bundle, threads: int, units: bool = False) -> None:
        self.bundle, self.threads, self.num_labels = bundle, threads, len(bundle.alphabet)
        self.num_units = len(bundle.config.model.units) + 1 if units else 0
        self._strides = bundle.config.model.frontend.strides
        self.stride = int(np.prod(self._strides))
        self._process = os.getpid()
        self._session  # noqa: B018  # so that a fault is told now

    @cached_property
    def _session(self) -> Any:
        from recognizer.bundle.onnx_file import open_session

        assert self.bundle.graph is not None
        return open_session(self.bundle.graph, self.threads)

    def feature_frames(self, size: int) -> int:
        """As :class:`Backend` says."""
        features = self.bundle.config.features
        return features.frames(size) if isinstance(features, AudioFeatures) else size

    def frames(self, features: int) -> int:
        """As :class:`Backend` says."""
        for stride in self._strides:
            features = -(-features // stride)
        return features

    def run(self, inputs: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """As :class:`Backend` says."""
        if self._process != os.getpid():  # forked: the threads of the session stayed in the other process
            self._process, self.threads = os.getpid(), 1
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._session))  # it is never freed, which would wait for these threads for ever
            del self._session
        try:
            # one by one, which takes onnxruntime less time than padded batches; what it quantizes depends on no other item then
            rows = [self._session.run(["log_probs"], {"inputs": row[None, : max(1, n)], "lengths": lengths[b : b + 1]})[0][0]
                    for b, (row, n) in enumerate(zip(inputs, lengths, strict=True))]  # fmt: skip
        except Exception as error:  # classes of its own
            raise InputError(f"{self.bundle.graph}: onnxruntime cannot run it on these inputs: {' '.join(str(error).split())}") from None
        frames = np.array([self.frames(self.feature_frames(int(n))) for n in lengths])
        table = np.zeros((len(rows), max(len(row) for row in rows), self.num_labels + self.num_units), dtype=np.float32)
        for place, row in zip(table, rows, strict=True):
            place[: len(row)] = row[:, : table.shape[2]]
        return table, frames


def open_backends(bundles: tuple[Bundle, ...], device: str, precision: str, threads: int, units: bool = False) -> list[Backend]:
    """What runs each of some bundles.

    Args:
        bundles: with weights, or exported.
        device: "auto", "cpu", "cuda" or "cuda:N".
        precision: "float32" or "bf16".
        threads: of the CPU for onnxruntime, 0: one for each core; torch has the number that it was told before.
        units: whether second outputs are read (``decoder.combine_with=units``).

    Raises:
        ConfigError: a device that is not there, or one or a precision that an exported bundle does not have.
        BundleError: weights that do not fit the settings, or a damaged graph.
    """
    made: list[Backend] = []
    for bundle in bundles:
        if bundle.graph is not None:
            if device not in ("auto", "cpu"):
                raise ConfigError(f"device: {device!r}: {bundle.graph} was exported and runs on the CPU; leave --device out")
            if precision != "float32":
                raise ConfigError(f"precision: {precision!r}: {bundle.graph} computes as it was exported; leave --precision out")
            made.append(OnnxBackend(bundle, threads, units))
            continue
        made.append(TorchBackend(bundle.network().to(choose_device(device)), precision, units))
    return made
