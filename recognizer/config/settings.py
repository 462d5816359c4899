"""Typed settings of a recognizer and of its training: every key, its unit, its default and its limits."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from recognizer.config.augment import AudioAugment, Augment, NoAugment
from recognizer.config.decoder import UNITS, DecoderConfig
from recognizer.config.features import AudioFeatures, Features, LineFeatures, Modality
from recognizer.config.model import ModelConfig
from recognizer.config.objective import Ctc, MinimumRisk, Objective
from recognizer.config.schema import require, require_each, require_not_negative

MAX_THREADS = 1024  # beyond some thousands the system ends the process


@dataclass(frozen=True)
class TextConfig:
    """Which transcript of a manifest is the target, and how it is cleaned."""

    level: Literal["characters", "units"] = "characters"
    case: Literal["keep", "lower", "upper"] = "keep"
    drop: str = ""  # characters removed from the text before anything else
    spaces: str = ""  # characters that become a space, such as a hyphen

    def __post_init__(self) -> None:
        require_each(self, "drop spaces", lambda text: self.level == "characters" or not text, "only applies to level=characters")


@dataclass(frozen=True)
class RecognizerConfig:
    """All that is needed to rebuild a recognizer from its weights: what a bundle's ``config.yaml`` holds."""

    features: Features
    model: ModelConfig = field(default_factory=ModelConfig)
    text: TextConfig = field(default_factory=TextConfig)
    decoder: DecoderConfig = field(default_factory=DecoderConfig)
    objective: Objective = field(default_factory=Ctc)

    @property
    def modality(self) -> Modality:
        """Whether the recognizer reads recordings, line images or pen traces."""
        return "audio" if isinstance(self.features, AudioFeatures) else "line" if isinstance(self.features, LineFeatures) else "strokes"

    @property
    def visual_order(self) -> bool:
        """Whether labels are characters as they stand on a line, from left to right, and not as they are read."""
        return self.modality != "audio" and self.text.level == "characters"

    def __post_init__(self) -> None:
        kind = self.model.frontend.kind
        images = isinstance(self.features, LineFeatures) and self.features.kind == "pixels"
        require(kind not in ("line_cnn", "mdlstm") or images, "model.frontend.kind", f"{kind} reads features=pixels")
        second = self.decoder.combine_with is None or isinstance(self.objective, (Ctc, MinimumRisk))
        require(second, "decoder.combine_with", f"two recognizers decide together by CTC, not with objective={self.objective.kind}")
        own = self.decoder.combine_with != UNITS or self.model.units_layer > 0
        require(own, "decoder.combine_with", "units is the second output of a network with model.units_layer; this one has none")
        by_ctc = self.model.units_layer == 0 or (isinstance(self.objective, (Ctc, MinimumRisk)) and self.text.level == "characters")
        require(by_ctc, "model.units_layer", "stands below an output of characters by CTC; needs objective=ctc and text.level=characters")
        if self.model.chunk_ms > 0:
            features = self.features
            require(isinstance(features, AudioFeatures), "model.chunk_ms", f"recordings can be streamed, not features.kind={features.kind}")
            fits = isinstance(features, AudioFeatures) and features.normalize != "utterance" and features.dither == 0
            require(fits, "model.chunk_ms", "is for streaming, with features.normalize=corpus and features.dither=0 (features=streaming)")
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
    license: str = "not stated"  # goes onto the model card


@dataclass(frozen=True)
class TrainerConfig:
    """The training loop."""

    optimizer: Literal["sgd", "rmsprop", "adam", "adamw"] = "adamw"
    learning_rate: float = 1e-3
    momentum: float = 0.9  # sgd and rmsprop
    weight_decay: float = 0.01
    max_grad_norm: float = 5.0  # largest gradient norm; 0: no limit
    weight_noise: float = 0.0  # standard deviation of the noise added to weights (Graves 2013)
    cr_ctc_weight: float = 0.0  # weight of the divergence between two augmented views of each item (Yao et al. 2025); twice the memory
    schedule: Literal["constant", "cosine", "plateau"] = "cosine"
    warmup_steps: int = 200
    plateau_patience: int = 3  # epochs without progress before the learning rate falls
    plateau_factor: float = 0.5
    epochs: int = 30
    minutes: float = 0.0  # stop after this much training time, validating and saving as usual; 0: no limit
    patience: int = 0  # validations without progress before training stops; 0: never
    max_batch_size: int = 16  # most utterances or lines in a batch
    batch_frames: int = 24_000  # most feature frames (pixel columns) in a padded batch, before rounding up by an eighth at most: the memory budget
    gradient_accumulation_steps: int = 1  # batches in an optimizer step
    curriculum: bool = False  # first epoch from short to long (Amodei et al. 2016)
    clean_epochs: int = 0  # first epochs without dropout and augmentation: CTC leaves its all-blank plateau sooner on clean input
    precision: Literal["float32", "bf16"] = "float32"
    ema_decay: float = 0.999  # decay of the running average of weights that is validated and saved; 0: none
    val_every_n_epochs: int = 1
    checkpoint_minutes: float = 5.0  # and at the end of every epoch
    num_workers: int = -1  # processes that read and augment; 0: in the training process; -1: one, or beside a GPU one for each core but one
    cache: bool = True  # keep decoded items in run_dir/cache
    open_archives: int = 16  # tar archives that batches are drawn from at a time, where all items lie in some (recognizer prepare --shards)
    threads: int = 0  # of the CPU; 0: all cores
    tracker: Literal["tensorboard", "mlflow"] | None = None  # where each epoch's record goes beside log.jsonl (training/trackers.py)
    limit_items: int = 0  # > 0: train and validate on the first so many training items only (debug=overfit)

    def __post_init__(self) -> None:
        positive = "learning_rate epochs max_batch_size batch_frames open_archives gradient_accumulation_steps val_every_n_epochs plateau_patience"
        require_each(self, positive, lambda value: value > 0, "must be positive")
        require_not_negative(self, "weight_decay max_grad_norm weight_noise cr_ctc_weight warmup_steps clean_epochs minutes patience")
        require_not_negative(self, "checkpoint_minutes threads limit_items")
        require(self.num_workers >= -1, "num_workers", "cannot be below -1")
        require_each(self, "threads num_workers", lambda number: number <= MAX_THREADS, f"cannot be above {MAX_THREADS}")
        require_each(self, "momentum ema_decay", lambda value: 0 <= value < 1, "must lie in [0, 1)")
        require(0 < self.plateau_factor < 1, "plateau_factor", "must lie in (0, 1)")


@dataclass(frozen=True)
class TrainConfig:
    """Everything ``recognizer train`` reads."""

    corpus: CorpusConfig
    features: Features
    model: ModelConfig
    objective: Objective = field(default_factory=Ctc)
    augment: Augment = field(default_factory=NoAugment)
    decoder: DecoderConfig = field(default_factory=DecoderConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    run_dir: str = "runs/latest"
    init: str | None = None  # a bundle whose weights training starts from
    seed: int = 1
    device: str = "auto"  # auto, cpu, cuda or cuda:N

    @property
    def recognizer(self) -> RecognizerConfig:
        """The part that goes into the bundle, where a network trained for minimum risk is one with CTC like any other."""
        objective = Ctc() if isinstance(self.objective, MinimumRisk) else self.objective
        return RecognizerConfig(self.features, self.model, self.corpus.text, self.decoder, objective)

    def __post_init__(self) -> None:
        modality = self.recognizer.modality
        require(self.seed >= 0, "seed", "cannot be negative")
        require(self.augment.kind in ("none", modality), "augment.kind", f"{self.augment.kind!r} does not fit {modality} features")
        if isinstance(self.augment, AudioAugment) and isinstance(self.features, AudioFeatures):
            require(self.augment.vocal_tract == (1.0, 1.0) or self.features.kind == "fbank", "augment.vocal_tract", "needs features.kind=fbank")
        two_views = self.trainer.cr_ctc_weight == 0 or isinstance(self.objective, Ctc)
        require(two_views, "trainer.cr_ctc_weight", "compares two views of CTC; needs objective=ctc")
        require(self.objective.kind != "minimum_risk" or self.init is not None, "init", "objective=minimum_risk starts from a bundle; name one")
        require(self.device == "auto" or self.device.split(":")[0] in ("cpu", "cuda"), "device", f"{self.device!r} is not auto, cpu, cuda or cuda:N")
