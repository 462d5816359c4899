"""Settings: every limit refuses the first value beyond it and takes the last within it, and parts must fit each other."""

from __future__ import annotations

from typing import Any

import pytest

from recognizer.config import (
    AudioAugment,
    AudioFeatures,
    CellSettings,
    CorpusConfig,
    DecoderConfig,
    LineAugment,
    LineCnn,
    LineFeatures,
    MdLstmFrontend,
    ModelConfig,
    NoFrontend,
    PlattScaling,
    RecognizerConfig,
    SpeechCnn,
    Stack,
    StrokeAugment,
    StrokeFeatures,
    TextConfig,
    TrainConfig,
    TrainerConfig,
    are_compatible,
)
from recognizer.errors import ConfigError

SMALL, NAN, INFINITE = 1e-9, float("nan"), float("inf")
Limit = tuple[type, str, list[Any], list[Any]]  # class, keys, values that are refused, values at the limit that are taken
LIMITS: list[Limit] = [
    (AudioFeatures, "sample_rate", [999, 0, -16000, 768_001], [1000, 48000, 768_000]),
    (AudioFeatures, "window_ms", [0.0, -1.0, 1000.1, INFINITE], [10.0, 1000.0]),
    (AudioFeatures, "hop_ms", [0.0, -1.0, 25.1], [25.0, 0.1]),
    (AudioFeatures, "num_mel_bins", [1, 513, -3], [2, 512]),
    (AudioFeatures, "coefficients", [0, -1], [1]),
    (AudioFeatures, "f_min", [-1.0, 8000.0], [0.0, 7999.0]),
    (AudioFeatures, "f_max", [8000.1, 20.0, 10.0, -7980.0], [8000.0, 20.1, -7979.9]),
    (AudioFeatures, "preemphasis", [-0.1, 1.0], [0.0, 0.99]),
    (AudioFeatures, "deltas", [-1, 3], [0, 2]),
    (AudioFeatures, "dither", [-SMALL, 1 + SMALL], [0.0, 1.0]),
    (LineFeatures, "height", [7, 513, 0], [8, 512]),
    (StrokeFeatures, "spacing", [0.01, 1.1], [0.02, 1.0]),
    (AudioAugment, "speed tempo vocal_tract", [(0.49, 1.0), (1.0, 2.01), (1.1, 0.9)], [(0.5, 2.0), (1.0, 1.0)]),
    (AudioAugment, "gain_db noise_snr_db reverb_direct_db", [(1.0, 0.0), (NAN, 0.0)], [(-60.0, 0.0), (0.0, 0.0)]),
    (AudioAugment, "noise_color", [(-2.1, 0.0), (0.0, 3.1), (1.0, 0.0)], [(-2.0, 3.0)]),
    (AudioAugment, "reverb_seconds", [(0.04, 0.5), (0.5, 5.1), (0.5, 0.4)], [(0.05, 5.0)]),
    (AudioAugment, "noise reverb telephone telephone_mu_law frequency_mask_share", [-SMALL, 1 + SMALL], [0.0, 1.0]),
    (AudioAugment, "time_masks frequency_masks", [-1], [0]),
    (AudioAugment, "time_mask_ms", [-SMALL], [0.0]),
    (LineAugment, "probability thickness ruling bleed neighbors", [-SMALL, 1 + SMALL], [0.0, 1.0]),
    (LineAugment, "shear rotate_degrees elastic blur noise", [-SMALL, INFINITE], [0.0, 0.9]),
    (LineAugment, "scale contrast", [-SMALL, 1.0], [0.0, 0.99]),
    (StrokeAugment, "scale", [-SMALL, 1.0], [0.0, 0.99]),
    (StrokeAugment, "shear rotate_degrees jitter speed spacing", [-SMALL], [0.0]),
    (Stack, "frames", [0, 33], [1, 32]),
    (LineCnn, "channels", [(), (32,), (0, 8, 8, 8)], [(1, 1, 1, 1)]),
    (LineCnn, "time_strides height_strides", [(2, 2, 1), (2, 2, 1, 0), (2, 2, 1, 5)], [(1, 2, 3, 4)]),
    (SpeechCnn, "channels", [(), (32,), (8, 0)], [(1, 1)]),
    (SpeechCnn, "time_strides frequency_strides", [(2,), (2, 0), (2, 5)], [(3, 4)]),
    (SpeechCnn, "output", [0, -1], [1]),
    *[(cls, "dropout", [-SMALL, 1.0], [0.0, 0.99]) for cls in (LineCnn, SpeechCnn, MdLstmFrontend, ModelConfig)],
    (MdLstmFrontend, "hidden_sizes", [(), (0, 1, 1)], [(1, 1, 1)]),
    (MdLstmFrontend, "units", [(6,), (6, 0)], [(1, 1)]),
    (MdLstmFrontend, "block_heights block_widths", [(4, 4), (4, 4, 0), (4, 4, 65)], [(1, 2, 64)]),
    (CellSettings, "zoneout recurrent_dropout", [-SMALL, 1.0], [0.0, 0.99]),
    (CellSettings, "forget_bias", [NAN, INFINITE], [-1.0, 2.0]),
    (CellSettings, "heads", [0], [1]),
    (CellSettings, "positions", [-1], [0, 80]),
    (CellSettings, "kernel", [0, 2, -1], [1, 5]),
    (ModelConfig, "cell", ["", "peepholes", "__init__"], ["lstm", "peephole", "mlstm"]),
    (ModelConfig, "tbptt_frames", [-1], [0]),
    (ModelConfig, "attention_heads", [-1, 4, 7], [0, 5]),
    (ModelConfig, "num_layers", [0, 33], [1, 32]),
    (ModelConfig, "hidden_size", [0, 8193], [1, 8192]),
    (ModelConfig, "frontend_ctc_weight intermediate_ctc_weight", [-SMALL, 1 + SMALL], [0.0, 1.0]),
    (ModelConfig, "uniform", [-SMALL], [0.0, 0.1]),
    (DecoderConfig, "beam_size beam_size_token token_threshold beam_threshold", [0, -1, NAN], [1]),
    (DecoderConfig, "blank_skip", [0.0, 1 + SMALL], [1.0]),
    (DecoderConfig, "lm_weight char_lm_weight", [-SMALL, INFINITE], [0.0]),
    (DecoderConfig, "unk_score word_score token_score", [NAN, INFINITE, -INFINITE], [-3.0]),
    (DecoderConfig, "combine_weight", [-SMALL, 1 + SMALL], [0.0, 1.0]),
    (TrainerConfig, "learning_rate", [0.0, -1.0, NAN], [SMALL]),
    (TrainerConfig, "epochs max_batch_size batch_frames gradient_accumulation_steps val_every_n_epochs plateau_patience", [0, -1], [1]),
    (TrainerConfig, "weight_decay max_grad_norm weight_noise cr_ctc_weight minutes checkpoint_minutes", [-SMALL, NAN], [0.0]),
    (TrainerConfig, "warmup_steps clean_epochs patience threads limit_items", [-1], [0]),
    (TrainerConfig, "num_workers", [-2], [-1, 0]),
    (TrainerConfig, "threads num_workers", [1025, 1_000_000], [1024]),
    (TrainerConfig, "momentum ema_decay", [-SMALL, 1.0], [0.0, 0.99]),
    (TrainerConfig, "plateau_factor", [0.0, 1.0], [0.01, 0.99]),
]
EITHER = {"f_min": "f_max", "channels": "(channels|time_strides)"}  # of two keys that disagree, one is named


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: f"{limit[0].__name__}.{limit[1]}")
def test_limits(limit: Limit) -> None:
    cls, keys, refused, taken = limit
    for key in keys.split():
        for value in refused:
            with pytest.raises(ConfigError, match=rf"^{EITHER.get(key, key)}: "):
                cls(**{key: value})
        for value in taken:
            assert getattr(cls(**{key: value}), key) == value


@pytest.mark.parametrize(("make", "message"), [
    (lambda: TextConfig(level="units", drop="."), "^drop: only applies to level=characters"),
    (lambda: AudioFeatures(kind="mfcc", num_mel_bins=12), "^coefficients: must lie between 1 and num_mel_bins"),
    (lambda: AudioFeatures(sample_rate=8000, f_max=4001.0), r"^f_max: the band 20\.\.4001 Hz must lie within 0\.\.4000 Hz"),
    (lambda: AudioFeatures(sample_rate=1000, f_min=400.0, f_max=-100.0), "^f_max: the band"),
    (lambda: ModelConfig(LineCnn(), num_layers=0), "^num_layers: must lie between 1 and 32"),
    (lambda: ModelConfig(frontend_ctc_weight=0.5, intermediate_ctc_weight=0.75), "^intermediate_ctc_weight: .* frontend_ctc_weight added"),
    (lambda: ModelConfig(num_layers=1, intermediate_ctc_weight=0.1), "^intermediate_ctc_weight: stands between layers; needs two or more"),
    (lambda: ModelConfig(cell="peepholes"), r"^cell: 'peepholes' is not one of .*coupled, .*; did you mean 'peephole'\?$"),
    (lambda: DecoderConfig(vocabulary="closed"), r"^vocabulary: closed needs decoder\.lexicon or a word model"),
    (lambda: PlattScaling(1.0, -1.0, 0.0), "^peak: "), (lambda: PlattScaling(1.0, 1.0, NAN), "^bias: "),
    (lambda: TrainConfig(CorpusConfig(), AudioFeatures(), ModelConfig(), seed=-1), "^seed: "),
    *[(lambda name=name: TrainConfig(CorpusConfig(), AudioFeatures(), ModelConfig(), device=name), "^device: ") for name in ("gpu", "", "mps")],
])
def test_values_that_do_not_go_together_are_refused(make, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()


def test_values_that_do() -> None:
    assert AudioFeatures(kind="fbank", num_mel_bins=8).coefficients == 13 == AudioFeatures(kind="mfcc", num_mel_bins=13).coefficients
    assert AudioFeatures(sample_rate=8000, f_max=4000.0).f_max == 4000
    assert ModelConfig(MdLstmFrontend(), num_layers=0).num_layers == 0
    assert ModelConfig(frontend_ctc_weight=0.5, intermediate_ctc_weight=0.5).intermediate_ctc_weight == 0.5
    assert [DecoderConfig(lexicon=lexicon, vocabulary=vocabulary).closed for lexicon in (None, "x") for vocabulary in ("auto", "open")] == [
        False, False, True, False]


AUDIO, PIXELS, GEOMETRIC, STROKES = AudioFeatures(), LineFeatures(), LineFeatures(kind="geometric"), StrokeFeatures()


@pytest.mark.parametrize(("features", "modality", "frontends", "augment"), [
    (AUDIO, "audio", {NoFrontend, Stack, SpeechCnn}, AudioAugment), (PIXELS, "line", {NoFrontend, Stack, LineCnn, MdLstmFrontend}, LineAugment),
    (GEOMETRIC, "line", {NoFrontend, Stack}, LineAugment), (STROKES, "strokes", {NoFrontend, Stack}, StrokeAugment),
])
def test_front_ends_and_augmentations_fit_their_features(features: Any, modality: str, frontends: set[type], augment: type) -> None:
    for frontend in (NoFrontend, Stack, SpeechCnn, LineCnn, MdLstmFrontend):
        model = ModelConfig(frontend())
        if frontend in frontends:
            assert RecognizerConfig(features, model).modality == modality
            assert TrainConfig(CorpusConfig(), features, model).recognizer == RecognizerConfig(features, model)
            continue
        for make in (lambda model=model: RecognizerConfig(features, model), lambda model=model: TrainConfig(CorpusConfig(), features, model)):
            with pytest.raises(ConfigError, match=r"^model\.frontend\.kind: "):
                make()
    for kind in {AudioAugment, LineAugment, StrokeAugment} - {augment}:
        with pytest.raises(ConfigError, match=r"^augment\.kind: '\w+' does not fit"):
            TrainConfig(CorpusConfig(), features, ModelConfig(), augment=kind())
    assert TrainConfig(CorpusConfig(), features, ModelConfig(), augment=augment()).augment == augment()


def test_a_bundle_gets_what_it_needs_of_the_settings_of_training() -> None:
    text = TextConfig(case="lower")
    config = TrainConfig(CorpusConfig(text=text), PIXELS, ModelConfig(num_layers=2), device="cuda:1")
    assert config.recognizer == RecognizerConfig(PIXELS, ModelConfig(num_layers=2), text)


def test_weights_may_go_on_with_other_cleaning_and_dither() -> None:
    assert are_compatible(PIXELS, LineFeatures(contrast="background", deskew=True)) and are_compatible(AUDIO, AudioFeatures(dither=0.1))
    assert not are_compatible(PIXELS, LineFeatures(height=32)) and not are_compatible(AUDIO, AudioFeatures(hop_ms=5.0))
    assert not are_compatible(AUDIO, PIXELS)
