"""What happens to line images in use: phone photographs, faint or coloured ink, ruled paper, poor scans, tall crops; and paper without writing.

Every change takes a grey picture, uint8 (H, W), dark ink on light paper, and a generator that decides everything; lengths are given in heights
of the picture, so that the same distortion is as strong on a large scan as on a small one.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

CORNERS = 0.06  # heights by which each corner of a photographed line is off
TILT = 2.5  # degrees by which a photographed line is turned, at most
SHADOW = (0.35, 0.6)  # light left in the shadow of hand and phone, share
BLUR = 0.012  # heights; standard deviation of the blur of a lens slightly out of focus
QUALITY = 55  # of the JPEG file, 1..100
SURROUNDINGS = 0.15  # heights of paper around a photographed line, so that turning it cuts no letters off

LOW_HEIGHT = 28  # pixels; a hand of 8 mm line spacing scanned at about 90 dpi
FAINT_INK = (0.12, 0.25)  # density left of the ink, share
PAPER_NOISE = 3.0  # grey levels; standard deviation of the grain of paper
SENSOR_NOISE = 28.0  # grey levels; standard deviation, a photograph in a dim room
NEIGHBOUR = 0.25  # heights of the line above and of the one below in a crop that is too tall
SPECKS = 0.01  # share of the pixels that are black or white dust
RULE_SPACING = 0.24  # heights between the fine rules of a French exercise book (2 mm); every fourth is heavy
RULE_WIDTH = 0.018  # heights
FINE_RULE, HEAVY_RULE, MARGIN_RULE = (190, 205, 235), (140, 120, 200), (235, 130, 150)  # RGB: light blue, violet, red
INKS = ((30, 60, 170), (170, 30, 40), (20, 110, 60), (110, 40, 140))  # RGB: blue, red, green, violet
PAPERS = ((250, 236, 160), (250, 205, 215), (200, 235, 200), (195, 220, 250), (225, 200, 165))  # RGB: yellow, pink, green, blue, buff
DAYLIGHT = ((255, 252, 245), (255, 240, 214), (236, 242, 255))  # RGB of white paper by daylight, by lamplight, in the shade

Change = Callable[[np.ndarray, np.random.Generator], Image.Image]


@dataclass(frozen=True)
class LineKind:
    """One distortion: how it is made, and whether any writing is left."""

    change: Change
    blank: bool = False


def photograph(grey: np.ndarray, generator: np.random.Generator) -> Image.Image:
    """Photograph a line with a phone: tilt and perspective, lamplight or shade, a shadow, a little blur, JPEG."""
    height = grey.shape[0]
    paper = int(np.percentile(grey, 90))
    around = round(SURROUNDINGS * height)
    wide = Image.fromarray(np.pad(grey, around, constant_values=paper))
    tilt = generator.uniform(-TILT, TILT) * min(1.0, 8 * height / grey.shape[1])  # a long line is held straighter, or it leaves the picture
    turned = wide.rotate(tilt, Image.Resampling.BICUBIC, expand=True, fillcolor=paper)
    light = np.asarray(_skew(turned, CORNERS * height, paper, generator), np.float32) / 255  # (H, W)
    light *= _cast_shadow(light.shape[0], light.shape[1], generator)
    tint = np.array(DAYLIGHT[generator.integers(len(DAYLIGHT))], np.float32)
    picture = Image.fromarray((light[:, :, None] * tint).astype(np.uint8)).filter(ImageFilter.GaussianBlur(BLUR * height))
    return _compress(_add_grain(picture, PAPER_NOISE, generator))


def shrink(grey: np.ndarray, generator: np.random.Generator) -> Image.Image:
    """Scan at low resolution: every letter is a few pixels high."""
    width = max(1, round(grey.shape[1] * LOW_HEIGHT / grey.shape[0]))
    return Image.fromarray(grey).resize((width, LOW_HEIGHT), Image.Resampling.BOX)


def fade(grey: np.ndarray, generator: np.random.Generator) -> Image.Image:
    """Write with a hard pencil or a dying pen: most of the ink is gone, the grain of the paper is not."""
    paper = np.percentile(grey, 90)
    faint = paper - (paper - grey.astype(np.float32)) * generator.uniform(*FAINT_INK)
    return _add_grain(Image.fromarray(np.clip(faint, 0, 255).astype(np.uint8)), PAPER_NOISE, generator)


def rule(grey: np.ndarray, generator: np.random.Generator) -> Image.Image:
    """Write on the paper of a French exercise book: fine rules, every fourth heavy, at times a red margin."""
    height, width = grey.shape
    page = np.repeat(grey[:, :, None], 3, axis=2)  # (H, W, 3)
    thick = max(1, round(RULE_WIDTH * height))
    first = generator.uniform(0, RULE_SPACING)
    phase = int(generator.integers(4))
    for number in range(int(1 / RULE_SPACING) + 1):
        top = round((first + number * RULE_SPACING) * height)
        colour = np.array(HEAVY_RULE if (number + phase) % 4 == 0 else FINE_RULE, np.uint8)
        np.minimum(page[top : top + thick], colour, out=page[top : top + thick])
    if generator.uniform() < 0.5:
        left = int(generator.uniform(0, 0.1) * width)
        np.minimum(page[:, left : left + thick], np.array(MARGIN_RULE, np.uint8), out=page[:, left : left + thick])
    return Image.fromarray(page)


def colour(grey: np.ndarray, generator: np.random.Generator) -> Image.Image:
    """Write with coloured ink on coloured paper."""
    ink = np.array(INKS[generator.integers(len(INKS))], np.float32)
    paper = np.array(PAPERS[generator.integers(len(PAPERS))], np.float32)
    dark, light = np.percentile(grey, [0.5, 90])
    share = np.clip((light - grey.astype(np.float32)) / max(1.0, light - dark), 0, 1)[:, :, None]  # of ink, (H, W, 1)
    return Image.fromarray((paper * (1 - share) + ink * share).astype(np.uint8))


def invert(grey: np.ndarray, generator: np.random.Generator) -> Image.Image:
    """Chalk on a blackboard, or the negative of a scan."""
    return Image.fromarray(255 - grey)


def threshold(grey: np.ndarray, generator: np.random.Generator) -> Image.Image:
    """Scan in black and white, 1 bit a pixel, cut half-way between ink and paper."""
    dark, light = np.percentile(grey, [0.5, 90])
    return Image.fromarray(grey > (dark + light) / 2)


def add_noise(grey: np.ndarray, generator: np.random.Generator) -> Image.Image:
    """Noise of a sensor in poor light, and dust."""
    noisy = np.asarray(_add_grain(Image.fromarray(grey), SENSOR_NOISE, generator)).copy()
    dust = generator.uniform(size=grey.shape)
    noisy[dust < SPECKS / 2] = 0
    noisy[dust > 1 - SPECKS / 2] = 255
    return Image.fromarray(noisy)


def crop_tall(grey: np.ndarray, generator: np.random.Generator) -> Image.Image:
    """Cut a line out of its page with the feet of the letters above and the heads of those below; they are the line's own, moved along."""
    dark, light = np.percentile(grey, [0.5, 90])
    inked = np.flatnonzero((grey < (dark + light) / 2).any(axis=1))
    text = grey[inked[0] : inked[-1] + 1] if len(inked) else grey
    depth = round(NEIGHBOUR * grey.shape[0])
    above, below = (np.roll(text, int(generator.integers(grey.shape[1])), axis=1) for _ in range(2))
    return Image.fromarray(np.concatenate((above[max(0, len(above) - depth) :], grey, below[:depth])))


def leave_blank(grey: np.ndarray, generator: np.random.Generator) -> Image.Image:
    """Paper of the same size and shade without any writing."""
    paper = np.full(grey.shape, np.percentile(grey, 90), np.uint8)
    return _add_grain(Image.fromarray(paper), PAPER_NOISE, generator)


def leave_ruled(grey: np.ndarray, generator: np.random.Generator) -> Image.Image:
    """A line of an exercise book without any writing."""
    return rule(np.asarray(leave_blank(grey, generator)), generator)


def photograph_blank(grey: np.ndarray, generator: np.random.Generator) -> Image.Image:
    """A phone photograph of paper without any writing, plain or ruled."""
    empty = leave_ruled(grey, generator).convert("L") if generator.uniform() < 0.5 else leave_blank(grey, generator)
    return photograph(np.asarray(empty), generator)


LINE_KINDS: dict[str, LineKind] = {
    "photo": LineKind(photograph),
    "low-resolution": LineKind(shrink),
    "faint": LineKind(fade),
    "ruled": LineKind(rule),
    "coloured": LineKind(colour),
    "inverted": LineKind(invert),
    "1-bit": LineKind(threshold),
    "noisy": LineKind(add_noise),
    "neighbours": LineKind(crop_tall),
    "blank": LineKind(leave_blank, blank=True),
    "blank-ruled": LineKind(leave_ruled, blank=True),
    "blank-photo": LineKind(photograph_blank, blank=True),
}


def _skew(image: Image.Image, reach: float, paper: int, generator: np.random.Generator) -> Image.Image:
    """See a picture from aside: each corner is moved by up to ``reach`` pixels."""
    width, height = image.size
    corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], float)
    seen = corners + generator.uniform(-reach, reach, corners.shape)
    rows = []
    for (x, y), (u, v) in zip(corners, seen, strict=True):  # the projective map that takes (x, y) of the result to (u, v)
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
    coefficients = np.linalg.solve(np.array(rows), seen.ravel())
    return image.transform(image.size, Image.Transform.PERSPECTIVE, tuple(coefficients), Image.Resampling.BICUBIC, fillcolor=paper)


def _cast_shadow(height: int, width: int, generator: np.random.Generator) -> np.ndarray:
    """Light on the paper, float32 (H, W), 0..1: it falls off along the line, and a shadow with a soft slanted edge lies over a part."""
    columns, rows = np.arange(width)[None, :] / width, np.arange(height)[:, None] / height
    fall = 1 - generator.uniform(0, 0.25) * (columns if generator.uniform() < 0.5 else 1 - columns)
    edge, slant, softness = generator.uniform(0.2, 0.8), generator.uniform(-0.3, 0.3), generator.uniform(0.02, 0.15)
    side = 1 if generator.uniform() < 0.5 else -1
    inside = 1 / (1 + np.exp(-side * (columns + slant * (rows - 0.5) - edge) / softness))
    return (fall * (1 - (1 - generator.uniform(*SHADOW)) * inside)).astype(np.float32)


def _add_grain(image: Image.Image, deviation: float, generator: np.random.Generator) -> Image.Image:
    pixels = np.asarray(image, np.float32)
    grain = deviation * generator.standard_normal(pixels.shape[:2], np.float32)
    grain = grain[:, :, None] if pixels.ndim == 3 else grain
    return Image.fromarray(np.clip(np.rint(pixels + grain), 0, 255).astype(np.uint8))


def _compress(image: Image.Image) -> Image.Image:
    """The picture as it comes out of a JPEG file."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=QUALITY)
    return Image.open(buffer).convert("RGB")
