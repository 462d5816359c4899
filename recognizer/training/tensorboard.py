"""Curves for TensorBoard, which is an extra of the package."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from recognizer.errors import TrainingError


def write_scalars(run_dir: Path, record: dict[str, Any]) -> None:
    """Append the numbers of an epoch to ``run_dir/tensorboard``.

    Raises:
        TrainingError: the extra is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise TrainingError("trainer.tensorboard=true needs the extra: pip install 'recognizer[tensorboard]'") from None
    with SummaryWriter(str(run_dir / "tensorboard")) as writer:
        for key, value in record.items():
            if key not in ("epoch", "step"):
                writer.add_scalar(key, value, record["step"])
