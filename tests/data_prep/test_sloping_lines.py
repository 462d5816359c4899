"""Sloping lines of ALTO and PAGE: turned level by their baselines, vertical ones named."""

from __future__ import annotations

import math

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from recognizer.image.contrast import normalize_contrast
from recognizer.image.normalize import skew_degrees


@pytest.fixture(params=[-8.0, 3.0, 8.0])
def sloping(request, tmp_path):
    """A page with one line that descends by so many degrees: the angle, the corners of the line and the ends of its baseline."""
    level = Image.new("L", (700, 60), 230)
    ImageDraw.Draw(level).text((20, 5), "the quick brown fox jumps over", font=ImageFont.load_default(40), fill=30)
    size, middle = (800, 400), (400, 200)
    page = Image.new("L", size, 230)
    page.paste(level, (50, 170))
    page = page.rotate(-request.param, Image.Resampling.BICUBIC, center=middle, fillcolor=230)
    sine, cosine = math.sin(math.radians(request.param)), math.cos(math.radians(request.param))

    def turn(x: float, y: float) -> tuple[int, int]:
        x, y = x - middle[0], y - middle[1]
        return round(cosine * x - sine * y + middle[0]), round(sine * x + cosine * y + middle[1])

    (tmp_path / "pages").mkdir()
    page.save(tmp_path / "pages" / "p1.png")
    corners = [turn(*corner) for corner in ((60, 172), (690, 172), (690, 228), (60, 228))]
    return request.param, corners, [turn(70, 215), turn(680, 215)], tmp_path / "pages"


def describe(kind: str, corners, baseline) -> str:
    points, ends = (" ".join(f"{x},{y}" for x, y in those) for those in (corners, baseline))
    if kind == "page":
        return ('<PcGts xmlns="http://schema.primaresearch.org/PAGE/gts/pagecontent/2019-07-15"><Page imageFilename="p1.png" imageWidth="800" '
                f'imageHeight="400"><TextRegion id="r"><TextLine id="l"><Coords points="{points}"/><Baseline points="{ends}"/>'
                "<TextEquiv><Unicode>x</Unicode></TextEquiv></TextLine></TextRegion></Page></PcGts>")
    return ('<alto xmlns="http://www.loc.gov/standards/alto/ns-v4#"><Description><MeasurementUnit>pixel</MeasurementUnit><sourceImageInformation>'
            '<fileName>p1.png</fileName></sourceImageInformation></Description><Layout><Page WIDTH="800" HEIGHT="400"><PrintSpace><TextBlock>'
            f'<TextLine ID="l" HPOS="0" VPOS="0" WIDTH="800" HEIGHT="400" BASELINE="{ends}"><Shape><Polygon POINTS="{points}"/></Shape>'
            '<String CONTENT="x"/></TextLine></TextBlock></PrintSpace></Page></Layout></alto>')


@pytest.mark.parametrize("kind", ["alto", "page"])
@pytest.mark.parametrize("crop", ["polygon", "box"])
def test_sloping_lines_are_turned_level(sloping, read, write, kind, crop) -> None:
    angle, corners, baseline, folder = sloping
    write(folder / "p1.xml", describe(kind, corners, baseline))
    reading = read(kind, folder, "--crop", crop)
    assert reading.dropped == []
    (item,) = reading.items
    cut = np.asarray(Image.open(item.source))
    assert cut.shape[0] == pytest.approx(56, abs=4) and cut.shape[1] == item.width == pytest.approx(630, abs=4)
    assert abs(skew_degrees(normalize_contrast(cut, "stretch"))) < 0.5
    assert item.meta["turned"] == pytest.approx(angle, abs=0.1)
    assert item.meta["baseline"] == [[pytest.approx(10, abs=2), pytest.approx(43, abs=2)], [pytest.approx(620, abs=2), pytest.approx(43, abs=2)]]
    assert (cut[46:50] < 128).mean() < 0.1 < (cut[34:41] < 128).mean()  # the letters stand on the line; only tails are below it


@pytest.mark.parametrize("kind", ["alto", "page"])
def test_vertical_lines_are_named(sloping, read, write, kind) -> None:
    _, _, _, folder = sloping
    write(folder / "p1.xml", describe(kind, [(100, 10), (140, 10), (140, 390), (100, 390)], [(130, 15), (131, 385)]))
    reading = read(kind, folder)
    assert reading.items == []
    (line,) = reading.dropped
    assert line.startswith(f"{folder / 'p1.xml'}: line l: ") and "climbs 370 pixels over 1: vertical lines are left out" in line
