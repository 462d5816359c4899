"""Nine numbers that describe a column of a line image, after Marti and Bunke (2001)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

BLACK = 128  # grey level from which a pixel counts as black
GEOMETRIC_DIM = 9


def geometric_features(lines: Tensor, lengths: Tensor) -> Tensor:
    """Describe every column by nine numbers that do not depend on the resolution.

    With rows counted downwards and a row's position r = (row + 1/2) / H, the numbers of a column are

    0. its share of black pixels;
    1. the mean of r over its black pixels (centre of gravity);
    2. the mean of r squared (second-order moment);
    3. the upper contour: r of the topmost black pixel;
    4. the lower contour: r of the lowest black pixel;
    5. and 6. the direction of the upper and of the lower contour, in quarter turns (-1..1, positive downwards):
       the angle of the mean of the steps, in pixels, from the column before and to the column after;
    7. the number of changes from black to white going down (what lies below the picture is white);
    8. the share of black among the pixels from the upper to the lower contour.

    A column without black pixels has 0 for 0, 5, 6, 7 and 8, its contours and its centre of gravity lie in the middle
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
    real = torch.arange(lines.shape[1], device=lines.device) < lengths.to(lines.device)[:, None]  # (B, W)
    black = (lines >= BLACK) & real[:, :, None]  # (B, W, H)
    weight = black.sum(2)  # (B, W)
    inked = weight > 0
    # Twice the position in rows: whole numbers, so that sums are exact whatever the order they are taken in.
    twice = 2 * torch.arange(height, device=lines.device) + 1
    first = (black * twice).sum(2)
    second = (black * twice.square()).sum(2)
    upper = black.to(torch.uint8).argmax(2)  # the first of equals
    lower = height - 1 - black.flip(2).to(torch.uint8).argmax(2)
    below = torch.nn.functional.pad(black, (0, 1))[:, :, 1:]
    runs = (black & ~below).sum(2)

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
    before, after = torch.nn.functional.pad(step, (1, 0)), torch.nn.functional.pad(step, (0, 1))
    steps = torch.nn.functional.pad(both, (1, 0)).long() + torch.nn.functional.pad(both, (0, 1)).long()
    # A table, as a vectorised arc tangent may round the end of an array otherwise than its middle.
    slopes = range(-2 * height, 2 * height + 1)
    table = torch.tensor([math.atan(s / 2) / (math.pi / 2) for s in slopes], device=contour.device)
    rise = (before + after) * torch.where(steps == 1, 2, 1)  # twice the mean step
    return table[rise + 2 * height]
