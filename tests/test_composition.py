"""Hydra settings: every file in conf/ composes and leaves no key out; mistakes are named, and nothing is made of them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import yaml

from recognizer.composition import RECIPES, _compose, compose, compose_sweep, conf_dir
from recognizer.config import TrainConfig
from recognizer.errors import ConfigError
from recognizer.strict import build, plain

PACKAGED = sorted(path.relative_to(conf_dir()).with_suffix("").as_posix() for path in conf_dir().glob("*/*.yaml") if path.parent.name != RECIPES)
GLOBAL = ("experiment", "debug")  # groups whose files hold only what differs
# what cannot be had with the features of speech, and those it goes with
FEATURES = {
    "model/line_cnn_blstm": "pixels", "model/line_cnn_deep": "pixels", "model/mdlstm": "pixels", "model/mdlstm_fast": "pixels",
    "augment/handwriting": "pixels", "augment/strokes": "strokes",
}


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_recipes_are_no_settings() -> None:
    with pytest.raises(ConfigError, match=r"^recipe: no such key"):
        compose(["recipe=speech_en"])


def test_all_groups_are_there() -> None:
    groups = {name.split("/")[0] for name in PACKAGED}
    assert groups >= {"corpus", "features", "augment", "model", "decoder", "trainer", "experiment", "debug"}
    assert {field.name for field in dataclasses.fields(TrainConfig)} >= groups - set(GLOBAL)


@pytest.mark.parametrize("name", PACKAGED)
def test_every_file_composes_and_spells_out_every_key(name: str) -> None:
    group, choice = name.split("/")
    overrides = [*([f"features={FEATURES[name]}"] if name in FEATURES else []), f"{group}={choice}"]
    values = _compose(overrides)
    # Equal to what was built: no key of a dataclass is absent from the files, so `--show` and the files list them all.
    assert plain(build(TrainConfig, values)) == values
    written = yaml.safe_load((conf_dir() / f"{name}.yaml").read_text())
    written.pop("defaults", None)
    _assert_within(written, values if group in GLOBAL else values[group])


def _assert_within(part: dict, whole: dict) -> None:
    """What a file says is what comes out."""
    for key, value in part.items():
        if isinstance(value, dict):
            _assert_within(value, whole[key])
        else:
            assert whole[key] == value, key


def test_experiments_do_not_write_into_each_others_folders() -> None:
    experiments = [name.split("/")[1] for name in PACKAGED if name.startswith("experiment/")]
    folders = [compose([f"experiment={name}"]).run_dir for name in experiments]
    assert len(set(folders)) == len(folders)


@pytest.mark.parametrize(("name", "layers"), [("timit_graves_3l250h", 3), ("timit_graves_5l250h", 5)])
def test_the_networks_of_graves_2013_are_those_of_the_paper(name: str, layers: int) -> None:
    config = compose([f"experiment={name}", "trainer.weight_noise=0.075"])
    features, model, trainer = config.features, config.model, config.trainer
    assert (features.bins, features.energy, features.deltas, features.normalise) == (40, True, 2, "corpus")  # 123 numbers
    assert (model.frontend.kind, model.cell, model.layers, model.hidden, model.uniform, model.dropout) == ("none", "peephole", layers, 250, 0.1, 0.0)
    assert (trainer.optimiser, trainer.momentum, trainer.batch_items, trainer.weight_noise, trainer.clip) == ("sgd", 0.9, 1, 0.075, 0.0)
    assert config.augment.kind == "none" and config.corpus.text.level == "units"


def test_overrides_win_and_are_typed() -> None:
    config = compose(["experiment=printed", "trainer.learning_rate=1e-4", "features.height=40", "corpus.name=x y", "trainer.clip=1"])
    assert (config.trainer.learning_rate, config.features.height, config.trainer.clip) == (1e-4, 40, 1.0)
    assert config.run_dir == "runs/x y" and type(config.trainer.clip) is float
    both = compose(["debug=fast", "model=stacked_blstm"])
    assert both.model.frontend.kind == "stack" and both.model.hidden == 16 and both.run_dir == "runs/fast"


@pytest.mark.parametrize(("override", "message"), [
    ("trainer.epoch=3", r"^trainer\.epoch: no such key; did you mean 'trainer\.epochs'\?$"),
    ("epochs=3", r"^epochs: no such key; did you mean 'trainer\.epochs'\?$"),
    ("featurs=mfcc", r"^featurs: no such key; did you mean 'features'\?$"),
    ("+trainer.eopchs=3", r"eopchs: no such key; did you mean 'trainer\.epochs'"),
    ("hydra.run.dir=x", r"^hydra\.run\.dir: no such key"),
    ("features=mfc", r"^features: 'mfc' is not one of .*spectrogram, strokes; did you mean 'mfcc'\?$"),
    ("experiment=digit", r"^experiment: 'digit' is not one of .*; did you mean 'digits'\?$"),
    ("debug=fst", r"^debug: 'fst' is not one of fast, overfit; did you mean 'fast'\?$"),
    ("features.kind=[fbank]", r"^features\.kind: \['fbank'\] is not one of"),
    ("trainer.schedule=cosin", r"^trainer\.schedule: 'cosin' is not one of constant, cosine, plateau; did you mean 'cosine'\?$"),
    ("trainer.epochs=many", r"^trainer\.epochs: expected int, found 'many'$"),
    ("model=line_cnn_blstm", r"^model\.frontend\.kind: line_cnn reads features=pixels$"),
    ("augment=handwriting", r"^augment\.kind: 'line' does not fit audio features$"),
    ("trainer.epochs", r"^'trainer\.epochs': an override is written key=value$"),
    ("~trainer.clip", r"an override is written key=value$"),
    ("trainer.epochs=[1", r"trainer\.epochs=\[1"),
    ("trainer.epochs=1,2", r"trainer\.epochs=1,2"),
    ("trainer.epochs=${nowhere}", r"^trainer\.epochs: .*nowhere"),
    ("corpus.root=???", r"^corpus\.root: Missing"),
    ("augment=null", "^augment=null: "),
    ("=3", "^=3: "),
])
def test_mistakes_are_one_line_and_make_no_folder(override: str, message: str, in_an_empty_folder: Path) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        compose([override])
    assert "\n" not in str(caught.value)
    assert list(in_an_empty_folder.iterdir()) == []


def test_a_cepstrum_has_no_frequency_axis_to_warp() -> None:
    warped = ["augment=speech", "augment.vocal_tract=[0.9,1.1]"]
    assert compose(warped).augment.vocal_tract == (0.9, 1.1)
    with pytest.raises(ConfigError, match=r"^augment\.vocal_tract: needs features\.kind=fbank$"):
        compose(["features=mfcc", *warped])


def test_composing_makes_no_folder_either(in_an_empty_folder: Path) -> None:
    compose(["run_dir=somewhere"])
    assert list(in_an_empty_folder.iterdir()) == []


def test_a_sweep_has_every_combination_and_a_folder_for_each() -> None:
    configs = compose_sweep(["model=blstm,stacked_blstm", "trainer.clip=choice(1,2.5)", "corpus.name=c", "device=cpu"])
    assert [(c.model.frontend.kind, c.trainer.clip) for c in configs] == [("none", 1.0), ("none", 2.5), ("stack", 1.0), ("stack", 2.5)]
    assert {c.device for c in configs} == {"cpu"}
    folders = [c.run_dir for c in configs]
    assert len(set(folders)) == 4 and all(Path(folder).parent == Path("runs/c") for folder in folders)
    assert folders[1] == "runs/c/model=blstm,trainer.clip=2.5"


@pytest.mark.parametrize("override", ["corpus.root=a/b,a:b", "seed=1,1", "run_dir=a,b"])
def test_folders_of_a_sweep_differ_whatever_the_values(override: str) -> None:
    folders = [config.run_dir for config in compose_sweep([override])]
    assert len(folders) == len(set(folders)) > 1


def test_without_a_comma_a_sweep_is_one_run() -> None:
    assert compose_sweep(["seed=2"]) == [compose(["seed=2"])]


@pytest.mark.parametrize(("overrides", "message"), [
    (["trainer.epoch=1,2"], "did you mean 'trainer.epochs'"), (["seed=1,x"], "^seed: expected int, found 'x'$"),
    (["model=blstm,stackd_blstm"], "did you mean 'stacked_blstm'"), (["seed=1,"], "^seed=1,: "),
])
def test_one_mistake_refuses_the_whole_sweep(overrides: list[str], message: str, in_an_empty_folder: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        compose_sweep(overrides)
    assert list(in_an_empty_folder.iterdir()) == []
