"""From mappings to dataclasses: every kind of value converted or refused with its key, and back again."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest
import yaml
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from recognizer.config import (
    AudioAugment,
    AudioFeatures,
    CellSettings,
    CorpusConfig,
    LineAugment,
    LineCnn,
    LineFeatures,
    MdLstmFrontend,
    ModelConfig,
    NoAugment,
    NoFrontend,
    SpeechCnn,
    Stack,
    TextConfig,
    TrainConfig,
    TrainerConfig,
)
from recognizer.errors import ConfigError, nearest
from recognizer.strict import build, plain, require

trials = settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])


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
    colour: Literal["red", "green"] = "red"
    note: str | None = None
    span: tuple[float, float] = (0.0, 1.0)
    steps: tuple[int, ...] = (1,)
    flag: Literal[0, 1] = 0


def draw(**values: Any) -> Drawing:
    return build(Drawing, {"title": "t", **values})


def test_defaults_and_values() -> None:
    assert draw() == Drawing("t")
    made = draw(shape={"kind": "rhombus", "side": 3}, count=-2, scale=2, filled=True, colour="green", note="n", span=[1, 2.5], steps=[], flag=1)
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
    ({"count": None}, "count: expected int, found None"),
    ({"scale": False}, "scale: expected float, found False"),
    ({"scale": "fast"}, "scale: expected float, found 'fast'"),
    ({"scale": [1]}, r"scale: expected float, found \[1\]"),
    ({"filled": 1}, "filled: expected bool, found 1"),
    ({"filled": "yes"}, "filled: expected bool, found 'yes'"),
    ({"title": 3}, "title: expected str, found 3"),
    ({"note": 3}, "note: expected str, found 3"),
    ({"colour": "gren"}, "colour: 'gren' is not one of red, green; did you mean 'green'"),
    ({"colour": None}, "colour: None is not one of red, green"),
    ({"flag": True}, "flag: True is not one of 0, 1"),
    ({"flag": 2}, "flag: 2 is not one of 0, 1"),
    ({"span": [1]}, "span: expected 2 values, found 1"),
    ({"span": [1, 2, 3]}, "span: expected 2 values, found 3"),
    ({"span": [1, "x"]}, r"span\[1\]: expected float, found 'x'"),
    ({"span": "12"}, "span: expected a list, found '12'"),
    ({"steps": 3}, "steps: expected a list, found 3"),
    ({"steps": [1, 2.5]}, r"steps\[1\]: expected int, found 2.5"),
    ({"shape": {"radius": 2}}, "shape: expected a group with a key 'kind'"),
    ({"shape": "circle"}, "shape: expected a group with a key 'kind', found 'circle'"),
    ({"shape": None}, "shape: expected a group with a key 'kind', found None"),
    ({"shape": {"kind": "squar"}}, "shape.kind: 'squar' is not one of circle, square, rhombus; did you mean 'square'"),
    ({"shape": {"kind": ["circle"]}}, r"shape.kind: \['circle'\] is not one of"),
    ({"shape": {"kind": {"circle": 1}}}, "shape.kind: .* is not one of"),
    ({"shape": {"kind": "circle", "side": 2}}, "shape.side: no such key"),
    ({"shape": {"kind": "circle", "raduis": 2}}, r"shape.raduis: no such key; did you mean 'shape.radius'"),
    ({"shape": {"kind": "circle", "radius": 0}}, "shape.radius: must be positive"),
    ({"colur": "red"}, r"colur: no such key; did you mean 'colour'\?"),
    ({5: "red"}, "5: no such key"),
])
def test_each_wrong_value_is_named_with_its_key(values: dict[Any, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{message}"):
        build(Drawing, {"title": "t", **values})


def test_missing_keys_and_things_that_are_no_mapping() -> None:
    with pytest.raises(ConfigError, match=r"^title: is not set and has no default$"):
        build(Drawing, {})
    with pytest.raises(ConfigError, match=r"^settings: expected a group of keys, found \[\]"):
        build(Drawing, [])
    with pytest.raises(ConfigError, match=r"^a\.b\.colour: 'x'"):
        build(Drawing, {"title": "t", "colour": "x"}, "a.b")
    with pytest.raises(ConfigError, match=r"^a\.radius: must"):
        build(Circle, {"radius": -1.0}, "a")


def test_nearest() -> None:
    known = ["trainer.epochs", "trainer.clip", "features.bins"]
    assert nearest("trainer.epoch", known) == "; did you mean 'trainer.epochs'?"
    assert nearest("epochs", known) == "; did you mean 'trainer.epochs'?"  # the right name in the wrong place
    assert nearest("zzzz", known) == "" and nearest("x", []) == ""


def test_plain_is_made_of_what_yaml_and_json_know() -> None:
    assert plain(Drawing("t", Square(), span=(1.0, 2.0))) == {
        "title": "t", "shape": {"kind": "square", "side": 1}, "count": 1, "scale": 1.0, "filled": False, "colour": "red", "note": None,
        "span": [1.0, 2.0], "steps": [1], "flag": 0}


# PyYAML does not read back the line end U+0085 that it writes
words = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=8)
share = st.floats(0, 0.99)
positive = st.integers(1, 100)


def ranges(low: float, high: float) -> st.SearchStrategy[tuple[float, float]]:
    return st.tuples(st.floats(low, high), st.floats(low, high)).map(lambda ends: (min(ends), max(ends)))


def convolutions(cls: type[LineCnn] | type[SpeechCnn]) -> st.SearchStrategy[LineCnn | SpeechCnn]:
    other = "height_strides" if cls is LineCnn else "frequency_strides"
    layer = st.tuples(positive, st.integers(1, 4), st.integers(1, 4))
    rows = st.lists(layer, min_size=1, max_size=4).map(lambda layers: tuple(zip(*layers, strict=True)))
    return st.builds(lambda parts, dropout: cls(channels=parts[0], time_strides=parts[1], dropout=dropout, **{other: parts[2]}), rows, share)


audio = st.builds(
    AudioFeatures, kind=st.sampled_from(["fbank", "mfcc", "spectrogram"]), sample_rate=st.integers(4000, 48000), bins=st.integers(13, 512),
    coefficients=st.integers(1, 13), preemphasis=share, energy=st.booleans(), deltas=st.integers(0, 2),
    normalise=st.sampled_from(["corpus", "utterance", "none"]))
lines = st.builds(LineFeatures, kind=st.sampled_from(["pixels", "geometric"]), height=st.integers(8, 512), crop=st.booleans(), deskew=st.booleans())
augments = st.one_of(
    st.builds(NoAugment), st.builds(AudioAugment, speed=ranges(0.5, 2.0), gain_db=ranges(-20, 20), noise=share, time_masks=positive),
    st.builds(AudioAugment, vocal_tract=ranges(0.5, 2.0)),
    st.builds(LineAugment, probability=share, scale=share, elastic=share))
frontends = st.one_of(
    st.builds(NoFrontend), st.builds(Stack, frames=st.integers(1, 32)), convolutions(LineCnn), convolutions(SpeechCnn),
    st.builds(MdLstmFrontend, stable=st.booleans(), dropout=share))
corpora = st.builds(CorpusConfig, name=words, root=words, text=st.builds(
    TextConfig, case=st.sampled_from(["keep", "lower", "upper"]), drop=words), licence=words)
trainers = st.builds(
    TrainerConfig, learning_rate=st.floats(1e-9, 1.0), epochs=positive, minutes=st.floats(0, 1e6), curriculum=st.booleans(), average=share)


@st.composite
def configs(chosen: st.DrawFn) -> TrainConfig:
    model = chosen(st.builds(ModelConfig, frontend=frontends, layers=st.integers(1, 32), hidden=positive, dropout=share, uniform=share))
    parts = (chosen(corpora), chosen(st.one_of(audio, lines)), model, chosen(augments))
    try:
        return TrainConfig(*parts, trainer=chosen(trainers), init=chosen(st.none() | words), seed=chosen(st.integers(0, 2**40)))
    except ConfigError:  # speech and handwriting do not mix
        assume(False)
        raise


@trials
@given(configs())
def test_what_is_written_is_read_back_the_same(config: TrainConfig) -> None:
    assert build(TrainConfig, plain(config)) == config
    text = yaml.safe_dump(plain(config), sort_keys=False, allow_unicode=True)
    assert build(TrainConfig, yaml.safe_load(text)) == config


def test_every_setting_can_be_built_from_its_own_default() -> None:
    kinds = (TextConfig, AudioFeatures, LineFeatures, AudioAugment, LineAugment, LineCnn, SpeechCnn, MdLstmFrontend,
        CellSettings, Stack, ModelConfig, CorpusConfig, TrainerConfig)
    for cls in kinds:
        for setting in dataclasses.fields(cls):
            value = plain(getattr(cls(), setting.name))
            assert getattr(build(cls, {setting.name: value}), setting.name) == getattr(cls(), setting.name)
