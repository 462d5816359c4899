"""Typed settings of a recogniser and of its training: every key, its unit, its default and its limits."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from recognizer.augment_config import AudioAugment, LineAugment, NoAugment, StrokeAugment
from recognizer.calibration import Calibration
from recognizer.model_config import CellSettings, LineCnn, MdLstmFrontend, ModelConfig, NoFrontend, SpeechCnn, Stack, cell_names
from recognizer.strict import require

# whoever reads settings finds all of them here
__all__ = [
    "AudioAugment", "AudioFeatures", "CellSettings", "CorpusConfig", "DecoderConfig", "Features", "LineAugment", "LineCnn", "LineFeatures",
    "MdLstmFrontend", "Modality", "ModelConfig", "NoAugment", "NoFrontend", "RecipeConfig", "SpeechCnn", "Stack", "StrokeAugment",
    "StrokeFeatures", "TextConfig", "TrainConfig", "TrainerConfig", "are_akin", "cell_names",
]  # fmt: skip

Modality = Literal["audio", "line", "strokes"]


@dataclass(frozen=True)
class TextConfig:
    """Which transcript of a manifest is the target, and how it is cleaned."""

    level: Literal["characters", "units"] = "characters"
    case: Literal["keep", "lower", "upper"] = "keep"
    drop: str = ""  # characters removed from the text before anything else
    spaces: str = ""  # characters that become a space, such as a hyphen

    def __post_init__(self) -> None:
        for key in ("drop", "spaces"):
            require(self.level == "characters" or not getattr(self, key), key, "only applies to level=characters")


@dataclass(frozen=True)
class AudioFeatures:
    """Spectral features of a waveform, one frame every ``hop_ms``."""

    kind: Literal["fbank", "mfcc", "spectrogram"] = "fbank"
    sample_rate: int = 16_000  # Hz; recordings of another rate are resampled
    window_ms: float = 25.0
    hop_ms: float = 10.0
    bins: int = 80  # mel bands (not used by "spectrogram", which keeps every FFT bin)
    coefficients: int = 13  # cepstral coefficients kept ("mfcc" only)
    low_hz: float = 20.0
    high_hz: float = 0.0  # 0: the Nyquist frequency; negative: so far below it
    preemphasis: float = 0.97
    energy: bool = False  # append the log energy of each frame
    deltas: int = 0  # 1: append first differences; 2: and second differences
    normalise: Literal["corpus", "utterance", "none"] = "corpus"
    dither: float = 0.0  # level of a fixed noise that is added, share of the utterance's own (root mean square)

    def __post_init__(self) -> None:
        require(self.sample_rate >= 1000, "sample_rate", f"{self.sample_rate} Hz is too low")
        require(self.window_ms > 0, "window_ms", "must be positive")
        require(0 < self.hop_ms <= self.window_ms, "hop_ms", "must be positive and no longer than window_ms")
        require(2 <= self.bins <= 512, "bins", "must lie between 2 and 512")
        require(self.coefficients >= 1, "coefficients", "must be positive")
        require(self.kind != "mfcc" or self.coefficients <= self.bins, "coefficients", "must lie between 1 and bins")
        nyquist = self.sample_rate / 2
        high = self.high_hz if self.high_hz > 0 else nyquist + self.high_hz
        require(0 <= self.low_hz < high <= nyquist, "high_hz", f"the band {self.low_hz:g}..{high:g} Hz must lie within 0..{nyquist:g} Hz")
        require(0 <= self.preemphasis < 1, "preemphasis", "must lie in [0, 1)")
        require(self.deltas in (0, 1, 2), "deltas", "must be 0, 1 or 2")
        require(0 <= self.dither <= 1, "dither", "must lie in [0, 1]")


@dataclass(frozen=True)
class LineFeatures:
    """A text-line image as a sequence of columns, left to right."""

    kind: Literal["pixels", "geometric"] = "pixels"  # geometric: nine numbers a column (Marti & Bunke 2001)
    height: int = 64  # rows after normalisation; the width keeps the aspect ratio
    polarity: Literal["auto", "dark_on_light", "light_on_dark"] = "auto"
    contrast: Literal["stretch", "background", "none"] = "stretch"
    crop: bool = True  # cut empty margins
    deskew: bool = False  # level the base line
    deslant: bool = False  # stand the strokes upright
    normalise: Literal["corpus", "none"] = "corpus"

    def __post_init__(self) -> None:
        require(8 <= self.height <= 512, "height", "must lie between 8 and 512")


@dataclass(frozen=True)
class StrokeFeatures:
    """A pen trace as a sequence of equally spaced points, each described by 25 numbers (Graves et al. 2009)."""

    kind: Literal["strokes"] = "strokes"
    spacing: float = 0.2  # distance of the points, as a share of the height of letters such as x
    deskew: bool = True  # level the base line
    deslant: bool = True  # stand the strokes upright
    scale_width: bool = True  # scale the width by the number of strokes
    hats: bool = True  # turn dots and crossbars into a mark; false where accents tell letters apart
    normalise: Literal["corpus", "none"] = "corpus"

    def __post_init__(self) -> None:
        require(0.02 <= self.spacing <= 1, "spacing", "must lie between 0.02 and 1")


Features = AudioFeatures | LineFeatures | StrokeFeatures
CLEANING = ("polarity", "contrast", "crop", "deskew", "deslant")  # of pictures: what comes out is ink on paper of the same height either way


def are_akin(one: Features, other: Features) -> bool:
    """Whether weights that learnt on either may go on with the other: but for how pictures are cleaned and sound is dithered, they are equal."""
    if isinstance(one, LineFeatures) and isinstance(other, LineFeatures):
        one = replace(one, **{key: getattr(other, key) for key in CLEANING})
    if isinstance(one, AudioFeatures) and isinstance(other, AudioFeatures):
        one = replace(one, dither=other.dither)
    return one == other


@dataclass(frozen=True)
class DecoderConfig:
    """How log-probs become labels. `recognizer tune` finds the weights; files are paths, or names within a bundle."""

    kind: Literal["greedy", "beam"] = "greedy"
    width: int = 50  # prefixes kept in each frame; 1 without models is greedy
    labels: int = 40  # most labels that a frame may append to a prefix
    label_threshold: float = 7.0  # nats below the likeliest label of a frame; less likely ones are not appended
    score_threshold: float = 25.0  # nats below the best prefix
    blank_skip: float = 0.999  # probability of the blank from which on a frame appends nothing; 1: never
    lm: str | None = None  # n-gram model of words or of characters, as `recognizer lm` writes it
    lm_weight: float = 0.5
    char_lm: str | None = None  # n-gram model of characters (or units) beside a word model
    char_lm_weight: float = 0.5
    lexicon: str | None = None  # the words there are, and how they are spelt or pronounced
    vocabulary: Literal["auto", "open", "closed"] = "auto"  # closed: only words of the lexicon or word model; auto: if there is a lexicon
    unknown: float = -5.0  # nats added for a word outside the vocabulary
    insertion: float = 0.0  # nats added for every word where words are known, else for every symbol
    symbol_insertion: float = 0.0  # nats added for every symbol where words are known: CTC leaves symbols out sooner than it makes them up
    words: bool = True  # where a lexicon makes words of units, write words; false: the units that they are made of
    second: str | None = None  # a recogniser of the same input that proposes readings and judges all: a path from the bundle, or in the box
    second_weight: float = 0.5  # its share of the acoustic score
    second_lexicon: str | None = None  # how it spells or pronounces the words
    second_alone: float = 1.0  # share of a reading among those the second proposes from which it decides alone (the same symbols only); 1: never
    calibration: Calibration | None = None  # from evidence to confidence; found by `recognizer tune`

    @property
    def closed(self) -> bool:
        """Whether only words of a list may be read."""
        return self.vocabulary == "closed" or (self.vocabulary == "auto" and self.lexicon is not None)

    def __post_init__(self) -> None:
        for key in ("width", "labels"):
            require(getattr(self, key) >= 1, key, "must be positive")
        for key in ("label_threshold", "score_threshold"):
            require(getattr(self, key) > 0, key, "must be positive")
        require(0 < self.blank_skip <= 1, "blank_skip", "is a probability")
        for key in ("lm_weight", "char_lm_weight"):
            require(0 <= getattr(self, key) < float("inf"), key, "cannot be negative")
        for key in ("unknown", "insertion", "symbol_insertion"):
            require(abs(getattr(self, key)) < float("inf"), key, "must be a finite number")
        for key in ("second_weight", "second_alone"):
            require(0 <= getattr(self, key) <= 1, key, "must lie in [0, 1]")
        known = bool(self.lexicon or self.lm or self.second_lexicon)
        require(self.vocabulary != "closed" or known, "vocabulary", "closed needs decoder.lexicon or a word model in decoder.lm")


@dataclass(frozen=True)
class RecipeConfig:
    """All that is needed to rebuild a recogniser from its weights: what a bundle's ``config.yaml`` holds."""

    features: Features
    model: ModelConfig = field(default_factory=ModelConfig)
    text: TextConfig = field(default_factory=TextConfig)
    decoder: DecoderConfig = field(default_factory=DecoderConfig)

    @property
    def modality(self) -> Modality:
        """Whether the recogniser reads recordings, line images or pen traces."""
        return "audio" if isinstance(self.features, AudioFeatures) else "line" if isinstance(self.features, LineFeatures) else "strokes"

    def __post_init__(self) -> None:
        kind = self.model.frontend.kind
        images = isinstance(self.features, LineFeatures) and self.features.kind == "pixels"
        require(kind not in ("line_cnn", "mdlstm") or images, "model.frontend.kind", f"{kind} reads features=pixels")
        require(kind != "speech_cnn" or isinstance(self.features, AudioFeatures), "model.frontend.kind", "speech_cnn reads audio features")


@dataclass(frozen=True)
class CorpusConfig:
    """Where the manifests are."""

    name: str = "corpus"
    root: str = "."  # folder that the manifests lie in
    train: str = "train.jsonl"  # relative to root
    extra: tuple[str, ...] = ()  # further manifests to train on, relative to root
    dev: str = "dev.jsonl"
    text: TextConfig = field(default_factory=TextConfig)
    licence: str = "not stated"  # goes onto the model card


@dataclass(frozen=True)
class TrainerConfig:
    """The training loop."""

    optimiser: Literal["sgd", "rmsprop", "adam", "adamw"] = "adamw"
    learning_rate: float = 1e-3
    momentum: float = 0.9  # sgd and rmsprop
    weight_decay: float = 0.01
    clip: float = 5.0  # largest gradient norm; 0: no limit
    weight_noise: float = 0.0  # standard deviation of the noise added to weights (Graves 2013)
    consistency: float = 0.0  # weight of the divergence between two noisy views of each item (Yao et al. 2025); twice the memory
    schedule: Literal["constant", "cosine", "plateau"] = "cosine"
    warmup_steps: int = 200
    plateau_patience: int = 3  # epochs without progress before the rate falls
    plateau_factor: float = 0.5
    epochs: int = 30
    minutes: float = 0.0  # stop after this much training time, evaluating and saving as usual; 0: no limit
    patience: int = 0  # epochs without progress before training stops; 0: never
    batch_items: int = 16  # most utterances or lines in a batch
    batch_frames: int = 24_000  # most feature frames (pixel columns) in a padded batch, before rounding up by an eighth at most: the memory budget
    accumulate: int = 1  # batches per optimiser step
    curriculum: bool = False  # first epoch from short to long (Amodei et al. 2016)
    calm_epochs: int = 0  # first epochs without dropout and augmentation: CTC leaves its all-blank plateau sooner on clean input
    precision: Literal["float32", "bf16"] = "float32"
    average: float = 0.0  # decay of the running average of weights that is evaluated and saved; 0: none
    evaluate_every: int = 1  # epochs
    checkpoint_minutes: float = 5.0  # and at the end of every epoch
    workers: int = -1  # processes that read and augment; 0: in the training process; -1: one, or beside a GPU one for each core but one
    cache: bool = True  # keep decoded items in run_dir/cache, read back by memory mapping
    threads: int = 0  # of the CPU; 0: all cores
    tensorboard: bool = False
    overfit: int = 0  # > 0: train and develop on the first so many items only (debug=overfit)

    def __post_init__(self) -> None:
        positive = ("learning_rate", "epochs", "batch_items", "batch_frames", "accumulate", "evaluate_every", "plateau_patience")
        for key in positive:
            require(getattr(self, key) > 0, key, "must be positive")
        never_negative = ("weight_decay", "clip", "weight_noise", "consistency", "warmup_steps", "calm_epochs", "minutes", "patience",
            "checkpoint_minutes", "threads", "overfit")
        for key in never_negative:
            require(getattr(self, key) >= 0, key, "cannot be negative")
        require(self.workers >= -1, "workers", "cannot be below -1")
        require(0 <= self.momentum < 1, "momentum", "must lie in [0, 1)")
        require(0 < self.plateau_factor < 1, "plateau_factor", "must lie in (0, 1)")
        require(0 <= self.average < 1, "average", "must lie in [0, 1)")


@dataclass(frozen=True)
class TrainConfig:
    """Everything ``recognizer train`` reads."""

    corpus: CorpusConfig
    features: Features
    model: ModelConfig
    augment: NoAugment | AudioAugment | LineAugment | StrokeAugment = field(default_factory=NoAugment)
    decoder: DecoderConfig = field(default_factory=DecoderConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    run_dir: str = "runs/latest"
    init: str | None = None  # a bundle whose weights training starts from
    seed: int = 1
    device: str = "auto"  # auto, cpu, cuda or cuda:N

    @property
    def recipe(self) -> RecipeConfig:
        """The part that goes into the bundle."""
        return RecipeConfig(self.features, self.model, self.corpus.text, self.decoder)

    def __post_init__(self) -> None:
        modality = self.recipe.modality
        require(self.seed >= 0, "seed", "cannot be negative")
        require(self.augment.kind in ("none", modality), "augment.kind", f"{self.augment.kind!r} does not fit {modality} features")
        if isinstance(self.augment, AudioAugment) and isinstance(self.features, AudioFeatures):
            require(self.augment.vocal_tract == (1.0, 1.0) or self.features.kind == "fbank", "augment.vocal_tract", "needs features.kind=fbank")
        require(self.device == "auto" or self.device.split(":")[0] in ("cpu", "cuda"), "device", f"{self.device!r} is not auto, cpu, cuda or cuda:N")
