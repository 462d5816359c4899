"""Settings of earlier versions: what they are called today, and which are gone."""

from __future__ import annotations

from typing import Any

_OLD_AND_NEW = {
    "trainer": "calm_epochs clean_epochs, average ema_decay, clip max_grad_norm, accumulate gradient_accumulation_steps, "
    "batch_items max_batch_size, evaluate_every val_every_n_epochs, workers num_workers, overfit limit_items, "
    "consistency cr_ctc_weight, optimiser optimizer, tensorboard tracker",
    "model": "hidden hidden_size, layers num_layers, conditioning intermediate_ctc_weight, auxiliary frontend_ctc_weight, "
    "truncate tbptt_frames, attention attention_heads, frontend.hidden frontend.hidden_sizes",
    "features": "bins num_mel_bins, normalise normalize, low_hz f_min, high_hz f_max",
    "decoder": "width beam_size, labels beam_size_token, label_threshold token_threshold, score_threshold beam_threshold, "
    "insertion word_score, symbol_insertion token_score, unknown unk_score, second combine_with, second_weight combine_weight, "
    "second_lexicon combine_lexicon",
    "augment": "noise_colour noise_color, neighbours neighbors",
    "corpus": "licence license",
}
RENAMED: dict[str, str] = {
    f"{group}.{old}": f"{group}.{new}" for group, names in _OLD_AND_NEW.items() for old, new in (pair.split() for pair in names.split(", "))
}
# the factored layers that `ranks` described are multiplied out when a bundle is opened; with `second_alone` one of two recognizers decided by itself
REMOVED = frozenset({"model.ranks", "model.frontend.ranks", "decoder.second_alone"})


def carry_over(values: Any) -> Any:
    """The settings of a run's ``config.yaml``, a nested mapping, where ``trainer.tensorboard`` may still say yes or no, with ``trainer.tracker``.

    The switch was in every file that a run wrote, so that without this no earlier run could be resumed or trained again.
    """
    trainer = values.get("trainer") if isinstance(values, dict) else None
    if not isinstance(trainer, dict) or not isinstance(trainer.get("tensorboard"), bool):
        return values
    rest = {key: value for key, value in trainer.items() if key != "tensorboard"}
    return {**values, "trainer": {"tracker": "tensorboard" if trainer["tensorboard"] else None, **rest}}
