"""InkML: the ways to write a point (the example of the recommendation), channels, contexts and annotations."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest

from recognizer.features.inkml import parse_ink, read_annotations


def strokes(inner: str) -> list[list[list[float]]]:
    trace = parse_ink(ElementTree.fromstring(f'<ink xmlns="http://www.w3.org/2003/InkML" xmlns:xml="http://www.w3.org/XML/1998/namespace">{inner}</ink>'))
    return [stroke.tolist() for stroke in trace.strokes]


def test_differences_as_in_the_recommendation() -> None:
    """Section 3.2.1: values, then velocities ('), then accelerations (")."""
    found = strokes('<trace>1125 18432,\'23\'43,"7"-8,3-5,7 -3,6 2,6 8,3 6,2 4,*3,"3 6</trace>')
    assert [point[:2] for point in found[0][:7]] == [
        [1125, 18432], [1148, 18475], [1178, 18510], [1211, 18540], [1251, 18567], [1297, 18596], [1349, 18633],
    ]  # fmt: skip


def test_an_asterisk_repeats_value_velocity_or_acceleration() -> None:
    assert [p[:2] for p in strokes("<trace>5 1, * 2, * *</trace>")[0]] == [[5, 1], [5, 2], [5, 2]]
    assert [p[0] for p in strokes("<trace>0 1,'3'0,* 0,* 0</trace>")[0]] == [0, 3, 6, 9]
    assert [p[0] for p in strokes("<trace>0 1,'1'0,\"2\"0,* 0</trace>")[0]] == [0, 1, 4, 9]
    assert [p[0] for p in strokes("<trace>0 1,'3'0,!20!1,'1'0</trace>")[0]] == [0, 3, 20, 21]


def test_numbers_in_every_spelling() -> None:
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
def test_mistakes_are_named(inner: str, message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("?", r"\?")):
        strokes(inner)


def test_annotations_of_the_document() -> None:
    root = ElementTree.fromstring(
        '<ink><annotation type="truth"> a b </annotation><annotation type="truth">second</annotation><annotation>bare</annotation>'
        '<traceGroup><annotation type="writer">inner</annotation></traceGroup></ink>')
    assert read_annotations(root) == {"truth": "a b"}


def test_time_without_a_unit_is_in_milliseconds() -> None:
    form = '<traceFormat><channel name="X"/><channel name="Y"/><channel name="T"/></traceFormat>'
    assert np.allclose(strokes(f"{form}<trace>1 2 1500</trace>"), [[[1, 2, 1.5]]])
