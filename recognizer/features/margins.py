"""Empty margins of a line image, and how to cut them without cutting off a full stop."""

from __future__ import annotations

import numpy as np

INK = 128  # grey level from which a pixel counts as ink
MARGIN = 0.03  # paper left on each side, share of the height
LEAST_HEIGHT = 1 / 3  # of the picture: a lone dash must not fill the line


def crop_margins(line: np.ndarray) -> tuple[np.ndarray, int]:
    """Cut empty margins off ``line``, uint8 (H, W), ink 255 on paper 0; a picture without ink comes back as it is.

    Connected pieces as large as a dot of an i (a square of H/20) decide where the text is. Smaller ones stretch
    that box when they are near it (H/2 sideways, H/4 up or down): a thin full stop, an accent. The rest is specks.
    At least a third of the height stays.

    Returns:
        The picture, and how many columns went on its left.
    """
    box = _text_box(line)
    if box is None:
        return line, 0
    height, width = line.shape
    top, bottom, left, right = box
    margin = max(1, round(MARGIN * height))
    missing = max(0, int(np.ceil(LEAST_HEIGHT * height)) - (bottom - top) - 2 * margin)
    top, bottom = top - margin - missing // 2, bottom + margin + (missing + 1) // 2
    top, bottom = max(0, top - max(0, bottom - height)), min(height, bottom + max(0, -top))
    left = max(0, left - margin)
    return line[top:bottom, left : min(width, right + margin)], left


def _text_box(line: np.ndarray) -> tuple[int, int, int, int] | None:
    from scipy import ndimage  # a quarter of a second that speech can do without

    pieces, count = ndimage.label(line >= INK, structure=np.ones((3, 3), dtype=np.int8))
    if count == 0:
        return None
    height = line.shape[0]
    area = np.bincount(pieces.ravel(), minlength=count + 1)[1:]
    slices = ndimage.find_objects(pieces)
    boxes = np.array([(rows.start, rows.stop, columns.start, columns.stop) for rows, columns in slices])  # (N, 4)
    large = area >= max(2.0, (height / 20) ** 2)
    if not large.any():
        return _enclose(boxes)
    top, bottom, left, right = _enclose(boxes[large])
    near = (boxes[:, 0] < bottom + height / 4) & (boxes[:, 1] > top - height / 4)
    near &= (boxes[:, 2] < right + height / 2) & (boxes[:, 3] > left - height / 2)
    near &= area >= max(2.0, (height / 60) ** 2)
    return _enclose(boxes[large | near])


def _enclose(boxes: np.ndarray) -> tuple[int, int, int, int]:
    top, left = boxes[:, 0].min(), boxes[:, 2].min()
    bottom, right = boxes[:, 1].max(), boxes[:, 3].max()
    return int(top), int(bottom), int(left), int(right)
