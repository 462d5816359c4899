"""An attention decoder: it looks at the encoder's frames anew for each label, and writes the next label by those before it."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence
from torch.utils.checkpoint import checkpoint

from recognizer.config import Attention, Joint
from recognizer.models.encoder import VariationalDropout
from recognizer.models.heads import Head
from recognizer.models.masking import valid_frames

END = 0  # label of the end of a sentence, and of what stands before its first label: that of the blank, which attention does not write


class Memory(NamedTuple):
    """The encoder's frames as the attention looks at them.

    Attributes:
        frames: (B, T, H).
        keys: (B, T, A).
        valid: (B, T), false in padding.
    """

    frames: Tensor
    keys: Tensor
    valid: Tensor


class State(NamedTuple):
    """What the decoder carries from label to label.

    Attributes:
        hidden: output (N, D) of the LSTM.
        cell: its cell state (N, D).
        weights: attention weights (N, T) with which the last label was written.
    """

    hidden: Tensor
    cell: Tensor
    weights: Tensor

    def select(self, rows: Tensor) -> State:
        """The states at ``rows`` (M,)."""
        return State(*(tensor.index_select(0, rows) for tensor in self))


class Spelling(NamedTuple):
    """What the decoder says of known labels; L is the longest sequence of the batch.

    Attributes:
        log_probs: (B, L + 1, V) of each label by those before it; label 0 is the end.
        weights: (B, L + 1, T) attention with which each was written.
        targets: (B, L + 1) the labels with the end behind them, 0 in padding.
        valid: (B, L + 1), false in padding.
    """

    log_probs: Tensor
    weights: Tensor
    targets: Tensor
    valid: Tensor


class AttentionDecoder(Head):
    """An LSTM with location-aware attention (Chorowski et al. 2015, arXiv 1506.07503, equations 5 to 9).

    For each label i, with the LSTM's output s, frames h and attention weights a:

    * energy of frame t: ``e_t = w . tanh(W s_{i-1} + V h_t + U f_t + b)`` with ``f = F * a_{i-1}``, a convolution of the weights before
    * ``a_i = softmax(e)`` over the frames of the item, or with ``smooth_focus`` logistic sigmoids divided by their sum
    * context ``c_i = sum_t a_it h_t``; ``s_i = LSTM(s_{i-1}, [y_{i-1}; c_i])``; ``log p(y_i) = log_softmax(O [s_i; c_i] + b)``

    Before the first label the attention lies on the first frame, and the label before it is the end. The recurrent part is computed in
    float32 whatever the autocast precision (float64 in float64).

    Args:
        objective: sizes; with ``Joint`` the log-probs of CTC are part of what the decoder takes.
        dim: H, size of a frame.
        labels: V, size of the alphabet with label 0.
    """

    def __init__(self, objective: Attention | Joint, dim: int, labels: int) -> None:
        super().__init__()
        size, hidden = objective.attention_size, objective.hidden_size
        self.joint, self.labels, self.smooth = isinstance(objective, Joint), labels, objective.smooth_focus
        self.dim = dim + (labels if self.joint else 0)
        self.key = nn.Linear(dim, size)
        self.query = nn.Linear(hidden, size, bias=False)
        self.filters = nn.Conv1d(1, objective.filters, objective.filter_width, padding=objective.filter_width // 2, bias=False)
        self.location = nn.Linear(objective.filters, size, bias=False)
        self.energy = nn.Linear(size, 1, bias=False)
        self.embedding = nn.Embedding(labels, 4 * hidden)  # the gates' weights of the label before
        self.recurrent = nn.Linear(hidden + dim, 4 * hidden)  # those of output and context
        self.output = nn.Linear(hidden + dim, labels)
        self.dropout = VariationalDropout(objective.dropout)
        nn.init.uniform_(self.embedding.weight, -(hidden**-0.5), hidden**-0.5)

    def decoder_input(self, frames: Tensor, log_probs: Tensor | None) -> Tensor:
        """Frames (B, T, H) in float32, of ``Joint`` behind the log-probs (B, T, V): (B, T, V + H)."""
        frames = frames if frames.dtype == torch.float64 else frames.float()
        if not self.joint:
            return frames
        assert log_probs is not None
        return torch.cat([log_probs, frames], dim=2)

    def remember(self, frames: Tensor, lengths: Tensor) -> Memory:
        """Frames (B, T, H) with lengths (B,), made ready for the attention."""
        with torch.autocast(frames.device.type, enabled=False):
            frames = frames.to(self.key.weight.dtype)
            valid = valid_frames(lengths, frames.shape[1])
            # an item of no frames looks at its padding, zeros: a row without any frame has no softmax
            return Memory(frames.masked_fill(~valid[:, :, None], 0), self.key(frames), valid | ~valid[:, :1])

    def initial(self, memory: Memory, count: int) -> State:
        """The state before the first label, so many times."""
        zeros = memory.frames.new_zeros(count, self.query.in_features)
        weights = memory.frames.new_zeros(count, memory.frames.shape[1])
        weights[:, :1] = 1
        return State(zeros, zeros, weights)

    def step(self, memory: Memory, state: State, labels: Tensor) -> tuple[Tensor, State]:
        """Write one label.

        Args:
            memory: of as many items as there are states, or of one item that all states belong to.
            state: of N sequences.
            labels: (N,) the last label of each, ``END`` before the first.

        Returns:
            Log-probs (N, V) of the next label, label 0 being the end; and the states after it.
        """
        with torch.autocast(state.hidden.device.type, enabled=False):
            state, context = self._advance(memory, state, self.embedding(labels))
            return self._label_log_probs(torch.cat([state.hidden, context], dim=1)), state

    def spell(self, frames: Tensor, lengths: Tensor, targets: Tensor, target_lengths: Tensor) -> Spelling:
        """Write known labels, each after the right ones before it (teacher forcing).

        Args:
            frames: (B, T, H).
            lengths: (B,).
            targets: labels of all items, one after another (sum of L,).
            target_lengths: (B,) how many each item has.
        """
        memory, counts = self.remember(frames, lengths), target_lengths.to(frames.device)
        rows = pad_sequence(targets.split(target_lengths.tolist()), batch_first=True, padding_value=END)  # (B, L)
        with torch.autocast(frames.device.type, enabled=False):
            gates = self.embedding(functional.pad(rows, (1, 0), value=END))  # (B, L + 1, 4 D)
            state, outputs, weights = self.initial(memory, len(rows)), [], []
            for label in gates.unbind(dim=1):
                state, context = self._advance(memory, state, label)
                outputs.append(torch.cat([state.hidden, context], dim=1))
                weights.append(state.weights)
            log_probs = self._label_log_probs(self.dropout(torch.stack(outputs, dim=1)))
        targets = functional.pad(rows, (0, 1), value=END)
        return Spelling(log_probs, torch.stack(weights, dim=1), targets, valid_frames(counts + 1, targets.shape[1]))

    def _label_log_probs(self, outputs: Tensor) -> Tensor:
        log_probs: Tensor = self.output(outputs).log_softmax(dim=-1)
        return log_probs

    def _advance(self, memory: Memory, state: State, gates: Tensor) -> tuple[State, Tensor]:
        """The state after a label's part (N, 4 D) of the gates, and the context (N, H)."""
        arguments = (memory.keys, self.query(state.hidden), state.weights)
        if torch.is_grad_enabled():  # the (N, T, A) within are not kept for each label but computed again on the way back
            energies = checkpoint(self._energies, *arguments, use_reentrant=False, preserve_rng_state=False)
        else:
            energies = self._energies(*arguments)
        energies = functional.logsigmoid(energies) if self.smooth else energies
        weights = energies.masked_fill(~memory.valid, -torch.inf).softmax(dim=1)
        one = len(memory.frames) == 1
        context = weights @ memory.frames[0] if one else (weights[:, None] @ memory.frames)[:, 0]
        into, forget, candidate, out = (gates + self.recurrent(torch.cat([state.hidden, context], dim=1))).chunk(4, dim=1)
        cell = forget.sigmoid() * state.cell + into.sigmoid() * candidate.tanh()
        return State(out.sigmoid() * cell.tanh(), cell, weights), context

    def _energies(self, keys: Tensor, query: Tensor, weights: Tensor) -> Tensor:
        """(N, T) of keys (N or 1, T, A), queries (N, A) and the weights before (N, T)."""
        features = self.location(self.filters(weights[:, None]).transpose(1, 2))
        energies: Tensor = self.energy(torch.tanh(keys + query[:, None] + features))[:, :, 0]
        return energies
