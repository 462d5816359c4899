"""Distortions of line images: phone photographs, faint or colored ink, ruled paper, poor scans, tall crops; and paper without writing.

Every change takes a gray picture, uint8 (H, W), dark ink on light paper, and a generator that decides everything; lengths are given in heights
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
SHADOW = (0.35, 0.6)  # light left in the shadow of arm and phone, share
BLUR = 0.012  # heights; standard deviation of the blur of a lens slightly out of focus
QUALITY = 55  # of the JPEG file, 1..100
SURROUNDINGS = 0.15  # heights of paper around a photographed line, so that turning it cuts no letters off

LOW_HEIGHT = 28  # pixels; writing of 8 mm line spacing scanned at about 90 dpi
FAINT_INK = (0.12, 0.25)  # density left of the ink, share
PAPER_NOISE = 3.0  # gray levels; standard deviation of the grain of paper
SENSOR_NOISE = 28.0  # gray levels; standard deviation, a photograph in a dim room
NEIGHBOR = 0.25  # heights of the line above and of the one below in a crop that is too tall
SPECKS = 0.01  # share of the pixels that are black or white dust
RULE_SPACING = 0.24  # heights between the fine rules of a French exercise book (2 mm); every fourth is heavy
RULE_WIDTH = 0.018  # heights
FINE_RULE, HEAVY_RULE, MARGIN_RULE = (190, 205, 235), (140, 120, 200), (235, 130, 150)  # RGB: light blue, violet, red
INKS = ((30, 60, 170), (170, 30, 40), (20, 110, 60), (110, 40, 140))  # RGB: blue, red, green, violet
PAPERS = ((250, 236, 160), (250, 205, 215), (200, 235, 200), (195, 220, 250), (225, 200, 165))  # RGB: yellow, pink, green, blue, buff
DAYLIGHT = ((255, 252, 245), (255, 240, 214), (236, 242, 255))  # RGB of white paper by daylight, by lamplight, in the shade


@dataclass(frozen=True)
class LineKind:
    """One distortion of line images."""

    change: Callable[[np.ndarray, np.random.Generator], Image.Image]
    blank: bool = False  # whether no writing is left
    suffix: str = ".png"


def photograph(gray: np.ndarray, rng: np.random.Generator) -> Image.Image:
    """Photograph a line with a phone: tilt and perspective, lamplight or shade, a shadow, a little blur, JPEG."""
    height, paper = gray.shape[0], int(np.percentile(gray, 90))
    wide = Image.fromarray(np.pad(gray, round(SURROUNDINGS * height), constant_values=paper))
    tilt = rng.uniform(-TILT, TILT) * min(1.0, 8 * height / gray.shape[1])  # a long line is held straighter, or it leaves the picture
    turned = wide.rotate(tilt, Image.Resampling.BICUBIC, expand=True, fillcolor=paper)
    light = np.asarray(_skew(turned, CORNERS * height, paper, rng), np.float32) / 255  # (H, W)
    light *= _cast_shadow(light.shape[0], light.shape[1], rng)
    tint = np.array(DAYLIGHT[rng.integers(len(DAYLIGHT))], np.float32)
    picture = Image.fromarray((light[:, :, None] * tint).astype(np.uint8)).filter(ImageFilter.GaussianBlur(BLUR * height))
    buffer = io.BytesIO()
    _add_grain(picture, PAPER_NOISE, rng).save(buffer, "JPEG", quality=QUALITY)
    return Image.open(buffer).convert("RGB")


def _skew(image: Image.Image, reach: float, paper: int, rng: np.random.Generator) -> Image.Image:
    """See a picture from aside: each corner is moved by up to ``reach`` pixels."""
    width, height = image.size
    corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], float)
    seen = corners + rng.uniform(-reach, reach, corners.shape)
    rows = []
    for (x, y), (u, v) in zip(corners, seen, strict=True):  # the projective map that takes (x, y) of the result to (u, v)
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
    coefficients = np.linalg.solve(np.array(rows), seen.ravel())
    return image.transform(image.size, Image.Transform.PERSPECTIVE, tuple(coefficients), Image.Resampling.BICUBIC, fillcolor=paper)


def _cast_shadow(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Light on the paper, float32 (H, W), 0..1: it falls off along the line, and a shadow with a soft slanted edge lies over a part."""
    columns, rows = np.arange(width)[None, :] / width, np.arange(height)[:, None] / height
    fall = 1 - rng.uniform(0, 0.25) * (columns if rng.uniform() < 0.5 else 1 - columns)
    edge, slant, softness = rng.uniform(0.2, 0.8), rng.uniform(-0.3, 0.3), rng.uniform(0.02, 0.15)
    side = 1 if rng.uniform() < 0.5 else -1
    inside = 1 / (1 + np.exp(-side * (columns + slant * (rows - 0.5) - edge) / softness))
    return (fall * (1 - (1 - rng.uniform(*SHADOW)) * inside)).astype(np.float32)


def _add_grain(image: Image.Image, deviation: float, rng: np.random.Generator) -> Image.Image:
    pixels = np.asarray(image, np.float32)
    grain = deviation * rng.standard_normal(pixels.shape[:2], np.float32)
    return Image.fromarray(np.clip(np.rint(pixels + (grain[:, :, None] if pixels.ndim == 3 else grain)), 0, 255).astype(np.uint8))


def scan_small(gray: np.ndarray, rng: np.random.Generator) -> Image.Image:
    """Scan at low resolution: every letter is a few pixels high."""
    width = max(1, round(gray.shape[1] * LOW_HEIGHT / gray.shape[0]))
    return Image.fromarray(gray).resize((width, LOW_HEIGHT), Image.Resampling.BOX)


def fade(gray: np.ndarray, rng: np.random.Generator) -> Image.Image:
    """Write with a hard pencil or a dying pen: most of the ink is gone, the grain of the paper is not."""
    paper = np.percentile(gray, 90)
    faint = paper - (paper - gray.astype(np.float32)) * rng.uniform(*FAINT_INK)
    return _add_grain(Image.fromarray(np.clip(faint, 0, 255).astype(np.uint8)), PAPER_NOISE, rng)


def draw_exercise_rules(gray: np.ndarray, rng: np.random.Generator) -> Image.Image:
    """Write on the paper of a French exercise book: fine rules, every fourth heavy, at times a red margin."""
    height, width = gray.shape
    page = np.repeat(gray[:, :, None], 3, axis=2)  # (H, W, 3)
    thick = max(1, round(RULE_WIDTH * height))
    first, phase = rng.uniform(0, RULE_SPACING), int(rng.integers(4))
    for number in range(int(1 / RULE_SPACING) + 1):
        rule = page[round((first + number * RULE_SPACING) * height) :][:thick]
        np.minimum(rule, np.array(HEAVY_RULE if (number + phase) % 4 == 0 else FINE_RULE, np.uint8), out=rule)
    if rng.uniform() < 0.5:
        margin = page[:, int(rng.uniform(0, 0.1) * width) :][:, :thick]
        np.minimum(margin, np.array(MARGIN_RULE, np.uint8), out=margin)
    return Image.fromarray(page)


def write_in_color(gray: np.ndarray, rng: np.random.Generator) -> Image.Image:
    """Write with colored ink on colored paper."""
    ink, paper = (np.array(colors[rng.integers(len(colors))], np.float32) for colors in (INKS, PAPERS))
    dark, light = np.percentile(gray, [0.5, 90])
    share = np.clip((light - gray.astype(np.float32)) / max(1.0, light - dark), 0, 1)[:, :, None]  # of ink, (H, W, 1)
    return Image.fromarray((paper * (1 - share) + ink * share).astype(np.uint8))


def invert(gray: np.ndarray, rng: np.random.Generator) -> Image.Image:
    """Chalk on a blackboard, or the negative of a scan."""
    return Image.fromarray(255 - gray)


def scan_black_and_white(gray: np.ndarray, rng: np.random.Generator) -> Image.Image:
    """Scan in black and white, 1 bit a pixel, cut half-way between ink and paper."""
    return Image.fromarray(gray > np.percentile(gray, [0.5, 90]).mean())


def add_noise(gray: np.ndarray, rng: np.random.Generator) -> Image.Image:
    """Noise of a sensor in poor light, and dust."""
    noisy = np.asarray(_add_grain(Image.fromarray(gray), SENSOR_NOISE, rng)).copy()
    dust = rng.uniform(size=gray.shape)
    noisy[dust < SPECKS / 2], noisy[dust > 1 - SPECKS / 2] = 0, 255
    return Image.fromarray(noisy)


def crop_tall(gray: np.ndarray, rng: np.random.Generator) -> Image.Image:
    """Cut a line out of its page with the feet of the letters above and the heads of those below; they are the line's own, moved along."""
    inked = np.flatnonzero((gray < np.percentile(gray, [0.5, 90]).mean()).any(axis=1))
    text = gray[inked[0] : inked[-1] + 1] if len(inked) else gray
    depth = round(NEIGHBOR * gray.shape[0])
    above, below = (np.roll(text, int(rng.integers(gray.shape[1])), axis=1) for _ in range(2))
    return Image.fromarray(np.concatenate((above[max(0, len(above) - depth) :], gray, below[:depth])))


def leave_blank(gray: np.ndarray, rng: np.random.Generator) -> Image.Image:
    """Paper of the same size and shade without any writing."""
    return _add_grain(Image.fromarray(np.full(gray.shape, np.percentile(gray, 90), np.uint8)), PAPER_NOISE, rng)


def leave_ruled(gray: np.ndarray, rng: np.random.Generator) -> Image.Image:
    """A line of an exercise book without any writing."""
    return draw_exercise_rules(np.asarray(leave_blank(gray, rng)), rng)


def photograph_blank(gray: np.ndarray, rng: np.random.Generator) -> Image.Image:
    """A phone photograph of paper without any writing, plain or ruled."""
    empty = leave_ruled(gray, rng).convert("L") if rng.uniform() < 0.5 else leave_blank(gray, rng)
    return photograph(np.asarray(empty), rng)


LINE_KINDS: dict[str, LineKind] = {
    "photo": LineKind(photograph),
    "low-resolution": LineKind(scan_small),
    "faint": LineKind(fade),
    "ruled": LineKind(draw_exercise_rules),
    "coloured": LineKind(write_in_color),
    "inverted": LineKind(invert),
    "1-bit": LineKind(scan_black_and_white),
    "noisy": LineKind(add_noise),
    "neighbours": LineKind(crop_tall),
    "blank": LineKind(leave_blank, blank=True),
    "blank-ruled": LineKind(leave_ruled, blank=True),
    "blank-photo": LineKind(photograph_blank, blank=True),
}
