"""What the constant error carousel is for, and what the forget gate is for: the cells at tasks of the papers that introduced them.

    python scripts/long_lags.py runs/lags --json runs/lags.json

distractors: remember one symbol over 1,000 random ones (Hochreiter & Schmidhuber 1997, task 2c with 50 kinds). reber: predict what follows in
the embedded Reber grammar, string after string, with no reset between them (Gers, Schmidhuber & Cummins 2000), with the paper's eight cells.
Finished runs are kept, with their learning curves, in a file each: a second call does the missing ones.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from bench_common import Row, describe_machine, in_fresh_process, report
from torch import Tensor, nn
from torch.nn import functional

from recognizer.config import CellParts, CellSettings, cell_names
from recognizer.errors import InputError, RecognizerError
from recognizer.models.cells import build_cell
from recognizer.models.recurrent_cell import CellOutput, GatedCell, RecurrentCell, State, last_states
from recognizer.utils.device import prepare_host

CELLS = ("lstm", "lstm_1997", "peephole", "coupled", "gru", "slstm", "layer_norm", "rnn")
NOTES = (
    "distractors: solved: the last 10 training batches, all of new sequences, and then every sequence of the test within 0.2 of its target; the",
    "paper's test has 10,000. wrong_%: of the test, a tenth of it where training did not succeed; guessing between two symbols gets all wrong.",
    "reber: ten test streams without reset; wrong_%: of predictions of a string's last but one symbol, which is the second one again (guessing",
    "gets half); a prediction is right if each symbol that may follow is likelier than all that may not; until_mistake: symbols before the",
    "first wrong prediction, mean of the streams; solved: no mistake; good: more than 1,000 symbols until one, as in the paper. c_*: mean |c|",
    "in the test streams. trained_on: sequences, for reber symbols. rnn: tanh without gates. cpu_s: training, processor time.",
)
REBER = "BTPSXVE"  # symbols of the grammar, in the order of the inputs
# Reber's grammar behind its B: from each node, symbols and the nodes that they lead to; 6 is behind its E
INNER = ({"T": 1, "P": 2}, {"S": 1, "X": 3}, {"T": 2, "V": 4}, {"X": 2, "S": 5}, {"P": 3, "V": 5}, {"E": 6})
RECENT_BATCHES = 10  # successive batches without a mistake that end training on distractors
TEST_BATCH, TEST_STREAMS = 250, 10  # the latter as in Gers et al. 2000
FIRST_MEASURE = 100  # symbols of a test stream before its cells are measured for the first time


@dataclass(frozen=True)
class Settings:
    """What a run depends on besides its cell and seed."""

    updates: int  # at most
    rate: float  # of Adam; falls to 0 in a straight line
    hidden: int = 32
    batch: int = 32  # sequences or streams trained on at once
    lag: int = 1000  # least number of steps between what matters and the answer
    kinds: int = 50  # of distractors
    chunk: int = 64  # symbols of a stream between two updates
    test: int = 2560  # sequences; the paper has 10,000
    stream: int = 100_000  # symbols of each test stream
    parts: CellParts = field(default_factory=CellParts)  # of the cell composed


TASKS = {"distractors": Settings(600, 0.03), "reber": Settings(1000, 0.01, hidden=8)}


def draw_distractors(generator: np.random.Generator, batch: int, lag: int, kinds: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One symbol to be remembered over random ones: task 2c of Hochreiter & Schmidhuber 1997; frames (B, T, D), lengths (B,), targets (B,).

    A sequence is b, then x or y, then ``lag`` distractors of so many ``kinds`` and on average 9 more (each further one with
    probability 0.9), then e; the target is 1 if it was y. Frames are one-hot, D = kinds + 4: distractors, e, b, x, y.
    """
    lengths = lag + 2 + generator.geometric(0.1, batch)
    targets = generator.integers(0, 2, batch)
    symbols = generator.integers(0, kinds, (batch, lengths.max()))
    symbols[np.arange(batch), lengths - 1] = kinds
    symbols[:, 0], symbols[:, 1] = kinds + 1, kinds + 2 + targets
    return np.eye(kinds + 4, dtype=np.float32)[symbols], lengths, targets.astype(np.float32)


class Grammar:
    """The continual embedded Reber grammar (Gers, Schmidhuber & Cummins 2000, section 4.1), as tables over its N nodes.

    A string is B, then T or P, then a string of Reber's grammar, then the same T or P again, then E; the next begins at node 0.
    """

    def __init__(self) -> None:
        size = len(INNER) + 1  # with the node before the inner string's B
        starts, end = {"T": 2, "P": 3 + size}, 4 + 2 * size
        ways: dict[int, dict[str, int]] = {0: {"B": 1}, 1: starts, end: {"E": 0}}
        for outer, start in starts.items():
            ways |= {start: {"B": start + 1}, start + size: {outer: end}}
            ways |= {start + 1 + node: {symbol: start + 1 + after for symbol, after in arcs.items()} for node, arcs in enumerate(INNER)}
        pairs = [(next(iter(ways[node].items())), list(ways[node].items())[-1]) for node in range(end + 1)]
        self.symbols = np.array([[REBER.index(symbol) for symbol, _ in pair] for pair in pairs])  # (N, 2), of the two ways on, which may be one
        self.nodes = np.array([[node for _, node in pair] for pair in pairs])  # (N, 2), where they lead
        self.recalls = np.isin(np.arange(end + 1), [start + size for start in starts.values()])  # (N,), next is a string's last but one symbol
        self.possible = np.stack([np.isin(np.arange(len(REBER)), pair) for pair in self.symbols])  # (N, 7), which symbols may follow

    def draw(self, generator: np.random.Generator, nodes: np.ndarray, steps: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Streams from ``nodes`` (B,), ways on equally likely: symbols (B, S) as indices, the nodes before them, and those after the last (B,)."""
        choices = generator.integers(0, 2, (steps, len(nodes)))
        symbols, before = np.empty_like(choices), np.empty_like(choices)
        for t, choice in enumerate(choices):
            before[t], symbols[t] = nodes, self.symbols[nodes, choice]
            nodes = self.nodes[nodes, choice]
        return symbols.T, before.T, nodes


class PlainRnn(nn.RNN, RecurrentCell):
    """The network without gates (Elman 1990): h(t) = tanh(W x(t) + R h(t-1) + b). The state is (h,)."""

    def initial(self, frames: Tensor) -> State:
        """Zeros (B, H)."""
        return (frames.new_zeros(frames.shape[0], self.hidden_size),)

    def forward(self, frames: Tensor, lengths: Tensor, state: State | None = None, carry: bool = False, **_: Any) -> CellOutput:  # type: ignore[override]
        """As :class:`RecurrentCell` says."""
        before = (self.initial(frames) if state is None else state)[0]
        outputs = nn.RNN.forward(self, frames, before[None])[0]
        return CellOutput(outputs, (last_states(outputs, before, lengths),) if carry else None)


class Reader(nn.Module):
    """One direction of one layer and a linear layer on its outputs.

    ``remember`` is added to the bias of forget gates and taken from that of input gates at the start, so that a cell keeps what it holds
    and takes in little until it has learned what; exp(remember) is about the number of steps that an untrained cell remembers.
    """

    def __init__(self, cell: str, inputs: int, hidden: int, outputs: int, remember: float, parts: CellParts | None = None) -> None:
        super().__init__()
        settings = CellSettings(forget_bias=remember, positions=1, kernel=1, parts=parts or CellParts())
        self.cell = PlainRnn(inputs, hidden, batch_first=True) if cell == "rnn" else build_cell(cell, inputs, hidden, settings)
        self.answer = nn.Linear(hidden, outputs)
        bias = self.cell.bias_l0 if isinstance(self.cell, GatedCell) and "i" in self.cell.blocks else getattr(self.cell, "bias_ih_l0", None)
        if isinstance(bias, nn.Parameter) and cell != "rnn":  # every such cell's first block is the input gate
            with torch.no_grad():
                bias[:hidden] -= remember

    def forward(self, frames: Tensor, lengths: Tensor, state: State | None = None, carry: bool = False) -> CellOutput:
        """(B, T, D) to answers (B, T, O), with the state if asked for."""
        done = self.cell(frames, lengths, state, carry)
        return CellOutput(self.answer(done.outputs), done.state)


Point = tuple[int, float, float | None]  # trained on so far (sequences or symbols), loss, share of right answers to new data (None: no question)


class Training(ABC):
    """One cell at one task, with a point of the learning curve for each update; its batch is drawn from the seed and the update's number."""

    inputs: int
    outputs: int
    remember: float

    def __init__(self, task: str, cell: str, seed: int, settings: Settings) -> None:
        self.task, self.cell, self.seed, self.settings = task, cell, seed, settings
        torch.manual_seed(seed)
        self.network = Reader(cell, self.inputs, settings.hidden, self.outputs, self.remember, settings.parts)
        self.optimizer = torch.optim.Adam(self.network.parameters(), settings.rate)
        self.curve: list[Point] = []

    @abstractmethod
    def learn(self) -> Point:
        """Make one update."""

    @abstractmethod
    def test(self) -> Row:
        """The paper's test on new data."""

    def finished(self) -> bool:
        """Whether there is nothing left to learn."""
        return False

    def rng(self, *place: int) -> np.random.Generator:
        """Of the data of an update (its number) or of a test (two numbers)."""
        return np.random.default_rng([self.seed, *place])

    def descend(self, loss: Tensor) -> None:
        """Follow the gradient, at a rate that falls to zero."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.settings.rate * (1 - len(self.curve) / self.settings.updates)
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0, error_if_nonfinite=True)
        self.optimizer.step()

    def run(self) -> Row:
        """Learn to the end, then test; the row has the curve and the settings in it."""
        started = time.process_time()
        while len(self.curve) < self.settings.updates and not self.finished():
            self.curve.append(self.learn())
        seconds, weights = time.process_time() - started, sum(parameter.numel() for parameter in self.network.parameters())
        row = {"task": self.task, "cell": self.cell, "seed": self.seed, "weights": weights, "trained_on": self.curve[-1][0], **self.test()}
        return {**row, "cpu_s": seconds, "curve": self.curve, "settings": asdict(self.settings)}


class LagTraining(Training):
    """One number after the last frame, 0 or 1, right if it is within 0.2 (Hochreiter & Schmidhuber 1997)."""

    def __init__(self, task: str, cell: str, seed: int, settings: Settings) -> None:
        self.inputs, self.outputs = settings.kinds + 4, 1
        self.remember = math.log(settings.lag)  # as long as the lag (Tallec & Ollivier 2018, of whose range this is the end)
        super().__init__(task, cell, seed, settings)

    def answer(self, generator: np.random.Generator, batch: int) -> tuple[Tensor, Tensor]:
        """Loss on new sequences, and which answers are right (B,)."""
        frames, lengths, targets = map(torch.from_numpy, draw_distractors(generator, batch, self.settings.lag, self.settings.kinds))
        outputs = self.network.cell(frames, lengths).outputs
        found = self.network.answer(outputs[torch.arange(batch), lengths - 1])[:, 0]
        return functional.binary_cross_entropy_with_logits(found, targets), (found.detach().sigmoid() - targets).abs() < 0.2

    def learn(self) -> Point:
        """One batch of new sequences."""
        loss, right = self.answer(self.rng(len(self.curve)), self.settings.batch)
        self.descend(loss)
        return (len(self.curve) + 1) * self.settings.batch, loss.item(), right.float().mean().item()

    def finished(self) -> bool:
        """Whether the last batches were without a mistake."""
        return len(self.curve) >= RECENT_BATCHES and all(point[2] == 1 for point in self.curve[-RECENT_BATCHES:])

    @torch.no_grad()
    def test(self) -> Row:
        """New sequences, all of them or, where training did not succeed, a tenth."""
        count = self.settings.test if self.finished() else max(1, self.settings.test // 10)
        sizes = [min(TEST_BATCH, count - start) for start in range(0, count, TEST_BATCH)]
        right = torch.cat([self.answer(self.rng(number, 1), size)[1] for number, size in enumerate(sizes)])
        return {"tested_on": count, "wrong_%": 100 - 100 * right.float().mean().item(), "solved": "yes" if right.all() else "no"}


class Streams(NamedTuple):
    """Where streams stand: their nodes (B,), last symbols (B,) and the network's state (None: empty)."""

    nodes: np.ndarray
    last: np.ndarray
    state: State | None = None


class StreamTraining(Training):
    """The continual embedded Reber grammar: the next symbol of streams without end, whose strings nothing marks (Gers et al. 2000).

    Gradients end with a chunk; states are carried. A training stream goes on for as long as there is no mistake in it and starts again from an
    empty state in the chunk after one, as in the paper.
    """

    inputs = outputs = len(REBER)
    remember = 1.0  # most of the paper's biases lie around 1

    def __init__(self, task: str, cell: str, seed: int, settings: Settings) -> None:
        super().__init__(task, cell, seed, settings)
        self.grammar, self.streams = Grammar(), self.begin(settings.batch)

    def begin(self, count: int) -> Streams:
        """Streams that start: a string has just ended."""
        return Streams(np.zeros(count, dtype=np.int64), np.full(count, REBER.index("E")))

    def predict(self, generator: np.random.Generator, streams: Streams, steps: int) -> tuple[Tensor, np.ndarray, np.ndarray, Streams]:
        """Continue streams: loss, right predictions (B, S), which of them need the long memory (B, S), and where the streams stand then."""
        symbols, before, nodes = self.grammar.draw(generator, streams.nodes, steps)
        seen = torch.from_numpy(np.concatenate([streams.last[:, None], symbols[:, :-1]], axis=1))
        done = self.network(functional.one_hot(seen, len(REBER)).float(), torch.full((len(nodes),), steps), streams.state, carry=True)
        loss = functional.cross_entropy(done.outputs.transpose(1, 2), torch.from_numpy(symbols.copy()))
        found, possible = done.outputs.detach(), torch.from_numpy(self.grammar.possible[before])
        right = found.masked_fill(~possible, torch.inf).amin(2) > found.masked_fill(possible, -torch.inf).amax(2)
        state = tuple(tensor.detach() for tensor in done.state or ())
        return loss, right.numpy(), self.grammar.recalls[before], Streams(nodes, symbols[:, -1], state)

    def learn(self) -> Point:
        """One chunk of each stream."""
        settings, number, first = self.settings, len(self.curve), self.begin(self.settings.batch)
        loss, right, recalls, streams = self.predict(self.rng(number), self.streams, settings.chunk)
        self.descend(loss)
        good = right.all(axis=1)
        empty, goes_on = self.network.cell.initial(torch.zeros(settings.batch, 1, self.inputs)), torch.from_numpy(good)
        state = tuple(torch.where(goes_on.view(-1, *[1] * (s.dim() - 1)), s, e) for s, e in zip(streams.state or (), empty, strict=True))
        self.streams = Streams(np.where(good, streams.nodes, first.nodes), np.where(good, streams.last, first.last), state)
        return (number + 1) * settings.batch * settings.chunk, loss.item(), right[recalls].mean().item() if recalls.any() else None

    @torch.no_grad()
    def test(self) -> Row:
        """Ten new streams, never reset: shares of wrong predictions, symbols until the first mistake, and how the cells grow."""
        streams, generator, done, length = self.begin(TEST_STREAMS), self.rng(0, 1), 0, self.settings.stream
        parts, cells = [], []
        while done < length:
            steps = min(1000, length - done) if done else FIRST_MEASURE
            _, *found, streams = self.predict(generator, streams, steps)
            done += steps
            parts.append(found)
            cells.append(mean_cell(streams.state or ()))
        right, recalls = (np.concatenate(arrays, axis=1) for arrays in zip(*parts, strict=True))
        until = np.where(right.all(axis=1), length, right.argmin(axis=1)).mean().item()
        percent = {key: 100 - 100 * value.mean().item() for key, value in (("wrong_%", right[recalls]), ("all_wrong_%", right))}
        solved = "yes" if right.all() else "good" if until > 1000 else "no"
        return {"tested_on": right.size, **percent, "until_mistake": until, "c_after_100": cells[0], "c_at_end": cells[-1], "solved": solved}


def mean_cell(state: State) -> float | None:
    """Mean |c| of a state that is (h, c); None of another."""
    return state[1].abs().mean().item() if len(state) == 2 and state[0].shape == state[1].shape else None


def run(task: str, cell: str, seed: int, options: argparse.Namespace) -> Row:
    """Result, curve and settings of one cell at one task, from its file (InputError: made with other settings) or by doing it."""
    given = {name: getattr(options, name) for name in asdict(TASKS[task]) if getattr(options, name, None) is not None}
    settings, done = replace(TASKS[task], **given), options.out / f"{task}_{cell}_{seed}.json"
    if done.exists():
        row: Row = json.loads(done.read_text())
        for key, value in asdict(settings).items():
            if row["settings"].get(key) != value:
                raise InputError(f"{done}: was made with {key} {row['settings'].get(key)}, not {value}; name another folder, or delete it")
        return row
    row = (StreamTraining if task == "reber" else LagTraining)(task, cell, seed, settings).run()
    done.write_text(json.dumps(row) + "\n")
    print(f"{task} {cell} {seed}: {row['wrong_%']:.3g} % wrong after {row['trained_on']}, {row['cpu_s']:.0f} s", file=sys.stderr, flush=True)
    return row


def main(arguments: Sequence[str] | None = None) -> int:
    """Train and test every cell that has not been yet, then print the table; 2 if files stand in the way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder of the results")
    parser.add_argument("--task", action="append", choices=TASKS, help="repeatable (default: both)")
    parser.add_argument("--cell", action="append", choices=[*cell_names(), "rnn"], help=f"repeatable (default: {', '.join(CELLS)})")
    parser.add_argument("--seed", type=int, action="append", help="repeatable (default: 1)")
    for name in ("updates", "hidden", "batch", "lag", "chunk", "test", "stream"):
        usual = " and ".join(f"{getattr(settings, name)} ({task})" for task, settings in TASKS.items())
        parser.add_argument(f"--{name}", type=int, help=f"see Settings in this file (default: {usual})")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default: 1, which is fastest at this size)")
    parser.add_argument("--json", metavar="FILE", help="write the figures there as well")
    options = parser.parse_args(arguments)
    prepare_host(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)
    try:
        runs = [(task, cell, seed) for seed in options.seed or (1,) for task in options.task or TASKS for cell in options.cell or CELLS]
        rows = [run(task, cell, seed, options) for task, cell, seed in runs]
    except RecognizerError as error:
        print(error, file=sys.stderr)
        return 2
    table = [{key: value for key, value in row.items() if key not in ("curve", "settings")} for row in rows]
    report(in_fresh_process(describe_machine, options.threads), table, NOTES, options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
