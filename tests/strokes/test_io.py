"""Pen traces: InkML (the example of the recommendation), IAM-OnDB's stroke XML, arrays; what cannot be read is named."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from recognizer.errors import InputError
from recognizer.strokes.io import Trace, load_trace, parse_ink, read_annotations

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


def strokes(inner: str) -> list[list[list[float]]]:
    root = ElementTree.fromstring(f'<ink xmlns="http://www.w3.org/2003/InkML">{inner}</ink>')
    return [stroke.tolist() for stroke in parse_ink(root).strokes]


def test_differences_as_in_the_recommendation() -> None:
    """Section 3.2.1: values, then velocities ('), then accelerations (")."""
    found = strokes('<trace>1125 18432,\'23\'43,"7"-8,3-5,7 -3,6 2,6 8,3 6,2 4,*3,"3 6</trace>')
    assert [point[:2] for point in found[0][:7]] == [
        [1125, 18432], [1148, 18475], [1178, 18510], [1211, 18540], [1251, 18567], [1297, 18596], [1349, 18633],
    ]  # fmt: skip


def test_repeated_values_and_numbers_in_every_spelling() -> None:
    assert [p[:2] for p in strokes("<trace>5 1, * 2, * *</trace>")[0]] == [[5, 1], [5, 2], [5, 2]]
    assert [p[0] for p in strokes("<trace>0 1,'3'0,* 0,* 0</trace>")[0]] == [0, 3, 6, 9]
    assert [p[0] for p in strokes("<trace>0 1,'1'0,\"2\"0,* 0</trace>")[0]] == [0, 1, 4, 9]
    assert [p[0] for p in strokes("<trace>0 1,'3'0,!20!1,'1'0</trace>")[0]] == [0, 3, 20, 21]
    assert [p[:2] for p in strokes("<trace>#1F -2.5,\n .5 1e2 </trace>")[0]] == [[31, -2.5], [0.5, 100]]


def test_channels_units_signs_and_offsets() -> None:
    form = (
        '<definitions><context xml:id="pad"><inkSource><traceFormat><channel name="T" units="s"/><channel name="Y" orientation="-ve"/>'
        '<channel name="F"/><channel name="X"/><intermittentChannels><channel name="B"/></intermittentChannels></traceFormat></inkSource></context>'
        '<context xml:id="screen"><traceFormat><channel name="X"/><channel name="Y"/><channel name="T"/></traceFormat></context></definitions>'
    )
    found = strokes(
        form + '<trace contextRef="#pad">1 10 ? 5 T, 2 20 7 6</trace><trace contextRef="#screen" timeOffset="500">1 2 250</trace>'
        "<trace>3 4 5 6</trace>"
    )
    assert found == [[[5, -10, 1], [6, -20, 2]], [[1, 2, 0.75]], [[6, -4, 3]]]


def test_pen_up_traces_are_left_out_and_groups_are_walked_in_order() -> None:
    found = strokes(
        '<trace>1 1</trace><traceGroup><trace type="penUp">2 2</trace><traceGroup><trace>3 3</trace></traceGroup></traceGroup><trace> </trace>')
    assert [stroke[0][0] for stroke in found] == [1, 3]


@pytest.mark.parametrize(("inner", "message"), [
    ("<trace>1</trace>", "trace 1: cannot read the point '1' of X Y"),
    ('<trace>1 1</trace><trace xml:id="t7">1 2 3</trace>', "trace t7: cannot read the point '1 2 3'"),
    ("<trace>? 2</trace>", "no X or no Y"),
    ('<trace contextRef="#other">1 2</trace>', "its context 'other' has no traceFormat"),
    ('<traceFormat><channel name="X"/></traceFormat>', "the channels X, and not both X and Y"),
    ('<traceFormat><channel name="X"/><channel name="Y"/><channel name="T" units="min"/></traceFormat>', "units of 'min'"),
])
def test_mistakes_in_ink_are_named(inner: str, message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("?", r"\?")):
        strokes(inner)


def test_annotations_of_the_document() -> None:
    root = ElementTree.fromstring(
        '<ink><annotation type="truth"> a b </annotation><annotation type="truth">second</annotation><annotation>bare</annotation>'
        '<traceGroup><annotation type="writer">inner</annotation></traceGroup></ink>')
    assert read_annotations(root) == {"truth": "a b"}


def test_both_formats_are_known_by_their_root(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text(WHITEBOARD)
    trace = load_trace(tmp_path / "a.xml")
    assert [stroke.tolist() for stroke in trace.strokes] == [[[1073, 1058, 769.05], [1072, 1085, 769.07]], [[5, 6, 770.5]]]
    assert trace.seconds == pytest.approx(1.45)
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
def test_files_that_cannot_be_read_are_named(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.inkml").write_text(content)
    with pytest.raises(InputError, match=f"^{tmp_path}/a.inkml: .*") as caught:
        load_trace(tmp_path / "a.inkml")
    assert message in str(caught.value)


def test_arrays_are_split_by_the_number_of_the_stroke() -> None:
    points = np.array([[1, 2, 0.5, 0], [3, 4, 0.6, 0], [5, 6, 1, 7], [7, 8, 2, 0]], dtype=np.float32)
    trace = Trace.of_array(points, "a")
    assert [stroke[:, 0].tolist() for stroke in trace.strokes] == [[1, 3], [5], [7]]
    assert trace.seconds == pytest.approx(1.5) and trace.strokes[0].dtype == np.float64
    points[:, 2] = np.nan
    assert Trace.of_array(points, "a").seconds is None


@pytest.mark.parametrize("points", [np.zeros((0, 4)), np.zeros((3, 3)), np.zeros(4), np.zeros((2, 4), dtype=int), np.full((2, 4), np.inf)])
def test_other_arrays_are_refused(points) -> None:
    with pytest.raises(InputError, match=r"^array 3: "):
        Trace.of_array(points, "array 3")


HUGE = "9" * 400


@pytest.mark.parametrize("values", [f"{HUGE} 2", "1e999 2", f"#{'F' * 400} 2", f"#{'F' * 24} 2", "1 -1e21", f"'{HUGE}'1", "9e19 1, '9e19 1"])
def test_numbers_beyond_what_can_be_reckoned_with_are_one_error(values: str, tmp_path: Path) -> None:
    (tmp_path / "a.inkml").write_text(f"<ink><trace>0 0, 1 1</trace><trace>{values}</trace></ink>")
    with pytest.raises(InputError, match=r"^\S+a\.inkml: trace 2: a number beyond 1e\+20"):
        load_trace(tmp_path / "a.inkml")
    with pytest.raises(InputError, match=r"^array 1: stroke 1: a number beyond"):
        Trace.of_array(np.array([[0, 1e300, 0, 0.0]]), "array 1")


@pytest.mark.parametrize("attributes", [f'x="{HUGE}" y="1"', 'x="1e999" y="1"', 'x="1" y="1" time="1e999"', f'x="{"9" * 20_000}q" y="1"'])
def test_such_numbers_in_attributes_too(attributes: str, tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text(POINT.format(attributes))
    with pytest.raises(InputError, match=r"^\S+a\.xml: Point/@\w+ is not a number: '") as caught:
        load_trace(tmp_path / "a.xml")
    assert len(str(caught.value)) < 200 + len(str(tmp_path))


def whiteboard(*strokes: list[float]) -> str:
    points = ("".join(f'<Point x="{i}" y="{i % 7}" time="{time:.2f}"/>' for i, time in enumerate(times)) for times in strokes)
    return f"<WhiteboardCaptureSession><StrokeSet>{''.join(f'<Stroke>{stroke}</Stroke>' for stroke in points)}</StrokeSet></WhiteboardCaptureSession>"


def test_times_that_run_backwards_are_one_error_and_a_single_one_is_not(tmp_path: Path) -> None:
    for strokes, message in (([[5, 4, 3]], "stroke 1: its times run backwards, from 5 to 3 s"), ([[7, 8], [5, 6]], "the first stroke begins at 7 s")):
        (tmp_path / "a.xml").write_text(whiteboard(*strokes))
        with pytest.raises(InputError, match=rf"^{tmp_path}/a\.xml: .*{message}"):
            load_trace(tmp_path / "a.xml")
    (tmp_path / "a.xml").write_text(whiteboard([1, 2, 1.9, 3], [2.9, 4]))
    assert load_trace(tmp_path / "a.xml").seconds == 3
    with pytest.raises(InputError, match=r"^array 1: stroke 1: its times run backwards"):
        Trace.of_array(np.array([[0, 0, 1, 0], [1, 1, 0.5, 0]], dtype=float), "array 1")


def test_white_space_and_channels_without_end_are_read_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.inkml").write_text(f"<ink><trace>@{' ' * 300_000}@</trace></ink>")
    with pytest.raises(InputError, match="cannot read the point '@ @'"):
        load_trace(tmp_path / "a.inkml")
    channels = "".join(f'<channel name="{name}"/>' for name in ["X", "Y", *map(str, range(200))])
    (tmp_path / "a.inkml").write_text(f"<ink><traceFormat>{channels}</traceFormat><trace>1 1</trace></ink>")
    with pytest.raises(InputError, match="202 channels, more than 100"):
        load_trace(tmp_path / "a.inkml")
