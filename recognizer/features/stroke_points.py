"""Points of pen traces as feature frames, batched and padded."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from recognizer.config import StrokeFeatures
from recognizer.features.statistics import SMALLEST_DEVIATION
from recognizer.features.stroke_kernel import STROKE_DIM, describe_points

Count = TypeVar("Count", int, Tensor)
SLOWEST = 1e-3  # corpus heights a second; below, the speed is not known


def stroke_features(points: Tensor, lengths: Tensor) -> Tensor:
    """Describe every point by the 25 numbers of Graves et al. 2009 (IEEE TPAMI 31(5), section 3, online data).

    The numbers of a point are

    0. whether the pen is down;
    1. the hat: whether a delayed stroke was taken out here;
    2. the speed before resampling;
    3. x less its mean over 25 points on either side;
    4. y;
    5. and 6. cosine and sine of the writing direction, from the point to the next (the last one has that of the one before);
    7. and 8. curvature: cosine and sine of the angle between the lines to the points before and after, seen from the point;
    9. vicinity aspect: (height - width) / (height + width) of the box around the vicinity, which is 3 points on either side;
    10. and 11. vicinity slope: cosine and sine of the direction from its first to its last point;
    12. vicinity curliness: its length along the trace by the longer side of its box;
    13. vicinity linearity: mean squared distance of its points from the straight line between its first and last point;
    14. and 15. how many points of ink within a corpus height to the left and right lie more than half a corpus height
        above the corpus line (ascenders) or below the base line (descenders);
    16. to 24. the context map: how many points of ink lie in each of 3 x 3 squares around the point, each half a corpus
        height wide, row by row from the top.

    Which numbers there are is published; how far the vicinities, the mean and the map reach is not, and was chosen here. The
    margin for ascenders and descenders follows Jaeger et al. 2001 (Online handwriting recognition: the NPen++ recognizer).
    At the ends of a trace vicinities are shorter. Where points coincide, directions are 0 and 0, the angle is that of a
    straight line, the aspect is 0 and the curliness 1.

    Args:
        points: (B, T, 5) float32, as :func:`~recognizer.features.strokes.prepare_strokes` gives them, padded with anything.
        lengths: (B,) points of each trace.

    Returns:
        (B, T, 25) float32, zero beyond a trace's length. Each trace is described by itself.
    """
    arrays = points.detach().cpu().numpy()
    result = np.zeros((*arrays.shape[:2], STROKE_DIM), dtype=np.float32)
    for trace, row, length in zip(arrays, result, lengths.tolist(), strict=True):
        describe_points(np.ascontiguousarray(trace[:length]), row[:length])
    return torch.from_numpy(result).to(points.device)


class StrokePoints(nn.Module):
    """One frame a point, described by 25 numbers.

    Buffers ``mean`` and ``std``, (D,), are the corpus statistics; until :meth:`set_statistics` they change nothing.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, config: StrokeFeatures) -> None:
        """Make features; ``dim`` is their number D."""
        super().__init__()
        self.config = config
        self.dim = STROKE_DIM
        self.register_buffer("mean", torch.zeros(self.dim))
        self.register_buffer("std", torch.ones(self.dim))

    def frames(self, points: Count) -> Count:
        """Frames that so many prepared points give: as many."""
        return points

    def raw(self, points: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Features (B, T, D) float32 before normalisation, of points (B, T, 5) padded with anything; and the lengths (B,)."""
        with torch.autocast(points.device.type, enabled=False):
            return stroke_features(points.float(), lengths), lengths

    def gaps(self, features: Tensor) -> Tensor:
        """Of features (B, T, D) as :meth:`forward` gives them, the time from the point before (B, T): its distance by the pen's speed.

        In units of 10 ms, at most 1,000 of them; 1 where the times are not known.
        """
        speed = features[:, :, 2]
        if self.config.normalise == "corpus":
            speed = speed * self.std[2] + self.mean[2]
        known = speed > SLOWEST
        return torch.where(known, (100 * self.config.spacing / torch.where(known, speed, 1.0)).clamp_max(1000), 1.0)

    def forward(self, points: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """As :meth:`raw`, normalised by the corpus statistics if so configured; frames beyond a trace are exactly zero."""
        features, lengths = self.raw(points, lengths)
        if self.config.normalise == "corpus":
            real = torch.arange(features.shape[1], device=features.device) < lengths.to(features.device)[:, None]  # (B, T)
            features = torch.where(real[:, :, None], (features - self.mean) / self.std, 0.0)
        return features, lengths

    def set_statistics(self, mean: Tensor, std: Tensor) -> None:
        """Set the corpus mean and standard deviation, each (D,), of the raw features."""
        self.mean.copy_(mean)
        self.std.copy_(torch.where(std > SMALLEST_DEVIATION, std, 1.0))
