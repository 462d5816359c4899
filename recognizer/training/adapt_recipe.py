"""How a network learns from few items: steps, learning rate and random changes, by the number of items and by what is read.

The figures were measured one at a time (`scripts/README.md`, "Adapting").
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from recognizer.bundle.io import Bundle
from recognizer.config import AudioAugment, Augment, CorpusConfig, DecoderConfig, LineAugment, Modality, StrokeAugment, TrainConfig, TrainerConfig
from recognizer.data.manifest import Item
from recognizer.data.split import group_key
from recognizer.training.adapt_items import FOLDS_BELOW
from recognizer.utils.device import choose_device, has_bf16

BATCH = 8  # items in a step
LEARNING_RATES: dict[Modality, float] = {"audio": 1e-3, "line": 2e-3, "strokes": 1e-3}
STEPS = 600  # of a network, where there is the time
EPOCHS = (12, 60)  # fewest and most passes over the items
WARMUP = 20  # steps
MAX_FRAMES = 24_000  # feature frames in a batch

AUGMENT: dict[Modality, Augment] = {
    "line": LineAugment(probability=0.9, scale=0.1, shear=0.2, rotate_degrees=1.0, elastic=0.04, thickness=0.3, contrast=0.2, blur=0.5, noise=0.02),
    "audio": AudioAugment(speed=(0.92, 1.08), gain_db=(-3.0, 3.0), time_masks=2, time_mask_ms=80.0, frequency_masks=2, frequency_mask_share=0.12),
    "strokes": StrokeAugment(probability=0.9, scale=0.1, shear=0.1, rotate_degrees=1.0, jitter=0.02, speed=0.2, spacing=0.1),
}


def choose_epochs(items: int) -> int:
    """How many passes over so many items a network makes."""
    fewest, most = EPOCHS
    return max(fewest, min(most, round(STEPS * BATCH / max(1, items))))


def choose_share(items: Sequence[Item], modality: Modality) -> float:
    """How much the new weights count in their mean with the old ones.

    Half where a few lines are all of one page: what is held back of that page cannot show what is forgotten of others. After 25 lines in block
    capitals other pages of the same hand were read with twice the errors of before, with the mean with no more.
    """
    return 0.5 if modality == "line" and len(items) < FOLDS_BELOW and len({group_key(item) for item in items}) == 1 else 1.0


def training_settings(bundle: Bundle, items: int, work: Path, seed: int, device: str) -> TrainConfig:
    """The settings with which the network of a bundle learns from so many items."""
    config = bundle.config
    trainer = TrainerConfig(
        learning_rate=LEARNING_RATES[config.modality], epochs=choose_epochs(items), warmup_steps=WARMUP, max_batch_size=BATCH,
        batch_frames=MAX_FRAMES, ema_decay=0.0, precision="bf16" if has_bf16(choose_device(device)) else "float32", num_workers=0,
        schedule="cosine",
    )  # fmt: skip
    corpus = CorpusConfig(name=bundle.folder.name, text=config.text)
    return TrainConfig(
        corpus, config.features, config.model, config.objective, AUGMENT[config.modality], DecoderConfig(), trainer, str(work),
        str(bundle.folder), seed, device,
    )  # fmt: skip

