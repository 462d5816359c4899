"""Evolve the weights of an LSTM without gradients and compare with back-propagation: error by evaluations and by seconds.

    pip install cma
    python scripts/evolve.py runs/evolve --seed 1 --seed 2 --seed 3 --picture scripts/pictures/evolve.png

The tasks are those of long_lags.py. evolino: CMA-ES (Hansen 2016) evolves the recurrent weights, the read-out follows from them by least squares
(Evolino: Schmidhuber, Wierstra, Gagliolo & Gomez 2007). cma: CMA-ES evolves all weights. openai_es: so does the evolution strategy of Salimans
et al. 2017. guess: recurrent weights drawn at random, the best kept, read-out by least squares. backprop: Adam, as in long_lags.py.
All start from the same weights. Finished runs are kept in a file each: a second call does the missing ones.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from bench_common import Row, report
from long_lags import REBER, Grammar, LagTraining, Settings, StreamTraining, draw_distractors
from torch import Tensor, nn
from torch.nn import functional

from recognizer.errors import ConfigError, InputError, RecognizerError
from recognizer.utils.device import name_processor, prepare_host

METHODS = {"backprop": "#000000", "evolino": "#d55e00", "cma": "#0072b2", "openai_es": "#009e73", "guess": "#cc79a7"}  # and their colors
NOTES = (
    "weights: those that are searched. evaluations: runs of one network over one batch of new sequences (reber: streams from their beginning,",
    "which backprop goes on with); an update of backprop is one, though with its way back it takes about three times as long. cpu_s: processor",
    "time without tests. wrong_%: on new data at the end; distractors: answers on the wrong side of the middle, reber: predictions of a string's",
    "last but one symbol, right if each symbol that may follow is likelier than all that may not; guessing gets half. solved: none wrong in two",
    "successive tests, with which a run ends.",
)
RECENT_TESTS = 2  # successive tests without a mistake that end a run
TEST_EVERY = 1.15  # a test when there are so many times the evaluations of the last one


@dataclass(frozen=True)
class Budget:
    """What a run depends on besides its task, method and seed."""

    settings: Settings  # of the task, and of back-propagation
    seconds: float = 5.0  # of processor time, at most
    population: int = 24  # networks of a generation
    sigma: float = 0.3  # standard deviation of the first generation's weights (openai_es: a third of it, and of every one)
    test: int = 1000  # sequences


TASKS = {"distractors": Settings(1500, 0.03, hidden=4, kinds=4, lag=50), "reber": Settings(1500, 0.01, hidden=8)}


class Questions(NamedTuple):
    """Sequences and what is asked about them.

    Attributes:
        frames: (B, T, D).
        places: frames asked about, as indices of sequences (N,) and of frames (N,), in order.
        targets: (N, O), -1 or 1 where O is 1, else one-hot.
        possible: (N, O), where O is more than 1: answers that are right.
        counted: (N,), questions that count as the task.
    """

    frames: Tensor
    places: tuple[Tensor, Tensor]
    targets: Tensor
    possible: Tensor
    counted: Tensor


def draw(task: str, settings: Settings, generator: np.random.Generator, sequences: int) -> Questions:
    """New sequences of a task; of reber the first ``settings.chunk`` symbols of streams."""
    if task == "distractors":
        frames, lengths, truth = map(torch.from_numpy, draw_distractors(generator, sequences, settings.lag, settings.kinds))
        targets = 2 * truth[:, None] - 1
        return Questions(frames, (torch.arange(sequences), lengths - 1), targets, targets > 0, torch.ones(sequences, dtype=torch.bool))
    grammar, steps = Grammar(), settings.chunk
    symbols, before, _ = grammar.draw(generator, np.zeros(sequences, dtype=np.int64), steps)
    seen = np.concatenate([np.full((sequences, 1), REBER.index("E")), symbols[:, :-1]], axis=1)
    frames, targets = (functional.one_hot(torch.from_numpy(array), len(REBER)).float() for array in (seen, symbols.copy()))
    place, time_ = torch.meshgrid(torch.arange(sequences), torch.arange(steps), indexing="ij")
    possible, counted = (torch.from_numpy(array[before]).flatten(0, 1) for array in (grammar.possible, grammar.recalls))
    return Questions(frames, (place.flatten(), time_.flatten()), targets.flatten(0, 1), possible, counted)


def losses(answers: Tensor, targets: Tensor) -> Tensor:
    """Mean loss of each network (P,), in nats, for its answers (P, N, O): that of back-propagation."""
    if targets.shape[1] == 1:
        return functional.softplus(-answers * targets).mean(dim=(1, 2))
    return -(targets * answers.log_softmax(dim=2)).sum(dim=2).mean(dim=1)


def share_wrong(answers: Tensor, questions: Questions) -> float:
    """Share of wrong answers (N, O) to the questions that count."""
    answers, possible = answers[questions.counted], questions.possible[questions.counted]
    if answers.shape[1] == 1:
        return ((answers > 0) != possible).float().mean().item()
    right = answers.masked_fill(~possible, torch.inf).amin(1) > answers.masked_fill(possible, -torch.inf).amax(1)
    return 1 - right.float().mean().item()


def split_weights(weights: Tensor, inputs: int, hidden: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Rows of weights (P, N): input matrices (P, 4H, D), recurrent ones (P, 4H, H), biases (P, 4H), and the rest (P, M) of a read-out."""
    rows = 4 * hidden
    parts = weights.split([rows * inputs, rows * hidden, rows, weights.shape[1] - rows * (inputs + hidden + 1)], dim=1)
    return parts[0].unflatten(1, (rows, inputs)), parts[1].unflatten(1, (rows, hidden)), parts[2], parts[3]


def run_population(weights: Tensor, frames: Tensor, hidden: int) -> Tensor:
    """Outputs h (P, B, T, H) of P LSTMs whose weights are the rows of (P, N), over the same frames (B, T, D); gates i, f, g, o."""
    matrices, recurrent, biases, _ = split_weights(weights, frames.shape[2], hidden)
    projected = (frames.flatten(0, 1) @ matrices.transpose(1, 2) + biases[:, None]).unflatten(1, frames.shape[:2])  # (P, B, T, 4H)
    h = c = projected.new_zeros(*projected.shape[:2], hidden)
    outputs, recurrent = [], recurrent.transpose(1, 2)
    for frame in projected.unbind(2):
        gates = torch.baddbmm(frame, h, recurrent)
        g = gates[:, :, 2 * hidden : 3 * hidden].tanh()
        i, f, _, o = gates.sigmoid_().chunk(4, dim=2)
        c = f * c + i * g
        h = o * c.tanh()
        outputs.append(h)
    return torch.stack(outputs, dim=2)


def asked(outputs: Tensor, questions: Questions) -> Tensor:
    """Of outputs (P, B, T, H) those in frames asked about, and a 1 for the bias: (P, N, H + 1)."""
    return functional.pad(outputs[:, questions.places[0], questions.places[1]], (0, 1), value=1.0)


def fit_read_out(features: Tensor, targets: Tensor) -> Tensor:
    """Least squares for each network, the smallest solution where there are many: features (P, N, F), targets (N, O), solution (P, F, O)."""
    wanted = targets.double().expand(len(features), *targets.shape)
    return torch.linalg.lstsq(features.double(), wanted, driver="gelsd").solution.to(features.dtype)


class Optimizer(Protocol):
    """A search without gradients over vectors of N numbers."""

    def ask(self) -> np.ndarray:
        """The next generation, (P, N)."""

    def tell(self, losses: np.ndarray) -> None:
        """What the generation is worth, (P,), less being better."""

    def favorite(self) -> np.ndarray:
        """The vector that would be used if the search ended now, (N,)."""


class Cma:
    """CMA-ES (Hansen 2016, arXiv 1604.00772) of the package cma; the favorite is the mean of the distribution.

    Raises:
        ConfigError: cma is not installed.
    """

    def __init__(self, start: np.ndarray, sigma: float, population: int, seed: int) -> None:
        try:
            import cma
        except ImportError:
            raise ConfigError("CMA-ES comes from the package cma: pip install cma") from None
        self.search = cma.CMAEvolutionStrategy(start, sigma, {"popsize": population, "seed": seed, "verbose": -9})

    def ask(self) -> np.ndarray:
        """As :class:`Optimizer` says."""
        self.generation = self.search.ask()
        return np.stack(self.generation)

    def tell(self, losses: np.ndarray) -> None:
        """As :class:`Optimizer` says."""
        self.search.tell(self.generation, losses.tolist())

    def favorite(self) -> np.ndarray:
        """As :class:`Optimizer` says."""
        return np.asarray(self.search.result.xfavorite)


class OpenAiEs:
    """The evolution strategy of Salimans et al. 2017 (arXiv 1703.03864): steps of Adam along an estimate of the gradient of a blurred loss.

    Each direction is tried both ways, and ranks, from -0.5 to 0.5, stand for losses.
    """

    def __init__(self, start: np.ndarray, sigma: float, population: int, seed: int, rate: float = 0.05) -> None:
        self.mean = torch.from_numpy(start.copy()).requires_grad_()
        self.sigma, self.pairs, self.generator = sigma, population // 2, np.random.default_rng([seed, 2])
        self.adam = torch.optim.Adam([self.mean], rate)

    def ask(self) -> np.ndarray:
        """As :class:`Optimizer` says."""
        noise = self.generator.standard_normal((self.pairs, len(self.mean)))
        self.noise = np.concatenate([noise, -noise])
        return self.favorite() + self.sigma * self.noise

    def tell(self, losses: np.ndarray) -> None:
        """As :class:`Optimizer` says."""
        ranks = losses.argsort().argsort() / (len(losses) - 1) - 0.5
        self.mean.grad = torch.from_numpy(ranks @ self.noise / (len(losses) * self.sigma))
        self.adam.step()

    def favorite(self) -> np.ndarray:
        """As :class:`Optimizer` says."""
        return self.mean.detach().numpy().copy()


class Guess:
    """Vectors drawn around the start, the best one kept: what chance does (Hochreiter & Schmidhuber 1997, section 1, on guessed weights)."""

    def __init__(self, start: np.ndarray, sigma: float, population: int, seed: int) -> None:
        self.start, self.sigma, self.population, self.generator = start, sigma, population, np.random.default_rng([seed, 3])
        self.best, self.least = start, math.inf

    def ask(self) -> np.ndarray:
        """As :class:`Optimizer` says."""
        self.generation = self.start + self.sigma * self.generator.standard_normal((self.population, len(self.start)))
        return self.generation

    def tell(self, losses: np.ndarray) -> None:
        """As :class:`Optimizer` says."""
        if losses.min() < self.least:
            self.best, self.least = self.generation[losses.argmin()], float(losses.min())

    def favorite(self) -> np.ndarray:
        """As :class:`Optimizer` says."""
        return self.best


class Backprop:
    """Training with gradients, an update a step, as in long_lags.py; ``vector`` is what the network starts from, for all methods."""

    def __init__(self, task: str, seed: int, budget: Budget) -> None:
        self.training = (StreamTraining if task == "reber" else LagTraining)(task, "lstm", seed, budget.settings)
        self.size = len(self.vector())

    def vector(self) -> Tensor:
        """The weights (N,), as :func:`split_weights` divides them, the read-out's as (H + 1, O) behind them."""
        cell, answer = self.training.network.cell, self.training.network.answer
        read_out = torch.cat([answer.weight.T, answer.bias[None]])
        parts = (cell.weight_ih_l0, cell.weight_hh_l0, cell.bias_ih_l0 + cell.bias_hh_l0, read_out)
        return nn.utils.parameters_to_vector(part.detach() for part in parts)  # type: ignore[arg-type]

    def step(self) -> int | None:
        """Learn; how many evaluations that was, None if there is nothing left to learn."""
        if len(self.training.curve) == self.training.settings.updates:
            return None
        self.training.curve.append(self.training.learn())
        return 1

    def loss(self) -> float:
        """Of the last batch."""
        return self.training.curve[-1][1]


class Evolution:
    """A generation a step; the read-out is either evolved as well or fitted by least squares."""

    def __init__(self, task: str, method: str, seed: int, budget: Budget) -> None:
        self.task, self.seed, self.budget, self.generations = task, seed, budget, 0
        settings, start = budget.settings, Backprop(task, seed, budget)
        self.outputs, self.inputs, self.fits = start.training.outputs, start.training.inputs, method in ("evolino", "guess")
        whole = start.vector()
        read_out = (settings.hidden + 1) * self.outputs
        self.size = len(whole) - read_out if self.fits else len(whole)
        chosen: Any = {"openai_es": OpenAiEs, "guess": Guess}.get(method, Cma)
        sigma = budget.sigma / 3 if method == "openai_es" else 1.0 if method == "guess" else budget.sigma
        self.search: Optimizer = chosen(whole[: self.size].double().numpy(), sigma, budget.population, seed)

    def draw(self) -> Questions:
        """The batch of this generation, of as many sequences or symbols as one of back-propagation."""
        settings = self.budget.settings
        return draw(self.task, settings, np.random.default_rng([self.seed, self.generations]), settings.batch)

    def step(self) -> int:
        """One generation; how many evaluations that was."""
        population = torch.from_numpy(self.search.ask()).float()
        self.losses = self.judge(population, self.draw())
        self.search.tell(self.losses.double().nan_to_num(math.inf).numpy())
        self.generations += 1
        return len(population)

    def judge(self, population: Tensor, questions: Questions) -> Tensor:
        """The loss of each network (P,); with a fitted read-out its mean squared error, as in Evolino on what it was fitted to."""
        features = asked(run_population(population, questions.frames, self.budget.settings.hidden), questions)
        if not self.fits:
            read_out = split_weights(population, self.inputs, self.budget.settings.hidden)[3].unflatten(1, (-1, self.outputs))
            return losses(features @ read_out, questions.targets)
        return (features @ fit_read_out(features, questions.targets) - questions.targets).square().mean(dim=(1, 2))

    def vector(self) -> Tensor:
        """The favorite's weights (N,), with its read-out."""
        found = torch.from_numpy(self.search.favorite()).float()
        if not self.fits:
            return found
        questions = self.draw()
        features = asked(run_population(found[None], questions.frames, self.budget.settings.hidden), questions)
        return torch.cat([found, fit_read_out(features, questions.targets)[0].flatten()])

    def loss(self) -> float:
        """Of the last generation's best."""
        return self.losses.min().item()


def test_network(vector: Tensor, questions: Questions, hidden: int) -> float:
    """Share of wrong answers of the network with these weights (N,), its read-out's (H + 1, O) behind them."""
    read_out = split_weights(vector[None], questions.frames.shape[2], hidden)[3].unflatten(1, (-1, questions.targets.shape[1]))
    return share_wrong((asked(run_population(vector[None], questions.frames, hidden), questions) @ read_out)[0], questions)


def search(task: str, method: str, seed: int, budget: Budget) -> Row:
    """One run to its end; the row has its curve in it: evaluations, seconds and share of wrong answers at each test."""
    if method == "backprop":
        Backprop(task, seed, budget).step()  # compiles what there is to compile
    learner = Backprop(task, seed, budget) if method == "backprop" else Evolution(task, method, seed, budget)
    exam = draw(task, budget.settings, np.random.default_rng([seed, 0, 1]), budget.test)
    evaluations, seconds = 0, 0.0
    curve: list[tuple[int, float, float]] = []
    while True:
        started = time.process_time()
        done = learner.step()
        seconds += time.process_time() - started
        evaluations += done or 0
        ends = done is None or seconds >= budget.seconds
        if ends or not curve or evaluations >= TEST_EVERY * curve[-1][0]:
            with torch.no_grad():
                curve.append((evaluations, seconds, test_network(learner.vector(), exam, budget.settings.hidden)))
            solved = len(curve) >= RECENT_TESTS and not any(point[2] for point in curve[-RECENT_TESTS:])
            if ends or solved:
                break
    row = {"task": task, "method": method, "seed": seed, "weights": learner.size, "evaluations": evaluations, "cpu_s": seconds}
    last = {"loss": learner.loss(), "wrong_%": 100 * curve[-1][2], "solved": "yes" if solved else "no"}
    return {**row, **last, "curve": curve, "budget": asdict(budget)}


def run(task: str, method: str, seed: int, options: argparse.Namespace) -> Row:
    """One run from its file (InputError: made with another budget) or by doing it."""
    given = {name: getattr(options, name) for name in ("lag", "kinds", "hidden", "batch") if getattr(options, name) is not None}
    budget, done = Budget(replace(TASKS[task], **given)), options.out / f"{task}_{method}_{seed}.json"
    budget = replace(budget, **{name: getattr(options, name) for name in ("seconds", "population", "sigma") if getattr(options, name) is not None})
    if options.quick:
        budget = replace(budget, settings=replace(budget.settings, lag=10, batch=8), seconds=min(budget.seconds, 0.5), test=100)
    if done.exists():
        row: Row = json.loads(done.read_text())
        if row["budget"] != asdict(budget):
            raise InputError(f"{done}: was made with other settings ({row['budget']}); name another folder, or delete it")
        return row
    row = search(task, method, seed, budget)
    done.write_text(json.dumps(row) + "\n")
    figures = f"{row['wrong_%']:.3g} % wrong after {row['evaluations']} evaluations, {row['cpu_s']:.0f} s"
    print(f"{task} {method} {seed}: {figures}", file=sys.stderr, flush=True)
    return row


def draw_curves(rows: Sequence[Row], path: Path) -> None:
    """A picture: a row of axes for each task, wrong answers by evaluations and by seconds, a line for each run."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    tasks = list(dict.fromkeys(row["task"] for row in rows))
    figure, axes = pyplot.subplots(len(tasks), 2, figsize=(10, 3.2 * len(tasks)), sharey=True, squeeze=False, layout="constrained")
    for row in rows:
        for column, place in enumerate(axes[tasks.index(row["task"])]):
            places, wrong = [point[column] for point in row["curve"]], [100 * point[2] for point in row["curve"]]
            first = row["seed"] == rows[0]["seed"]
            place.plot(places, wrong, color=METHODS[row["method"]], linewidth=1.2, alpha=0.8, label=row["method"] if first else None)
            place.plot(places[-1], wrong[-1], "o" if row["solved"] == "yes" else "x", color=METHODS[row["method"]], markersize=5)
    for task, (left, right) in zip(tasks, axes, strict=True):
        left.set(ylabel=f"{task}: wrong, %", xscale="log", xlabel="evaluations")
        right.set(xscale="log", xlabel="seconds of processor time")
        for place in (left, right):
            place.set_ylim(-3, 103)
            place.grid(alpha=0.3)
            place.spines[["top", "right"]].set_visible(False)
    axes[0, 1].legend(frameon=False, fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def main(arguments: Sequence[str] | None = None) -> int:
    """Do the runs that have not been done yet, print the table and draw the curves; 2 if files stand in the way or cma is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder of the results")
    parser.add_argument("--task", action="append", choices=TASKS, help="repeatable (default: both)")
    parser.add_argument("--method", action="append", choices=METHODS, help="repeatable (default: all)")
    parser.add_argument("--seed", type=int, action="append", help="repeatable (default: 1)")
    parser.add_argument("--seconds", type=float, help=f"processor time of a run at most (default: {Budget.seconds:g})")
    parser.add_argument("--population", type=int, help=f"networks of a generation (default: {Budget.population})")
    parser.add_argument("--sigma", type=float, help=f"deviation of the first generation (default: {Budget.sigma})")
    for name in ("lag", "kinds", "hidden", "batch"):
        parser.add_argument(f"--{name}", type=int, help="see Settings in long_lags.py (default: TASKS in this file)")
    parser.add_argument("--picture", type=Path, help="where to draw the curves (default: OUT/curves.png)")
    parser.add_argument("--quick", action="store_true", help="a short lag and half a second a run, to see that all of it works")
    parser.add_argument("--json", metavar="FILE", help="write the figures there as well")
    options = parser.parse_args(arguments)
    prepare_host(1)  # which is fastest at this size
    options.out.mkdir(parents=True, exist_ok=True)
    try:
        rows = [run(t, method, seed, options) for seed in options.seed or (1,) for t in options.task or TASKS for method in options.method or METHODS]
    except RecognizerError as error:
        print(error, file=sys.stderr)
        return 2
    draw_curves(rows, options.picture or options.out / "curves.png")
    table = [{key: value for key, value in row.items() if key not in ("curve", "budget")} for row in rows]
    report({"cpu": name_processor(), "torch": torch.__version__}, table, NOTES, options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
