"""Settings from files: every file in conf/ composes; mistakes are named, and nothing is made of them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import yaml

from recognizer.config import AudioAugment, AudioFeatures, DecoderConfig, LineCnn, ModelConfig, TrainConfig, TrainerConfig
from recognizer.config.compose import compose, compose_values, conf_dir
from recognizer.config.schema import from_dict, to_dict
from recognizer.config.search_space import grid_trials
from recognizer.errors import ConfigError

ALL = sorted(path.relative_to(conf_dir()).with_suffix("").as_posix() for path in conf_dir().glob("*/*.yaml"))
PACKAGED = [name for name in ALL if not name.startswith("sweep/")]  # those of a training (tests/config/test_search_space.py has the others)
GLOBAL = ("experiment", "debug")  # groups whose files are not of one group of keys
# choices that do not go with the features of speech, and the features that they go with
FEATURES = {
    "model/line_cnn_blstm": "pixels", "model/line_cnn_deep": "pixels", "model/mdlstm": "pixels", "model/mdlstm_fast": "pixels",
    "model/streaming_blstm": "streaming", "augment/handwriting": "pixels", "augment/strokes": "strokes",
}


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    return tmp_path / "empty"


def test_all_groups_are_there() -> None:
    groups = {name.split("/")[0] for name in PACKAGED}
    assert groups == {"corpus", "features", "augment", "model", "objective", "decoder", "trainer", "experiment", "debug"}
    assert {field.name for field in dataclasses.fields(TrainConfig)} >= groups - set(GLOBAL)


def test_the_readme_names_every_choice() -> None:
    text = (conf_dir() / "README.md").read_text(encoding="utf-8")
    assert [name for name in ALL if f"`{name.split('/')[1]}`" not in text] == []


@pytest.mark.parametrize("name", PACKAGED)
def test_every_file_composes_and_is_what_comes_out(name: str) -> None:
    group, choice = name.split("/")
    overrides = [*([f"features={FEATURES[name]}"] if name in FEATURES else []), f"{group}={choice}"]
    overrides += ["init='a bundle'"] if name == "objective/minimum_risk" else []
    config = compose(overrides)
    values = to_dict(config)
    assert compose_values(overrides) == values  # complete
    assert from_dict(TrainConfig, yaml.safe_load(yaml.safe_dump(values, allow_unicode=True))) == config
    written = yaml.safe_load((conf_dir() / f"{name}.yaml").read_text()) or {}
    written.pop("defaults", None)
    _assert_within(written, values if group in GLOBAL else values[group])


def _assert_within(part: dict, whole: dict) -> None:
    for key, value in part.items():
        if isinstance(value, dict):
            _assert_within(value, whole[key])
        else:
            assert whole[key] == value, key


def test_the_defaults_are_those_of_the_dataclasses() -> None:
    """There is one set of them, whether settings come from the command line or from Python."""
    plain = compose([])
    assert (plain.features, plain.model, plain.decoder, plain.trainer) == (AudioFeatures(), ModelConfig(), DecoderConfig(), TrainerConfig())
    assert (plain.trainer.ema_decay, plain.features.normalize, plain.seed, plain.run_dir) == (0.999, "utterance", 1, "runs/corpus")
    assert compose(["decoder=beam"]).decoder == DecoderConfig(kind="beam")


def test_keys_that_no_file_lists_can_be_set() -> None:
    config = compose(["features=mfcc", "features.dither=0.1", "augment.kind=audio", "model.recurrent.zoneout=0.1", "trainer.warmup_steps=7"])
    assert (config.features.dither, config.features.num_mel_bins, config.augment) == (0.1, 23, AudioAugment())
    assert (config.model.recurrent.zoneout, config.trainer.warmup_steps) == (0.1, 7)
    assert compose(["features=pixels", "model.frontend.kind=line_cnn"]).model.frontend == LineCnn()


def test_experiments_do_not_write_into_each_others_folders() -> None:
    folders = [compose([name.replace("/", "=")]).run_dir for name in PACKAGED if name.startswith("experiment/")]
    assert len(set(folders)) == len(folders)


@pytest.mark.parametrize(("name", "layers"), [("timit_graves_3l250h", 3), ("timit_graves_5l250h", 5)])
def test_the_networks_of_graves_2013_are_those_of_the_paper(name: str, layers: int) -> None:
    config = compose([f"experiment={name}", "trainer.weight_noise=0.075"])
    features, model, trainer = config.features, config.model, config.trainer
    assert (features.num_mel_bins, features.energy, features.deltas, features.normalize) == (40, True, 2, "corpus")  # 123 numbers
    assert (model.frontend.kind, model.cell, model.num_layers, model.hidden_size) == ("none", "peephole", layers, 250)
    assert (model.uniform, model.dropout) == (0.1, 0.0)
    assert (trainer.optimizer, trainer.momentum, trainer.max_batch_size, trainer.weight_noise, trainer.max_grad_norm) == ("sgd", 0.9, 1, 0.075, 0.0)
    assert config.augment.kind == "none" and config.corpus.text.level == "units"


def test_overrides_win_and_are_typed() -> None:
    config = compose(["experiment=printed", "trainer.learning_rate=1e-4", "features.height=40", "corpus.name=x y", "trainer.max_grad_norm=1"])
    assert (config.trainer.learning_rate, config.features.height, config.trainer.max_grad_norm) == (1e-4, 40, 1.0)
    assert config.run_dir == "runs/x y" and type(config.trainer.max_grad_norm) is float
    both = compose(["debug=fast", "model=stacked_blstm", "run_dir='${corpus.name}/${trainer.epochs}'"])
    assert both.model.frontend.kind == "stack" and both.model.hidden_size == 16 and both.run_dir == "corpus/1"


@pytest.mark.parametrize(("override", "message"), [
    ("trainer.epoch=3", r"^trainer\.epoch: no such key; did you mean 'trainer\.epochs'\?$"),
    ("epochs=3", r"^epochs: no such key; did you mean 'trainer\.epochs'\?$"),
    ("featurs=mfcc", r"^featurs: no such key; did you mean 'features'\?$"),
    ("recipe=speech_en", r"^recipe: no such key"),
    ("+trainer.eopchs=3", r"eopchs: no such key; did you mean 'trainer\.epochs'"),
    ("hydra.run.dir=x", r"^hydra\.run\.dir: no such key"),
    ("trainer.clip=1", r"^trainer\.clip: is called trainer\.max_grad_norm now$"),
    ("model.ranks=[1]", r"^model\.ranks: no such setting any more$"),
    ("features=mfc", r"^features: 'mfc' is not one of .*spectrogram, streaming, strokes; did you mean 'mfcc'\?$"),
    ("experiment=digit", r"^experiment: 'digit' is not one of .*; did you mean 'digits'\?$"),
    ("features.kind=[fbank]", r"^features\.kind: \['fbank'\] is not one of"),
    ("trainer.schedule=cosin", r"^trainer\.schedule: 'cosin' is not one of constant, cosine, plateau; did you mean 'cosine'\?$"),
    ("trainer.epochs=many", r"^trainer\.epochs: expected int, found 'many'$"),
    ("model=line_cnn_blstm", r"^model\.frontend\.kind: line_cnn reads features=pixels$"),
    ("augment=handwriting", r"^augment\.kind: 'line' does not fit audio features$"),
    ("trainer.epochs", r"^'trainer\.epochs': an override is written key=value$"),
    ("~trainer.max_grad_norm", r"an override is written key=value$"),
    ("~trainer.epochs=30", r"settings cannot be deleted"),
    ("trainer.epochs=[1", r"trainer\.epochs=\[1"),
    ("sweep=optuna", r"^sweep=optuna: settings of a sweep need -m \(--multirun\)$"),
    ("sweep.trials=3", r"^sweep\.trials=3: settings of a sweep need -m"),
    ("trainer.epochs=1,2", r"^trainer\.epochs=1,2: several values need -m"),
    ("trainer.epochs=${nowhere}", r"^trainer\.epochs: .*nowhere"),
    ("corpus.root=???", r"^corpus\.root: Missing"),
    ("augment=null", "^augment=null: "),
    ("=3", "^'=3': an override is written key=value$"),
    ("trainer.epochs=" + "9" * 5000, r"^trainer\.epochs=9+\.\.\.: a number of more than 300 digits$"),
    ("trainer.epochs=" + "[" * 5000, r"^trainer\.epochs=\[+\.\.\.: more than 100 lists and groups within each other$"),
    ("trainer.epochs=1e999", r"^trainer\.epochs: expected int, found inf$"),
])
def test_mistakes_are_one_line_and_make_no_folder(override: str, message: str, in_an_empty_folder: Path) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        compose([override])
    assert "\n" not in str(caught.value)
    assert list(in_an_empty_folder.iterdir()) == []


def test_vocal_tracts_are_scaled_in_a_filter_bank_only() -> None:
    scaled = ["augment=speech", "augment.vocal_tract=[0.9,1.1]"]
    assert compose(scaled).augment.vocal_tract == (0.9, 1.1)
    with pytest.raises(ConfigError, match=r"^augment\.vocal_tract: needs features\.kind=fbank$"):
        compose(["features=mfcc", *scaled])


@pytest.fixture
def own_dir(tmp_path: Path) -> Path:
    """A folder of a user's own choices; its name is one that needs quotes."""
    own = tmp_path / 'my "conf"'
    for name, text in {
        "experiment/mine": "# @package _global_\ndefaults:\n  - override /model: wide\n  - override /augment: speech\ntrainer: {epochs: 3}\n",
        "model/wide": "defaults: [peephole]\nhidden_size: 500\n", "experiment/wrong": "# @package _global_\ntrainer: {epoch: 3}\n",
    }.items():  # fmt: skip
        (own / name).parent.mkdir(parents=True, exist_ok=True)
        (own / f"{name}.yaml").write_text(text)
    return own


def test_a_folder_of_ones_own_adds_choices(own_dir: Path) -> None:
    config = compose(["experiment=mine", "seed=4"], own_dir)
    assert (config.model.hidden_size, config.model.cell, config.trainer.epochs, config.seed) == (500, "peephole", 3, 4)
    assert config.augment == compose(["augment=speech"]).augment
    assert [trial.config.model.hidden_size for trial in grid_trials(["model=blstm,wide"], own_dir)] == [250, 500]
    for overrides, folder, message in (
        (["experiment=min"], own_dir, "^experiment: 'min' is not one of .*; did you mean 'mine'"), (["experiment=mine"], None, "is not one of"),
        (["experiment=wrong"], own_dir, r"^trainer\.epoch: no such key; did you mean 'trainer\.epochs'"),
        ([], own_dir / "none", "^--config-dir: .*none is no folder"),
    ):  # fmt: skip
        with pytest.raises(ConfigError, match=message):
            compose(overrides, folder)


@pytest.mark.parametrize(("text", "message"), [
    ("trainer:\n  epochs: " + "[" * 5000, r"bad\.yaml:2: .*nested more than 100 deep"),
    ("\n".join(["a0: &a0 [1, 2]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12))]), r"bad\.yaml:\d: .*aliases"),
    ("trainer: {epochs: " + "9" * 5000 + "}", r"bad\.yaml:1: .*a number of more than 300 digits"),
    ("trainer: [", r"bad\.yaml:1: not YAML"),
])
def test_a_hostile_file_in_a_folder_of_ones_own_is_named(text: str, message: str, own_dir: Path) -> None:
    (own_dir / "experiment" / "bad.yaml").write_text(text)
    with pytest.raises(ConfigError, match=rf"^--config-dir: .*{message}"):
        compose(["experiment=bad"], own_dir)


def test_train_and_audit_take_the_folder(cli, own_dir: Path, tones) -> None:
    shown = cli("train", "--config-dir", own_dir, "experiment=mine", f"corpus.root={tones.root}", "--show")
    assert shown.code == 0 and yaml.safe_load("\n".join(shown.out))["model"]["hidden_size"] == 500
    audited = cli("audit", tones.root / "dev.jsonl", "--config-dir", own_dir, "model=wide", "-q")
    assert audited.code == 0 and audited.out[0].startswith("24 of 24 items can be trained on")
