"""mLSTM: a matrix memory for each head, exponential gates, no recurrent weights (Beck et al. 2024, arXiv 2405.04517, section 2.3)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from recognizer.config import CellSettings
from recognizer.config.schema import require
from recognizer.models.masking import valid_frames
from recognizer.models.recurrent_cell import CellOutput, RecurrentCell, State

CHUNK = 64  # frames; the quadratic part and the memories kept at the starts of chunks then weigh about the same
EPSILON = 1e-5  # added to a variance
FLOOR = 1e-6  # of the denominator, in units of the largest weight: without it a query at right angles to the normalizer divides by zero


class Cell(RecurrentCell):
    """One direction of an mLSTM layer, with the paper's equations 19 to 27 in each head of size d = H / heads.

    ::

        C(t) = f(t) C(t-1) + i(t) v(t) k(t)'       q = Wq x + bq,  v = Wv x + bv,  k = (Wk x + bk) / sqrt(d)
        n(t) = f(t) n(t-1) + i(t) k(t)             i = exp(wi x + bi),  f = sigmoid(wf x + bf)
        h(t) = o(t) * N(C(t) q(t) / max(|n(t)' q(t)|, 1))        o = sigmoid(Wo x + bo)

    Memory and normalizer are kept divided by exp(m), m(t) = max(log f(t) + m(t-1), log i(t)), so that nothing overflows (appendix A);
    the 1 in the denominator becomes exp(-m), which changes nothing whatever m is (but for a floor of 1e-6, met where m > 13.8).

    N takes a head's mean from its vector, divides by its standard deviation and multiplies by a gain for each cell, 1 at the start: the
    norm behind the memory in the paper's mLSTM block. Without it nothing bounds h, since n'q need not grow with C q, and training diverges.

    Since no gate reads h(t-1), frames are taken ``chunk`` at a time: within a chunk as one masked product of queries and keys (the
    parallel form), from chunk to chunk through the memory (the recurrent form). A chunk of 1 is the recurrent form, a chunk of T
    the parallel form; all give the same. Time and memory grow linearly in T. Gates and state are float32 under autocast.

    Args:
        inputs: size D of a frame.
        hidden: H, a multiple of ``settings.heads``.
        settings: ``heads``; ``forget_bias`` is added to the starting bias of the forget gates, which runs from 3 in the first head
            to 6 in the last, so that heads begin with memories of 20 to 400 frames.
        chunk: frames taken at once.

    Raises:
        ConfigError: heads that do not divide H, or leave one cell to each; zoneout or recurrent dropout, which would need the recurrent form.
    """

    def __init__(self, inputs: int, hidden: int, settings: CellSettings, chunk: int = CHUNK) -> None:
        super().__init__()
        self.inputs, self.hidden = inputs, hidden
        heads = settings.heads
        fits = heads >= 1 and hidden % heads == 0 and hidden > heads
        require(fits, "model.recurrent.heads", f"{heads} heads do not divide model.hidden_size={hidden} into parts of two cells or more")
        for key in ("zoneout", "recurrent_dropout"):
            require(getattr(settings, key) == 0, f"model.recurrent.{key}", "must be 0: mlstm has no recurrent weights and takes many frames at once")
        self.heads, self.chunk = heads, chunk
        self.projection = nn.Linear(inputs, 4 * hidden)  # queries, keys, values, output gate
        self.gates = nn.Linear(inputs, 2 * heads)  # logarithms of the input gates, then forget gates before the logistic function
        self.gain = nn.Parameter(torch.ones(hidden))
        with torch.no_grad():
            self.gates.bias[heads:] = torch.linspace(3, 6, heads) + settings.forget_bias

    def initial(self, frames: Tensor) -> State:
        """Memory (B, heads, d, d) of keys by values, normalizer (B, heads, d) and stabiliser (B, heads), all zero."""
        size = self.hidden // self.heads
        dtype = torch.float64 if self.gates.weight.dtype == torch.float64 else torch.float32
        shapes = ((size, size), (size,), ())
        return tuple(torch.zeros(frames.shape[0], self.heads, *shape, dtype=dtype, device=frames.device) for shape in shapes)

    def forward(
        self, frames: Tensor, lengths: Tensor, state: State | None = None, carry: bool = False,
        below: Tensor | None = None, gaps: Tensor | None = None,
    ) -> CellOutput:  # fmt: skip
        """As :class:`RecurrentCell` says; ``below`` and ``gaps`` are not used."""
        state = self.initial(frames) if state is None else state
        dtype = state[0].dtype
        split = (*frames.shape[:2], 4, self.heads, self.hidden // self.heads)
        queries, keys, values, opening = self.projection(frames).view(split).to(dtype).unbind(2)  # each (B, T, heads, d)
        with torch.autocast(frames.device.type, enabled=False):
            writes, keeps = self._gates(frames, dtype)
            padding = ~valid_frames(lengths, frames.shape[1])[:, None]
            inputs = writes.masked_fill(padding, -torch.inf)  # padding leaves the state as it is
            forgets = keeps.masked_fill(padding, 0)
            read, state = query_memory(queries, keys, values, inputs, forgets, state, self.chunk)
            read = functional.layer_norm(read, read.shape[3:], eps=EPSILON) * self.gain.to(dtype).view(read.shape[2:])
            outputs = (torch.sigmoid(opening) * read).flatten(2)
        return CellOutput(outputs, state if carry else None)

    def record(self, frames: Tensor, lengths: Tensor, below: Tensor | None = None, gaps: Tensor | None = None) -> dict[str, Tensor]:
        """As :class:`RecurrentCell` says: log i, f (B, T, heads), o and h; the memory is a matrix a head and is left out."""
        with torch.no_grad():
            writes, keeps = self._gates(frames, self.gates.weight.dtype)
            opening = torch.sigmoid(self.projection(frames)[:, :, 3 * self.hidden :])
            return {"log i": writes.transpose(1, 2), "f": keeps.exp().transpose(1, 2), "o": opening, "h": self(frames, lengths).outputs}

    def _gates(self, frames: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Logarithms of the input and forget gates, each (B, heads, T)."""
        gates = functional.linear(frames.to(dtype), self.gates.weight.to(dtype), self.gates.bias.to(dtype)).transpose(1, 2)
        return gates[:, : self.heads], functional.logsigmoid(gates[:, self.heads :])


def query_memory(queries: Tensor, keys: Tensor, values: Tensor, inputs: Tensor, forgets: Tensor, state: State, chunk: int) -> tuple[Tensor, State]:
    """The memory's answer to each query, and the state after the last frame.

    Args:
        queries, keys, values: (B, T, heads, d).
        inputs, forgets: logarithms of the gates, (B, heads, T).
        state: memory, normalizer and stabiliser before the first frame.
        chunk: frames taken at once.

    Returns:
        (B, T, heads, d), C q / max(|n q|, 1), and the state.
    """
    memory, normalizer, stabiliser = state
    # answers do not depend on the stabiliser, so that no gradient goes through it but where the state itself is looked at
    first = (stabiliser - stabiliser.detach()).exp()[..., None]  # 1
    memory, normalizer = memory * first[..., None], normalizer * first
    later = torch.ones(chunk, chunk, dtype=torch.bool, device=queries.device).triu(1)
    answers = []
    pieces = (*(tensor.split(chunk, dim=1) for tensor in (queries, keys, values)), inputs.split(chunk, dim=2), forgets.split(chunk, dim=2))
    for *vectors, writes, keeps in zip(*pieces, strict=True):
        q, k, v = (tensor.transpose(1, 2).contiguous() for tensor in vectors)  # (B, heads, L, d)
        decays = keeps.cumsum(-1)  # (B, heads, L), from the start of the chunk up to and with the frame
        weights = writes - decays
        stabilisers = decays + torch.maximum(stabiliser[..., None], weights.cummax(-1).values)
        scale, size = stabilisers.detach(), q.shape[2]
        k = k / k.shape[3] ** 0.5
        past = (decays + stabiliser.detach()[..., None] - scale).exp()[..., None]
        shares = ((decays - scale)[..., None] + weights[..., None, :]).masked_fill(later[:size, :size], -torch.inf).exp()
        scores = q @ k.transpose(-1, -2) * shares  # (B, heads, L, L)
        overlap = scores.sum(-1, keepdim=True) + past * (q @ normalizer[..., None])
        least = (-scale).exp().clamp_min(FLOOR)[..., None]
        answers.append((scores @ v + past * (q @ memory)) / torch.maximum(overlap.abs(), least))
        written = k * shares[..., -1, :, None]
        memory = memory * past[..., -1:, :] + written.transpose(-1, -2) @ v
        normalizer = normalizer * past[..., -1, :] + written.sum(2)
        stabiliser = stabilisers[..., -1]
    last = (stabiliser.detach() - stabiliser).exp()[..., None]  # 1
    return torch.cat(answers, dim=2).transpose(1, 2), (memory * last[..., None], normalizer * last, stabiliser)
