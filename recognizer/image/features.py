"""Columns of line images as feature frames: pixels or nine geometric numbers."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import pad

from recognizer.config import LineFeatures
from recognizer.image.contrast import INK_LEVEL
from recognizer.utils.statistics import FeatureExtractor, real_frames

GEOMETRIC_DIM = 9


class LineFeatureExtractor(FeatureExtractor):
    """One frame a column of padded lines (B, W, H), uint8, columns first, ink 255: its pixels in 0..1, or nine geometric numbers."""

    def __init__(self, config: LineFeatures) -> None:
        """Features of ``config.kind``."""
        super().__init__(config.height if config.kind == "pixels" else GEOMETRIC_DIM, config.normalize)
        self.config = config

    def raw(self, inputs: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Features (B, T = W, D) before normalization, and the lengths; see the base class."""
        features = inputs.float() / 255 if self.config.kind == "pixels" else geometric_features(inputs, lengths)
        return torch.where(real_frames(features, lengths), features, 0.0), lengths

    def set_statistics(self, mean: Tensor, std: Tensor) -> None:
        """Set the corpus mean and standard deviation, each (D,), of the raw features.

        Those of pixels are pooled over all rows, every row counting the same, so that a picture stays a picture
        and rows that are seldom inked are not blown up.
        """
        if self.config.kind == "pixels":
            pooled = mean.double().mean()
            variance = (std.double().square() + mean.double().square()).mean() - pooled.square()
            mean, std = pooled.expand(self.dim), variance.clamp_min(0).sqrt().expand(self.dim)
        super().set_statistics(mean.to(self.mean), std.to(self.std))


def geometric_features(lines: Tensor, lengths: Tensor) -> Tensor:
    """Describe every column by nine numbers that do not depend on the resolution.

    With rows counted downwards and a row's position r = (row + 1/2) / H, the numbers of a column are

    0. its share of ink pixels;
    1. the mean of r over its ink (center of gravity);
    2. the mean of r squared (second-order moment);
    3. the upper contour: r of the topmost ink pixel;
    4. the lower contour: r of the lowest ink pixel;
    5. and 6. the direction of the upper and of the lower contour, in quarter turns (-1..1, positive downwards):
       the angle of the mean of the steps, in pixels, from the column before and to the column after;
    7. the number of changes from ink to paper going down (what lies below the picture is paper);
    8. the share of ink among the pixels from the upper to the lower contour.

    A column without ink has 0 for 0, 5, 6, 7 and 8, its contours and its center of gravity lie in the middle
    (1/2), and its moment is 1/4. A contour's step into such a column, into padding or out of the picture does not count:
    the direction is then that of the other step, or 0.

    Args:
        lines: (B, W, H) uint8, ink 255.
        lengths: (B,) columns of each line.

    Returns:
        (B, W, 9) float32; what stands beyond a line's length means nothing.

    Source:
        Marti and Bunke 2001, Using a statistical language model to improve the performance of an HMM-based cursive
        handwriting recognition system, section 3; 1, 2, 7 and 8 as in Graves et al. 2009, section 5.2.
    """
    height = lines.shape[2]
    ink = (lines >= INK_LEVEL) & real_frames(lines, lengths)  # (B, W, H)
    weight = ink.sum(2)  # (B, W)
    inked = weight > 0
    # Twice the position in rows: whole numbers, so that sums are exact whatever the order they are taken in.
    twice = 2 * torch.arange(height, device=lines.device) + 1
    first, second = (ink * twice).sum(2), (ink * twice.square()).sum(2)
    upper = ink.to(torch.uint8).argmax(2)  # the first of equals
    lower = height - 1 - ink.flip(2).to(torch.uint8).argmax(2)
    runs = (ink & ~pad(ink, (0, 1))[:, :, 1:]).sum(2)
    count = weight.clamp_min(1).float()
    columns = [
        weight.float() / height,
        torch.where(inked, first.float() / (2 * height) / count, 0.5),
        torch.where(inked, second.float() / (4 * height * height) / count, 0.25),
        torch.where(inked, (upper + 0.5) / height, 0.5),
        torch.where(inked, (lower + 0.5) / height, 0.5),
        _direction(upper, inked, height),
        _direction(lower, inked, height),
        runs.float(),
        torch.where(inked, weight.float() / (lower - upper + 1).clamp_min(1).float(), 0.0),
    ]
    return torch.stack(columns, 2)


def _direction(contour: Tensor, inked: Tensor, height: int) -> Tensor:
    """Direction of a contour, (B, W) rows, in quarter turns."""
    both = inked[:, 1:] & inked[:, :-1]  # (B, W - 1)
    step = torch.where(both, contour[:, 1:] - contour[:, :-1], 0)
    steps = pad(both, (1, 0)).long() + pad(both, (0, 1)).long()
    rise = (pad(step, (1, 0)) + pad(step, (0, 1))) * torch.where(steps == 1, 2, 1)  # twice the mean step
    # A table, as a vectorized arc tangent may round the end of an array otherwise than its middle.
    table = torch.tensor([math.atan(s / 2) / (math.pi / 2) for s in range(-2 * height, 2 * height + 1)], device=contour.device)
    return table[rise + 2 * height]
