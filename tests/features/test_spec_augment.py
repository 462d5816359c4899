from __future__ import annotations

import numpy as np
import pytest
import torch

from recognizer.config import AudioAugment
from recognizer.features.chance import item_generator
from recognizer.features.spec_augment import mask_spectrogram


def generators(count: int, epoch: int = 0) -> list[np.random.Generator]:
    return [item_generator(1, epoch, f"item{i}", "masks") for i in range(count)]


def runs(flags: torch.Tensor) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.int().numpy(), [0]])))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def test_time_masks_stay_within_the_item_and_its_budget() -> None:
    lengths = torch.tensor([200, 100, 30, 4, 1])
    config = AudioAugment(time_masks=5, time_mask_ms=300)
    seen = 0
    for epoch in range(30):
        masked = mask_spectrogram(torch.ones(5, 220, 8), lengths, generators(5, epoch), config, 0.01, 8) == 0
        assert torch.equal(masked.all(2), masked.any(2))  # whole frames
        for item, length in zip(masked.all(2), lengths.tolist(), strict=True):
            assert not item[length:].any()
            assert int(item.sum()) <= length // 5
            seen += int(item.sum())
    assert seen > 500


def test_one_time_mask_is_no_longer_than_asked() -> None:
    config = AudioAugment(time_masks=1, time_mask_ms=100)
    widths = []
    for epoch in range(200):
        masked = mask_spectrogram(torch.ones(1, 400, 4), torch.tensor([400]), generators(1, epoch), config, 0.01, 4) == 0
        widths.append(sum(end - begin for begin, end in runs(masked[0].all(1))))
    assert max(widths) == 10 and min(widths) == 0


@pytest.mark.parametrize(("dim", "blocks", "energy"), [(40, 1, 0), (41, 1, 1), (123, 3, 1), (80, 2, 0)])
def test_frequency_masks_repeat_in_the_differences(dim: int, blocks: int, energy: int) -> None:
    config = AudioAugment(frequency_masks=2, frequency_mask_share=0.2)
    touched = torch.zeros(40, dtype=torch.bool)
    for epoch in range(60):
        masked = mask_spectrogram(torch.ones(1, 50, dim), torch.tensor([50]), generators(1, epoch), config, 0.01, 40)[0] == 0
        assert torch.equal(masked.all(0), masked.any(0))  # whole columns
        parts = masked[0].reshape(blocks, 40 + energy)
        assert bool((parts == parts[0]).all())
        assert not parts[:, 40:].any()  # the energy stays
        assert int(parts[0].sum()) <= 16
        touched |= parts[0, :40]
    assert bool(touched.all())


def test_an_items_masks_do_not_depend_on_its_batch() -> None:
    config = AudioAugment(time_masks=2, frequency_masks=2)
    features, lengths = torch.randn(4, 120, 80), torch.tensor([120, 90, 60, 30])
    together = mask_spectrogram(features, lengths, generators(4), config, 0.01, 80)
    for i, n in enumerate(lengths.tolist()):
        alone = mask_spectrogram(features[i : i + 1, :n], lengths[i : i + 1], [generators(4)[i]], config, 0.01, 80)
        assert torch.equal(together[i, :n], alone[0])
    assert bool((together == features).any()) and not torch.equal(together, features)


def test_no_masks_no_work_and_wrong_calls_are_refused() -> None:
    features, lengths = torch.randn(1, 9, 80), torch.tensor([9])
    assert mask_spectrogram(features, lengths, [], AudioAugment(), 0.01, 80) is features
    with pytest.raises(ValueError, match="generators"):
        mask_spectrogram(features, lengths, [], AudioAugment(time_masks=1), 0.01, 80)
    with pytest.raises(ValueError, match="bins"):
        mask_spectrogram(features, lengths, generators(1), AudioAugment(time_masks=1), 0.01, 70)
