"""IAM-OnDB's stroke XML, told from InkML by its root; what cannot be read is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from recognizer.errors import InputError
from recognizer.features.stroke_file import load_trace

WHITEBOARD = """<?xml version="1.0" encoding="ISO-8859-1"?>
<WhiteboardCaptureSession>
  <WhiteboardDescription><SensorLocation corner="top_left"/><DiagonallyOppositeCoords x="6512" y="1376"/></WhiteboardDescription>
  <StrokeSet>
    <Stroke colour="black" start_time="769.05" end_time="769.64"><Point x="1073" y="1058" time="769.05"/>
      <Point x="1072" y="1085" time="769.07"/></Stroke>
    <Stroke colour="black" start_time="770" end_time="770"><Point x="5" y="6" time="770.5"/></Stroke>
    <Stroke colour="black" start_time="771" end_time="771"/>
  </StrokeSet>
</WhiteboardCaptureSession>"""
POINT = "<WhiteboardCaptureSession><StrokeSet><Stroke><Point {}/></Stroke></StrokeSet></WhiteboardCaptureSession>"


def test_strokes_of_the_whiteboard(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text(WHITEBOARD)
    trace = load_trace(tmp_path / "a.xml")
    assert [stroke.tolist() for stroke in trace.strokes] == [[[1073, 1058, 769.05], [1072, 1085, 769.07]], [[5, 6, 770.5]]]
    assert trace.seconds == pytest.approx(1.45)


def test_ink_is_known_by_its_root(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text('<ink xmlns="http://www.w3.org/2003/InkML"><trace>1 2, 3 4</trace></ink>')
    trace = load_trace(str(tmp_path / "a.xml"))
    assert trace.strokes[0][:, :2].tolist() == [[1, 2], [3, 4]] and np.isnan(trace.strokes[0][:, 2]).all() and trace.seconds is None


@pytest.mark.parametrize(("content", "message"), [
    ("<PcGts/>", "not a pen trace: its root element is <PcGts>, neither <WhiteboardCaptureSession> nor <ink>"),
    ("<ink/>", "holds no strokes"),
    ("<WhiteboardCaptureSession><StrokeSet/></WhiteboardCaptureSession>", "holds no strokes"),
    (POINT.format('x="1" time="0"'), "stroke 1: a point without"),
    (POINT.format('x="1" y="q"'), "Point/@y is not a number: 'q'"),
    ("<ink><trace>1 2, nonsense</trace></ink>", "trace 1: cannot read the point 'nonsense'"),
    ("<ink", "not well-formed XML"),
])
def test_what_cannot_be_read_is_named(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.inkml").write_text(content)
    with pytest.raises(InputError, match=f"^{tmp_path}/a.inkml: .*") as caught:
        load_trace(tmp_path / "a.inkml")
    assert message in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no\.inkml"):
        load_trace(tmp_path / "no.inkml")
