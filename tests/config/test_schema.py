"""From mappings to dataclasses: every kind of value converted or refused with its key, and back again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from recognizer.config.schema import from_dict, require, to_dict, with_defaults
from recognizer.errors import ConfigError, nearest


@dataclass(frozen=True)
class Circle:
    kind: Literal["circle"] = "circle"
    radius: float = 1.0

    def __post_init__(self) -> None:
        require(self.radius > 0, "radius", "must be positive")


@dataclass(frozen=True)
class Square:
    kind: Literal["square", "rhombus"] = "square"
    side: int = 1


@dataclass(frozen=True)
class Drawing:
    title: str
    shape: Circle | Square = field(default_factory=Circle)
    count: int = 1
    scale: float = 1.0
    filled: bool = False
    color: Literal["red", "green"] = "red"
    note: str | None = None
    span: tuple[float, float] = (0.0, 1.0)
    steps: tuple[int, ...] = (1,)
    flag: Literal[0, 1] = 0


def draw(**values: Any) -> Drawing:
    return from_dict(Drawing, {"title": "t", **values})


def test_defaults_and_values() -> None:
    assert draw() == Drawing("t")
    made = draw(shape={"kind": "rhombus", "side": 3}, count=-2, scale=2, filled=True, color="green", note="n", span=[1, 2.5], steps=[], flag=1)
    assert made == Drawing("t", Square("rhombus", 3), -2, 2.0, True, "green", "n", (1.0, 2.5), (), 1)
    assert type(made.scale) is float and type(made.span[0]) is float and type(made.steps) is tuple
    assert draw(note=None).note is None


@pytest.mark.parametrize(("written", "value"), [("1e-4", 1e-4), ("3", 3.0), ("-1E3", -1000.0), (".5", 0.5), ("2.", 2.0)])
def test_floats_as_yaml_reads_them(written: str, value: float) -> None:
    made = draw(**yaml.safe_load(f"scale: {written}"))
    assert made.scale == value and type(made.scale) is float


@pytest.mark.parametrize(("values", "message"), [
    ({"count": True}, "count: expected int, found True"),
    ({"count": 1.0}, "count: expected int, found 1.0"),
    ({"count": "1"}, "count: expected int, found '1'"),
    ({"scale": False}, "scale: expected float, found False"),
    ({"scale": "fast"}, "scale: expected float, found 'fast'"),
    ({"filled": 1}, "filled: expected bool, found 1"),
    ({"title": 3}, "title: expected str, found 3"),
    ({"note": 3}, "note: expected str, found 3"),
    ({"color": "gren"}, "color: 'gren' is not one of red, green; did you mean 'green'"),
    ({"flag": True}, "flag: True is not one of 0, 1"),
    ({"span": [1]}, "span: expected 2 values, found 1"),
    ({"span": [1, "x"]}, r"span\[1\]: expected float, found 'x'"),
    ({"span": "12"}, "span: expected a list, found '12'"),
    ({"steps": 3}, "steps: expected a list, found 3"),
    ({"steps": [1, 2.5]}, r"steps\[1\]: expected int, found 2.5"),
    ({"shape": {"radius": 2}}, "shape: expected a group with a key 'kind'"),
    ({"shape": "circle"}, "shape: expected a group with a key 'kind', found 'circle'"),
    ({"shape": {"kind": "squar"}}, "shape.kind: 'squar' is not one of circle, square, rhombus; did you mean 'square'"),
    ({"shape": {"kind": ["circle"]}}, r"shape.kind: \['circle'\] is not one of"),
    ({"shape": {"kind": "circle", "side": 2}}, "shape.side: no such key"),
    ({"shape": {"kind": "circle", "raduis": 2}}, r"shape.raduis: no such key; did you mean 'shape.radius'"),
    ({"shape": {"kind": "circle", "radius": 0}}, "shape.radius: must be positive"),
    ({"colr": "red"}, r"colr: no such key; did you mean 'color'\?"),
    ({5: "red"}, "5: no such key"),
])
def test_each_wrong_value_is_named_with_its_key(values: dict[Any, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{message}"):
        from_dict(Drawing, {"title": "t", **values})


def test_missing_keys_and_things_that_are_no_mapping() -> None:
    with pytest.raises(ConfigError, match=r"^title: is not set and has no default$"):
        from_dict(Drawing, {})
    with pytest.raises(ConfigError, match=r"^settings: expected a group of keys, found \[\]"):
        from_dict(Drawing, [])
    with pytest.raises(ConfigError, match=r"^a\.b\.color: 'x'"):
        from_dict(Drawing, {"title": "t", "color": "x"}, "a.b")
    with pytest.raises(ConfigError, match=r"^a\.radius: must"):
        from_dict(Circle, {"radius": -1.0}, "a")


def test_nearest() -> None:
    known = ["trainer.epochs", "trainer.max_grad_norm", "features.num_mel_bins"]
    assert nearest("trainer.epoch", known) == "; did you mean 'trainer.epochs'?"
    assert nearest("epochs", known) == "; did you mean 'trainer.epochs'?"  # the right name in the wrong place
    assert nearest("zzzz", known) == "" and nearest("x", []) == ""


def test_plain_values_are_what_yaml_and_json_know() -> None:
    plain = {
        "title": "t", "shape": {"kind": "square", "side": 1}, "count": 1, "scale": 1.0, "filled": False, "color": "red", "note": None,
        "span": [1.0, 2.0], "steps": [1], "flag": 0}  # fmt: skip
    assert to_dict(Drawing("t", Square(), span=(1.0, 2.0))) == plain


def test_defaults_are_filled_in_and_mistakes_stay() -> None:
    given = {"title": "t", "shape": {"kind": "rhombus"}, "colr": 1, "count": "x"}
    assert with_defaults(Drawing, given) == to_dict(Drawing("t", Square("rhombus"))) | {"colr": 1, "count": "x"}
    assert given["shape"] == {"kind": "rhombus"}
    assert with_defaults(Drawing, {})["shape"] == {"kind": "circle", "radius": 1.0} and "title" not in with_defaults(Drawing, {})
    assert with_defaults(Drawing, {"shape": {"kind": "cirle"}})["shape"] == {"kind": "cirle"}


@given(st.builds(
    Drawing, title=st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=8), shape=st.builds(Circle, radius=st.floats(1e-300, 1e300)),
    count=st.integers(), scale=st.floats(allow_nan=False), filled=st.booleans(), note=st.none() | st.sampled_from(["", "null", "yes", "1e3", "~"]),
    span=st.tuples(st.floats(allow_nan=False), st.floats(allow_nan=False)), steps=st.lists(st.integers(), max_size=3).map(tuple),
))  # fmt: skip
def test_what_is_written_is_read_back_the_same(drawing: Drawing) -> None:
    assert from_dict(Drawing, to_dict(drawing)) == drawing
    assert from_dict(Drawing, yaml.safe_load(yaml.safe_dump(to_dict(drawing), sort_keys=False, allow_unicode=True))) == drawing
