"""Learning the tasks of ``lag_tasks`` with one cell: lessons that can be interrupted, and the tests of the papers."""

from __future__ import annotations

import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from bench_common import Row
from lag_network import Reader
from lag_tasks import REBER, Sequences, draw_distractors, draw_stream, draw_sums, embed_grammar
from torch import Tensor, nn
from torch.nn import functional

from recognizer.errors import InputError
from recognizer.models.recurrence import State

RECENT = 10  # successive batches without a mistake that end a lesson on a lag; their sequences were never seen before
RECENT_SUMS = 2000  # the same for sums, in sequences (1997, section 5.4)
SAVE_SECONDS = 30
TEST_BATCH = 250
FIRST = 100  # symbols of a test stream before its cells are measured for the first time, then each time it has doubled
TEST_STREAMS = 10  # Gers et al. 2000

Point = list[float | None]


@dataclass(frozen=True)
class Settings:
    """What a lesson depends on besides its cell and seed."""

    updates: int
    rate: float  # of Adam; falls to 0 in a straight line
    hidden: int = 32
    batch: int = 32
    lag: int = 1000  # least number of steps between what matters and the answer
    kinds: int = 50  # of distractors
    inner: int = 1  # strings of Reber's grammar in one of the embedded grammar; the paper's has 1
    chunk: int = 64  # symbols of a stream between two updates
    test: int = 2560  # sequences; the paper has 10,000 of distractors and 2,560 of the adding problem
    stream: int = 100_000  # symbols of each test stream


class Lesson:
    """One cell at one task. The batch of an update is drawn from the seed and the update's number, so that a lesson can be taken up anywhere.

    Attributes:
        curve: a point for each update: what was trained on so far (sequences or symbols), loss, share of right answers (to data not seen
            before), and what a task adds.
    """

    inputs: int
    outputs: ClassVar[int] = 1

    def __init__(self, task: str, cell: str, seed: int, settings: Settings) -> None:
        self.task, self.cell, self.seed, self.settings = task, cell, seed, settings
        torch.manual_seed(seed)
        self.network = Reader(cell, self.inputs, settings.hidden, self.outputs, self.remember())
        self.optimiser = torch.optim.Adam(self.network.parameters(), settings.rate)
        self.curve: list[Point] = []
        self.carried: dict[str, Any] = {}
        self.seconds = 0.0  # of processor time

    def remember(self) -> float:
        """See :class:`Reader`."""
        raise NotImplementedError

    def learn(self) -> Point:
        """Make one update and return its point of the curve."""
        raise NotImplementedError

    def knows(self) -> bool:
        """Whether there is nothing left to learn."""
        return False

    def test(self) -> Row:
        """The paper's test on new data."""
        raise NotImplementedError

    def generator(self, *place: int) -> np.random.Generator:
        """Of the data at one place: an update's number, or two numbers for a test."""
        return np.random.default_rng([self.seed, *place])

    def descend(self, loss: Tensor) -> None:
        """Follow the gradient, at a rate that falls to zero."""
        for group in self.optimiser.param_groups:
            group["lr"] = self.settings.rate * (1 - len(self.curve) / self.settings.updates)
        self.optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0, error_if_nonfinite=True)
        self.optimiser.step()

    def run(self, checkpoint: Path) -> Row:
        """Learn from where the checkpoint stands to the end, then test; the row has the curve and the settings in it."""
        if checkpoint.exists():
            saved = torch.load(checkpoint)
            require_same(saved["settings"], self.settings, checkpoint)
            self.network.load_state_dict(saved["network"])
            self.optimiser.load_state_dict(saved["optimiser"])
            self.curve, self.carried, self.seconds = saved["curve"], saved["carried"], saved["seconds"]
        started, last = time.process_time() - self.seconds, time.monotonic()
        while len(self.curve) < self.settings.updates and not self.knows():
            self.curve.append(self.learn())
            self.seconds = time.process_time() - started
            if time.monotonic() - last > SAVE_SECONDS or len(self.curve) == self.settings.updates:
                self.save(checkpoint)
                last = time.monotonic()
        weights = sum(parameter.numel() for parameter in self.network.parameters())
        row = {"task": self.task, "cell": self.cell, "seed": self.seed, "weights": weights, "trained_on": int(self.curve[-1][0] or 0), **self.test()}
        return {**row, "cpu_s": self.seconds, "curve": self.curve, "settings": asdict(self.settings)}

    def save(self, checkpoint: Path) -> None:
        """Write what :meth:`run` takes up."""
        partial = checkpoint.with_suffix(".partial")
        state = {"network": self.network.state_dict(), "optimiser": self.optimiser.state_dict(), "curve": self.curve}
        torch.save({**state, "settings": asdict(self.settings), "carried": self.carried, "seconds": self.seconds}, partial)
        partial.replace(checkpoint)


class LagLesson(Lesson):
    """A task whose answer is one number after the last frame, right if it is near enough (Hochreiter & Schmidhuber 1997)."""

    def __init__(self, task: str, cell: str, seed: int, settings: Settings) -> None:
        self.sums = task == "adding"
        self.inputs = 2 if self.sums else settings.kinds + 4
        self.tolerance = 0.04 if self.sums else 0.2
        super().__init__(task, cell, seed, settings)

    def remember(self) -> float:
        """As long as the lag (Tallec & Ollivier 2018, of whose range this is the end)."""
        return math.log(self.settings.lag)

    def draw(self, generator: np.random.Generator, batch: int) -> Sequences:
        """Sequences of the task."""
        lag = self.settings.lag
        return draw_sums(generator, batch, lag) if self.sums else draw_distractors(generator, batch, lag, self.settings.kinds)

    def answer(self, sequences: Sequences) -> tuple[Tensor, Tensor]:
        """Loss, and how far off each answer is (B,)."""
        lengths, targets = torch.from_numpy(sequences.lengths), torch.from_numpy(sequences.targets)
        outputs = self.network.cell(torch.from_numpy(sequences.frames), lengths).outputs
        found = self.network.answer(outputs[torch.arange(len(lengths)), lengths - 1])[:, 0]
        if self.sums:
            return functional.mse_loss(found, targets), (found.detach() - targets).abs()
        return functional.binary_cross_entropy_with_logits(found, targets), (found.detach().sigmoid() - targets).abs()

    def learn(self) -> Point:
        """One batch of new sequences."""
        loss, off = self.answer(self.draw(self.generator(len(self.curve)), self.settings.batch))
        self.descend(loss)
        return [(len(self.curve) + 1.0) * self.settings.batch, loss.item(), (off < self.tolerance).float().mean().item()]

    def knows(self) -> bool:
        """Whether the last batches, all of new sequences, were without a mistake; of sums the paper wants 2,000 sequences."""
        recent = math.ceil(RECENT_SUMS / self.settings.batch) if self.sums else RECENT
        return len(self.curve) >= recent and all(point[2] == 1 for point in self.curve[-recent:])

    @torch.no_grad()
    def test(self) -> Row:
        """New sequences; solved if none is wrong or, of sums, if the lesson was learnt. Else a tenth of them tell enough."""
        count = self.settings.test if self.knows() else max(1, self.settings.test // 10)
        sizes = [min(TEST_BATCH, count - start) for start in range(0, count, TEST_BATCH)]
        off = torch.cat([self.answer(self.draw(self.generator(number, 1), size))[1] for number, size in enumerate(sizes)])
        right = (off < self.tolerance).float().mean().item()
        return {"tested_on": count, "wrong_%": 100 - 100 * right, "solved": "yes" if (self.knows() if self.sums else right == 1) else "no"}


class StreamLesson(Lesson):
    """The continual embedded Reber grammar: the next symbol of streams without end, whose strings nothing marks (Gers et al. 2000).

    Gradients end with a chunk; states are carried. A training stream goes on for as long as there is no mistake in it and starts again from an
    empty state in the chunk after one, as in the paper. A prediction is right if each symbol that may follow is likelier than all that may not.
    """

    inputs = outputs = len(REBER)

    def remember(self) -> float:
        """A little: most of the paper's biases lie around 1."""
        return 1.0

    def predict(self, generator: np.random.Generator, nodes: np.ndarray, last: np.ndarray, state: State | None, steps: int) -> tuple[Any, ...]:
        """Go on with streams: loss, right (B, S), which of them want the long memory (B, S), nodes and last symbols (B,), state."""
        grammar = embed_grammar(self.settings.inner)
        symbols, before, nodes = draw_stream(generator, grammar, nodes, steps)
        seen = torch.from_numpy(np.concatenate([last[:, None], symbols[:, :-1]], axis=1))
        done = self.network(functional.one_hot(seen, len(REBER)).float(), torch.full((len(nodes),), steps), state, carry=True)
        loss = functional.cross_entropy(done.outputs.transpose(1, 2), torch.from_numpy(symbols.copy()))
        found, possible = done.outputs.detach(), torch.from_numpy(grammar.possible[before])
        right = found.masked_fill(~possible, torch.inf).amin(2) > found.masked_fill(possible, -torch.inf).amax(2)
        return loss, right.numpy(), grammar.recalls[before], nodes, symbols[:, -1], tuple(tensor.detach() for tensor in done.state or ())

    def begin(self, streams: int) -> tuple[np.ndarray, np.ndarray]:
        """Nodes and last symbols of streams that start: a string has just ended."""
        return np.zeros(streams, dtype=np.int64), np.full(streams, REBER.index("E"))

    def learn(self) -> Point:
        """One chunk of each stream."""
        settings, number = self.settings, len(self.curve)
        nodes, last = (self.carried[key].numpy() for key in ("nodes", "last")) if self.carried else self.begin(settings.batch)
        loss, right, recalls, nodes, last, state = self.predict(self.generator(number), nodes, last, self.carried.get("state"), settings.chunk)
        self.descend(loss)
        recalled, size = right[recalls].mean().item() if recalls.any() else None, measure_cells(state)
        good = right.all(axis=1)
        empty = self.network.cell.initial(torch.zeros(settings.batch, 1, self.inputs))
        goes_on = torch.from_numpy(good)
        state = tuple(torch.where(goes_on.view(-1, *[1] * (s.dim() - 1)), s, e) for s, e in zip(state, empty, strict=True))
        places = (np.where(good, now, first) for now, first in zip((nodes, last), self.begin(settings.batch), strict=True))
        self.carried = {"state": state, **dict(zip(("nodes", "last"), map(torch.from_numpy, places), strict=True))}
        return [(number + 1.0) * settings.batch * settings.chunk, loss.item(), recalled, good.mean().item(), size]

    @torch.no_grad()
    def test(self) -> Row:
        """Ten new streams, never reset: shares of wrong predictions, symbols until the first mistake, and how the cells grow."""
        nodes, last = self.begin(TEST_STREAMS)
        state, generator, done = None, self.generator(0, 1), 0
        rights, wants, growth = [], [], []
        while done < self.settings.stream:
            steps = min(max(FIRST, done), 1000, self.settings.stream - done)
            _, right, recalls, nodes, last, state = self.predict(generator, nodes, last, state, steps)
            done += steps
            rights.append(right)
            wants.append(recalls)
            growth.append((done, measure_cells(state)))
        right, recalls = np.concatenate(rights, axis=1), np.concatenate(wants, axis=1)
        until = np.where(right.all(axis=1), self.settings.stream, right.argmin(axis=1)).mean().item()
        late = np.s_[:, -(self.settings.stream // 10) :]
        wrong = ~right
        shares = {"wrong_%": wrong[recalls], "wrong_last_tenth_%": wrong[late][recalls[late]], "all_wrong_%": wrong}
        sizes = {"c_after_100": growth[0][1], "c_at_end": growth[-1][1], "growth": growth}
        solved = "yes" if right.all() else "good" if until > 1000 else "no"
        percent = {key: 100 * value.mean().item() for key, value in shares.items()}
        return {"tested_on": right.size, **percent, "until_mistake": until, **sizes, "solved": solved}


def require_same(saved: dict[str, Any], wanted: Settings, path: Path) -> None:
    """Refuse what was made with other settings.

    Raises:
        InputError: naming the first that differs.
    """
    for key, value in asdict(wanted).items():
        if saved.get(key) != value:
            raise InputError(f"{path}: was made with {key} {saved.get(key)}, not {value}; name another --out, or delete it")


def measure_cells(state: State) -> float | None:
    """Mean |c| of a state that is (h, c); None of another."""
    return state[1].abs().mean().item() if len(state) == 2 and state[0].shape == state[1].shape else None


LESSONS: dict[str, type[Lesson]] = {"distractors": LagLesson, "adding": LagLesson, "reber": StreamLesson}
USUAL = {"distractors": Settings(600, 0.03), "adding": Settings(6000, 0.01), "reber": Settings(1000, 0.01, hidden=8)}
