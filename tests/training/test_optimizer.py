"""Optimizers: which parameters decay; schedules against rates worked out by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn, optim

from recognizer.config import TrainerConfig
from recognizer.training.optimizer import Schedule, build_optimizer

KINDS = {"sgd": optim.SGD, "rmsprop": optim.RMSprop, "adam": optim.Adam, "adamw": optim.AdamW}


def network() -> nn.Module:
    torch.manual_seed(1)
    return nn.ModuleDict({"kernel": nn.Conv2d(1, 2, 3), "norm": nn.BatchNorm2d(2), "cells": nn.LSTM(2, 3), "out": nn.Linear(3, 2)})


@pytest.mark.parametrize("name", KINDS)
def test_every_parameter_is_in_one_group_and_only_matrices_decay(name: str) -> None:
    model = network()
    frozen = model["out"].weight
    frozen.requires_grad_(False)
    optimizer = build_optimizer(model, TrainerConfig(optimizer=name, learning_rate=0.25, weight_decay=0.125, momentum=0.5))
    assert type(optimizer) is KINDS[name]
    decays = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    assert sum(len(group["params"]) for group in optimizer.param_groups) == len(decays)
    expected = {id(p): 0.125 if p.ndim > 1 else 0.0 for p in model.parameters() if p is not frozen}
    assert decays == expected and set(expected.values()) == {0.125, 0.0}
    assert all(group["lr"] == 0.25 and group.get("momentum", 0.5) == 0.5 for group in optimizer.param_groups)


def test_decoupled_decay_of_a_step_without_gradient() -> None:
    model = network()
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    build_optimizer(model, TrainerConfig(optimizer="adamw", learning_rate=0.1, weight_decay=0.5)).step()
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter, before[name] * (0.95 if parameter.ndim > 1 else 1.0))


def test_warmup_rises_in_a_straight_line() -> None:
    schedule = Schedule(TrainerConfig(learning_rate=2.0, schedule="constant", warmup_steps=4))
    assert [schedule.rate(step, 0.0) for step in range(6)] == [0.5, 1.0, 1.5, 2.0, 2.0, 2.0]
    assert Schedule(TrainerConfig(learning_rate=2.0, schedule="constant", warmup_steps=0)).rate(0, 0.0) == 2.0


def test_cosine_ends_at_zero() -> None:
    schedule = Schedule(TrainerConfig(learning_rate=1.0, schedule="cosine", warmup_steps=2, epochs=8))
    rates = [schedule.rate(5, done) for done in (0.0, 8 / 3, 4.0, 16 / 3, 8.0, 9.0)]
    assert rates == pytest.approx([1.0, 0.75, 0.5, 0.25, 0.0, 0.0], abs=1e-12)
    assert schedule.rate(0, 4.0) == pytest.approx(0.25)  # half way up the ramp, half way down the cosine


def test_plateau_falls_after_so_many_epochs_without_progress() -> None:
    schedule = Schedule(TrainerConfig(learning_rate=1.0, schedule="plateau", warmup_steps=0, plateau_patience=2, plateau_factor=0.5))
    rates = []
    for improved in (True, False, True, False, False, False, False, True, False):
        schedule.observe(improved)
        rates.append(schedule.rate(100, 3.0))
    assert rates == [1.0, 1.0, 1.0, 1.0, 0.5, 0.5, 0.25, 0.25, 0.25]
    constant = Schedule(TrainerConfig(learning_rate=1.0, schedule="constant", warmup_steps=0, plateau_patience=1))
    constant.observe(False)
    assert constant.rate(5, 1.0) == 1.0
