"""Settings: every limit refuses the first value beyond it and takes the last within it, and parts must fit each other."""

from __future__ import annotations

from typing import Any

import pytest

from recognizer.config import (
    AudioAugment,
    AudioFeatures,
    CorpusConfig,
    LineAugment,
    LineCnn,
    LineFeatures,
    MdLstmFrontend,
    ModelConfig,
    NoFrontend,
    RecipeConfig,
    SpeechCnn,
    Stack,
    TextConfig,
    TrainConfig,
    TrainerConfig,
)
from recognizer.errors import ConfigError
from tests.limits import SMALL, Limit, check, name

LIMITS: list[Limit] = [
    (AudioFeatures, "sample_rate", [999, 0, -16000], [1000, 48000]),
    (AudioFeatures, "window_ms", [0.0, -1.0], [10.0]),
    (AudioFeatures, "hop_ms", [0.0, -1.0, 25.1], [25.0, 0.1]),
    (AudioFeatures, "bins", [1, 513, -3], [2, 512]),
    (AudioFeatures, "coefficients", [0, -1], [1]),
    (AudioFeatures, "low_hz", [-1.0, 8000.0], [0.0, 7999.0]),
    (AudioFeatures, "high_hz", [8000.1, 20.0, 10.0, -7980.0], [8000.0, 20.1, -7979.9]),
    (AudioFeatures, "preemphasis", [-0.1, 1.0], [0.0, 0.99]),
    (AudioFeatures, "deltas", [-1, 3], [0, 2]),
    (AudioFeatures, "dither", [-SMALL, 1 + SMALL], [0.0, 1.0]),
    (LineFeatures, "height", [7, 513, 0], [8, 512]),
    (AudioAugment, "speed", [(0.49, 1.0), (1.0, 2.01), (1.1, 0.9)], [(0.5, 2.0), (1.0, 1.0)]),
    (AudioAugment, "tempo", [(0.49, 1.0), (1.0, 2.01), (1.1, 0.9)], [(0.5, 2.0), (1.0, 1.0)]),
    (AudioAugment, "vocal_tract", [(0.49, 1.0), (1.0, 2.01), (1.1, 0.9)], [(0.5, 2.0), (0.9, 1.1)]),
    (AudioAugment, "gain_db", [(1.0, 0.0)], [(-60.0, 0.0)]),
    (AudioAugment, "noise_snr_db", [(1.0, 0.0)], [(0.0, 0.0)]),
    (AudioAugment, "noise_colour", [(-2.1, 0.0), (0.0, 3.1), (1.0, 0.0)], [(-2.0, 3.0)]),
    (AudioAugment, "reverb_seconds", [(0.04, 0.5), (0.5, 5.1), (0.5, 0.4)], [(0.05, 5.0)]),
    (AudioAugment, "reverb_direct_db", [(1.0, 0.0)], [(-5.0, -5.0)]),
    *[(AudioAugment, key, [-SMALL, 1 + SMALL], [0.0, 1.0]) for key in ("noise", "reverb", "telephone", "telephone_mu_law")],
    (AudioAugment, "time_masks", [-1], [0]),
    (AudioAugment, "frequency_masks", [-1], [0]),
    (AudioAugment, "time_mask_ms", [-SMALL], [0.0]),
    (AudioAugment, "frequency_mask_share", [-SMALL, 1 + SMALL], [0.0, 1.0]),
    *[(LineAugment, key, [-SMALL, 1 + SMALL], [0.0, 1.0]) for key in ("probability", "thickness", "ruling", "bleed", "neighbours")],
    *[(LineAugment, key, [-SMALL], [0.0, 0.9]) for key in ("scale", "shear", "rotate_degrees", "elastic", "contrast", "blur", "noise")],
    (LineAugment, "scale", [1.0], [0.99]),
    (LineAugment, "contrast", [1.0], [0.99]),
    (TrainerConfig, "learning_rate", [0.0, -1.0, float("nan")], [SMALL]),
    *[(TrainerConfig, key, [0, -1], [1]) for key in ("epochs", "batch_items", "batch_frames", "accumulate", "evaluate_every", "plateau_patience")],
    *[(TrainerConfig, key, [-SMALL, float("nan")], [0.0]) for key in ("weight_decay", "clip", "weight_noise", "minutes", "checkpoint_minutes")],
    *[(TrainerConfig, key, [-1], [0]) for key in ("warmup_steps", "calm_epochs", "patience", "threads", "overfit")],
    (TrainerConfig, "workers", [-2], [-1, 0]),
    (TrainerConfig, "momentum", [-SMALL, 1.0], [0.0, 0.99]),
    (TrainerConfig, "plateau_factor", [0.0, 1.0], [0.01, 0.99]),
    (TrainerConfig, "average", [-SMALL, 1.0], [0.0, 0.9999]),
]


@pytest.mark.parametrize("limit", LIMITS, ids=name)
def test_limits(limit: Limit) -> None:
    check(limit, "high_hz" if limit[1] == "low_hz" else None)  # of two that disagree, one is named


@pytest.mark.parametrize(("cls", "settings", "key"), [
    (AudioFeatures, {"bins": 1}, "bins"), (AudioFeatures, {"hop_ms": 30.0}, "hop_ms"), (AudioFeatures, {"kind": "mfcc", "bins": 12}, "coefficients"),
    (LineAugment, {"bleed": 2.0}, "bleed"), (LineCnn, {"time_strides": (1,)}, "time_strides"), (ModelConfig, {"hidden": 0}, "hidden"),
    (TrainerConfig, {"clip": -1.0}, "clip"), (TrainerConfig, {"batch_frames": 0}, "batch_frames"),
    (TextConfig, {"level": "units", "drop": "."}, "drop"),
])
def test_the_message_begins_with_the_key(cls: type, settings: dict[str, Any], key: str) -> None:
    with pytest.raises(ConfigError, match=f"^{key}: "):
        cls(**settings)


def test_coefficients_count_for_the_cepstrum_only() -> None:
    assert AudioFeatures(kind="fbank", bins=8).coefficients == 13
    assert AudioFeatures(kind="mfcc", bins=13).coefficients == 13


def test_the_upper_edge_counts_from_the_nyquist_frequency_of_the_sample_rate() -> None:
    AudioFeatures(sample_rate=8000, high_hz=4000.0)
    with pytest.raises(ConfigError, match=r"^high_hz: the band 20\.\.4001 Hz must lie within 0\.\.4000 Hz"):
        AudioFeatures(sample_rate=8000, high_hz=4001.0)
    with pytest.raises(ConfigError, match=r"^high_hz: the band"):
        AudioFeatures(sample_rate=1000, low_hz=400.0, high_hz=-100.0)


AUDIO, PIXELS, GEOMETRIC = AudioFeatures(), LineFeatures(), LineFeatures(kind="geometric")


@pytest.mark.parametrize(("features", "frontend", "fits"), [
    (AUDIO, NoFrontend(), True), (AUDIO, Stack(), True), (AUDIO, SpeechCnn(), True), (AUDIO, LineCnn(), False),
    (PIXELS, NoFrontend(), True), (PIXELS, Stack(), True), (PIXELS, SpeechCnn(), False), (PIXELS, LineCnn(), True),
    (GEOMETRIC, NoFrontend(), True), (GEOMETRIC, Stack(), True), (GEOMETRIC, SpeechCnn(), False), (GEOMETRIC, LineCnn(), False),
    (PIXELS, MdLstmFrontend(), True), (AUDIO, MdLstmFrontend(), False), (GEOMETRIC, MdLstmFrontend(), False),
])
def test_front_ends_fit_their_features(features: Any, frontend: Any, fits: bool) -> None:
    model = ModelConfig(frontend)
    if fits:
        assert RecipeConfig(features, model).modality == ("audio" if features is AUDIO else "line")
        assert TrainConfig(CorpusConfig(), features, model).recipe == RecipeConfig(features, model)
        return
    for make in (lambda: RecipeConfig(features, model), lambda: TrainConfig(CorpusConfig(), features, model)):
        with pytest.raises(ConfigError, match=r"^model\.frontend\.kind: "):
            make()


@pytest.mark.parametrize(("features", "augment"), [(AUDIO, LineAugment()), (PIXELS, AudioAugment()), (GEOMETRIC, AudioAugment())])
def test_augmentation_fits_its_features(features: Any, augment: Any) -> None:
    with pytest.raises(ConfigError, match=r"^augment\.kind: '\w+' does not fit"):
        TrainConfig(CorpusConfig(), features, ModelConfig(), augment)
    own = AudioAugment() if features is AUDIO else LineAugment()
    assert TrainConfig(CorpusConfig(), features, ModelConfig(), own).augment == own


def test_the_recipe_is_the_part_that_a_bundle_needs() -> None:
    text = TextConfig(case="lower")
    config = TrainConfig(CorpusConfig(text=text), PIXELS, ModelConfig(layers=2))
    assert config.recipe == RecipeConfig(PIXELS, ModelConfig(layers=2), text)


def test_device_and_seed() -> None:
    for device in ("auto", "cpu", "cuda", "cuda:1"):
        assert TrainConfig(CorpusConfig(), AUDIO, ModelConfig(), device=device).device == device
    for device in ("gpu", "", "mps"):
        with pytest.raises(ConfigError, match=r"^device: "):
            TrainConfig(CorpusConfig(), AUDIO, ModelConfig(), device=device)
    with pytest.raises(ConfigError, match=r"^seed: "):
        TrainConfig(CorpusConfig(), AUDIO, ModelConfig(), seed=-1)
