"""Weight noise leaves no trace, and the running average is the formula's."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from recognizer.training.ema import ExponentialMovingAverage, weight_noise


def values(network: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}


def same_bits(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_noise_has_its_deviation_and_is_taken_away_to_the_bit() -> None:
    torch.manual_seed(3)
    network = nn.Sequential(nn.Linear(200, 300), nn.BatchNorm1d(300))
    network[1].bias.requires_grad_(False)
    clean = values(network)
    with weight_noise(network, 0.075):
        noise = torch.cat([(p.detach() - clean[name]).flatten() for name, p in network.named_parameters() if p.requires_grad])
        assert torch.equal(network[1].bias, clean["1.bias"])
        assert torch.equal(network[1].running_mean, clean["1.running_mean"])
    assert float(noise.std()) == pytest.approx(0.075, rel=0.02) and abs(float(noise.mean())) < 0.001
    assert same_bits(values(network), clean)
    with pytest.raises(RuntimeError), weight_noise(network, 1.0):
        raise RuntimeError
    assert same_bits(values(network), clean)


def test_the_gradient_is_that_of_the_noisy_weights() -> None:
    torch.manual_seed(4)
    network = nn.Linear(1, 1, bias=False)
    with weight_noise(network, 0.5):
        noisy = float(network.weight.detach())
        network.weight.square().sum().backward()
    assert float(network.weight.grad) == pytest.approx(2 * noisy)
    assert float(network.weight.detach()) != noisy


def test_without_noise_no_random_number_is_drawn() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    with weight_noise(nn.Identity(), 0.0):
        pass
    assert torch.equal(torch.rand(3), expected)


def test_the_average_follows_its_formula() -> None:
    network = nn.BatchNorm1d(1)
    average = ExponentialMovingAverage(network, decay=0.3)
    expected = float(network.weight.detach())
    for step, weight in enumerate((5.0, -2.0, 3.0, 8.0)):
        with torch.no_grad():
            network.weight.fill_(weight)
            network.num_batches_tracked.fill_(step + 7)
        average.update(network, step)
        decay = min(0.3, (1 + step) / (10 + step))  # 0.1, 2/11, 0.25, 0.3
        expected = decay * expected + (1 - decay) * weight
        assert float(average.tensors["weight"]) == pytest.approx(expected, rel=1e-6)
    assert int(average.tensors["num_batches_tracked"]) == 10


def test_the_network_computes_with_the_average_only_within_the_block() -> None:
    network = nn.Linear(2, 2)
    average = ExponentialMovingAverage(network, decay=0.9)
    with torch.no_grad():
        network.weight.add_(1.0)
    own, kept = values(network), {name: tensor.clone() for name, tensor in average.tensors.items()}
    with average.applied(network):
        assert same_bits(values(network), kept) and not same_bits(kept, own)
    assert same_bits(values(network), own) and same_bits(average.tensors, kept)
