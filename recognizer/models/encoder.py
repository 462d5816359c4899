"""Stacked recurrent layers over padded batches, of any cell, in one direction or both."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from recognizer.config import ModelConfig
from recognizer.config.schema import require
from recognizer.models.batch_share import draw
from recognizer.models.cells import build_cell
from recognizer.models.chunks import Chunks, cut_windows, join_windows
from recognizer.models.masking import reverse, valid_frames
from recognizer.models.recurrent_cell import CellOutput, RecurrentCell, run_in_chunks


class VariationalDropout(nn.Module):
    """Dropout that drops the same cells in every frame of a sequence (Gal & Ghahramani 2016).

    One mask a sequence in place of one a frame; drawing the latter costs as much as a small recurrent layer on a CPU.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, frames: Tensor) -> Tensor:
        """(B, T, D) -> same shape; the identity in evaluation mode."""
        if not self.training or self.probability == 0:
            return frames
        kept = draw(frames.shape[0], 1, frames.shape[2], device=frames.device) >= self.probability
        return frames * (kept / (1 - self.probability)).to(frames.dtype)


class Highway(nn.Module):
    """Highway layer: y = t * tanh(W x + b) + (1 - t) * x with t = sigmoid(Wt x + bt), frame by frame (arXiv 1505.00387, equation 3).

    tanh, because its inputs are outputs of recurrent layers, which lie in (-1, 1) too.

    Args:
        dim: size D of a frame.
        bias: starting value of bt; negative, so that a new layer lets its frames through (section 2.2 of the paper).
    """

    def __init__(self, dim: int, bias: float = -2.0) -> None:
        super().__init__()
        self.linear = nn.Linear(dim, 2 * dim)  # the transform, then its gate
        nn.init.constant_(self.linear.bias[dim:], bias)

    def forward(self, frames: Tensor) -> Tensor:
        """(B, T, D) -> same shape; each frame comes from its own only."""
        transform, gate = self.linear(frames).chunk(2, dim=-1)
        return frames + torch.sigmoid(gate) * (torch.tanh(transform) - frames)


class SelfConditioning(nn.Module):
    """Self-conditioned CTC: y = x + W p with p = softmax(V x + b), frame by frame (Nozaki & Komatsu 2021, arXiv 2104.02724).

    An intermediate CTC loss trains p to be a first hypothesis; the layer above corrects it and knows, unlike the output layer of plain
    CTC, the hypotheses around each frame. W starts at zero, so that adding it to a trained encoder changes nothing at first.

    Args:
        dim: size D of a frame.
        labels: V, size of the alphabet with the blank.
    """

    def __init__(self, dim: int, labels: int) -> None:
        super().__init__()
        self.output = nn.Linear(dim, labels)
        self.back = nn.Linear(labels, dim, bias=False)
        nn.init.zeros_(self.back.weight)

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T, D) -> the same shape, and log p (B, T, V) in float32, whatever the autocast precision."""
        with torch.autocast(frames.device.type, enabled=False):
            log_probs = self.output(frames.float()).log_softmax(dim=-1)
        return frames + self.back(log_probs.exp()), log_probs


ROTARY_PERIOD = 10_000  # of the slowest rotation, in frames over 2 pi


class SelfAttention(nn.Module):
    """Multi-head self-attention with a residual connection: y = x + A(norm(x)).

    Queries and keys are turned by angles proportional to their frame's position (Su et al. 2021, arXiv 2104.09864, section 3.2), so
    that a weight depends on the distance of two frames, not on where they stand. Normalization stands in front, which trains without a
    warm-up of its own (Xiong et al. 2020).

    Args:
        dim: size D of a frame, heads times an even number.
        heads: how many.
        dropout: probability, of attention weights and of what the layer adds.

    Raises:
        ConfigError: heads that do not divide D into even parts.
    """

    def __init__(self, dim: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        require(heads >= 1 and dim % (2 * heads) == 0, "model.attention_heads", f"{heads} heads do not divide a frame of {dim} into even parts")
        self.heads, self.probability = heads, dropout
        self.norm = nn.LayerNorm(dim)
        self.projection = nn.Linear(dim, 3 * dim)  # queries, keys, values
        self.output = nn.Linear(dim, dim)
        self.dropout = VariationalDropout(dropout)

    def forward(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """(B, T, D), lengths (B,) -> (B, T, D), zero beyond the lengths; what stands there in ``frames`` is not read."""
        valid = valid_frames(lengths, frames.shape[1])
        frames = frames.masked_fill(~valid[:, :, None], 0)
        frames = frames + self.dropout(self._attend(self.norm(frames), valid))
        return frames.masked_fill(~valid[:, :, None], 0)

    def _attend(self, frames: Tensor, valid: Tensor) -> Tensor:
        split = self.projection(frames).unflatten(2, (3, self.heads, -1))
        queries, keys, values = split.permute(2, 0, 3, 1, 4)  # each (B, heads, T, d)
        # a sequence of no frames may look at its padding: a row without any key has no softmax
        allowed = (valid | ~valid[:, :1])[:, None, None]
        probability = self.probability if self.training else 0.0
        read = functional.scaled_dot_product_attention(rotate(queries), rotate(keys), values, allowed, probability)
        output: Tensor = self.output(read.transpose(1, 2).flatten(2))
        return output


def rotate(vectors: Tensor) -> Tensor:
    """Turn the pairs (j, d/2 + j) of (B, heads, T, d) by t / 10000^(2j/d) in frame t; the products of two frames keep their distance only."""
    frames, size = vectors.shape[2:]
    half = size // 2
    rates = ROTARY_PERIOD ** (-torch.arange(half, device=vectors.device, dtype=torch.float64) / half)
    angles = torch.arange(frames, device=vectors.device, dtype=torch.float64)[:, None] * rates  # (T, d/2)
    cosines, sines = angles.cos().to(vectors.dtype), angles.sin().to(vectors.dtype)
    first, second = vectors[..., :half], vectors[..., half:]
    return torch.cat([first * cosines - second * sines, first * sines + second * cosines], dim=-1)


class RecurrentLayer(nn.Module):
    """One layer: a forward cell and, unless told otherwise, a backward one over the same frames (Graves & Schmidhuber 2005).

    The backward direction reads each sequence reversed within its own length, so that neither direction meets padding
    before the last real frame. The result is that of a packed sequence, but on the CPU packing leaves the fused kernels
    and costs 2.5 to 9 times as much.

    Args:
        forwards: the cell of the forward direction.
        backwards: the cell that reads from the end; None: one direction only.
        tbptt_frames: frames after which the gradient is cut; 0: never.
        chunks: that the backward direction reads one by one, each with the frames that it looks ahead; None: it reads from the end.
    """

    def __init__(self, forwards: RecurrentCell, backwards: RecurrentCell | None, tbptt_frames: int = 0, chunks: Chunks | None = None) -> None:
        super().__init__()
        self.forwards, self.backwards, self.tbptt_frames, self.chunks = forwards, backwards, tbptt_frames, chunks
        self.dim = forwards.hidden * (1 if backwards is None else 2)

    def forward(self, frames: Tensor, lengths: Tensor, below: Tensor | None = None, gaps: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """(B, T, D) with lengths (B,) -> (B, T, H or 2H), and the cell states likewise if the cell shows them.

        What stands in padded frames is not defined. ``below`` are the cell states of the layer underneath, forward ones in front.
        """
        parts = [None, None] if below is None else below.split(self.forwards.hidden, dim=2)
        ahead = self._run(self.forwards, frames, lengths, parts[0], gaps)
        if self.backwards is None:
            return ahead.outputs, ahead.cells
        if self.chunks is None:
            back, cells = self.run_back(frames, lengths, parts[1], gaps)
        else:  # the windows of all chunks side by side, as items of a batch
            frames, spans = cut_windows(frames, lengths, self.chunks)
            under = None if parts[1] is None else cut_windows(parts[1], lengths, self.chunks)[0]
            shape = ahead.outputs.shape[:2]
            back, cells = self.run_back(frames, spans, under)
            back, cells = join_windows(back, shape, self.chunks), None if cells is None else join_windows(cells, shape, self.chunks)
        outputs = torch.cat([ahead.outputs, back], dim=2)
        return outputs, None if ahead.cells is None or cells is None else torch.cat([ahead.cells, cells], dim=2)

    def run_back(
        self, frames: Tensor, lengths: Tensor, below: Tensor | None = None, gaps: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """The backward direction alone, from the end of each sequence: outputs (B, T, H) in the order of the frames, and cell states if shown."""
        assert self.backwards is not None
        under = None if below is None else reverse(below, lengths)
        back = self._run(self.backwards, reverse(frames, lengths), lengths, under, None if gaps is None else reverse_gaps(gaps, lengths))
        return reverse(back.outputs, lengths), None if back.cells is None else reverse(back.cells, lengths)

    def _run(self, cell: RecurrentCell, frames: Tensor, lengths: Tensor, below: Tensor | None, gaps: Tensor | None) -> CellOutput:
        if 0 < self.tbptt_frames < frames.shape[1]:
            return run_in_chunks(cell, frames, lengths, self.tbptt_frames, below, gaps)
        done: CellOutput = cell(frames, lengths, below=below, gaps=gaps)
        return done


def reverse_gaps(gaps: Tensor, lengths: Tensor) -> Tensor:
    """The time since the frame before (B, T) for a cell that reads from the end: the gap behind each frame, reversed."""
    after = torch.cat([gaps[:, 1:], torch.ones_like(gaps[:, :1])], dim=1)
    followed = valid_frames(lengths - 1, gaps.shape[1])  # behind the last frame lies nothing, whatever the padding says
    return reverse(torch.where(followed, after, 1)[:, :, None], lengths)[:, :, 0]


class Encoder(nn.Module):
    """Recurrent layers, each reading both directions of the one below (Graves, Mohamed & Hinton 2013, section 3).

    Args:
        inputs: size D of a frame.
        config: cell, size H, depth, directions, dropout between layers and after the last, highway layers, self-conditioning, attention.
        labels: V, size of the alphabet with the blank; used for self-conditioning only.
        frame_ms: duration of a frame, by which ``config.chunk_ms`` and ``config.lookahead_ms`` are so many frames.
    """

    def __init__(self, inputs: int, config: ModelConfig, labels: int = 0, frame_ms: float = 1.0) -> None:
        super().__init__()
        width = config.hidden_size * (1 + config.bidirectional)
        sizes = [inputs] + [width] * (config.num_layers - 1)
        self.layers = nn.ModuleList(
            RecurrentLayer(
                build_cell(config.cell, size, config.hidden_size, config.recurrent),
                build_cell(config.cell, size, config.hidden_size, config.recurrent) if config.bidirectional else None,
                config.tbptt_frames,
                Chunks.of_layer(config, number, frame_ms),
            )
            for number, size in enumerate(sizes)
        )
        self.highways = nn.ModuleList(Highway(width) for _ in sizes if config.highway)
        self._units_layer = config.units_layer - 1
        below = [number for number in range(config.num_layers - 1) if config.intermediate_ctc_weight and number != self._units_layer]
        self.conditions = nn.ModuleDict({str(number): SelfConditioning(width, labels) for number in below})
        self.units = SelfConditioning(width, len(config.units) + 1) if config.units_layer else None
        self.attention = SelfAttention(width, config.attention_heads, config.dropout) if config.attention_heads else None
        self.dropout = VariationalDropout(config.dropout)
        self.dim = width

    def forward(self, frames: Tensor, lengths: Tensor, gaps: Tensor | None = None) -> Tensor:
        """(B, T, D) with lengths (B,) and gaps (B, T), time since the frame before, -> (B, T, H or 2H), zero in padded frames."""
        return self.encode(frames, lengths, gaps)[0]

    def encode(self, frames: Tensor, lengths: Tensor, gaps: Tensor | None = None) -> tuple[Tensor, dict[int, Tensor]]:
        """As :meth:`forward`, and the intermediate log-probs (B, T, V) by the number of the layer, from 0, that they are of."""
        cells, intermediate = None, {}
        for number, layer in enumerate(self.layers):
            frames, cells = layer(frames, lengths, cells, gaps)
            frames, log_probs = self.between(number, frames)
            if log_probs is not None:
                intermediate[number] = log_probs
        if self.attention is not None:
            return self.attention(frames, lengths), intermediate
        return frames * valid_frames(lengths, frames.shape[1])[:, :, None], intermediate

    def condition(self, number: int) -> SelfConditioning | None:
        """The output that stands above the layer of this number, from 0, and is read by the next, if there is one."""
        if number == self._units_layer:
            return self.units
        conditions: dict[str, SelfConditioning] = dict(self.conditions)  # type: ignore[arg-type]  # a ModuleDict has no get
        return conditions.get(str(number))

    def between(self, number: int, frames: Tensor) -> tuple[Tensor, Tensor | None]:
        """What stands above the recurrent layer of this number, frame by frame, and its intermediate log-probs if there are any."""
        if len(self.highways):
            frames = self.highways[number](frames)
        frames = self.dropout(frames)
        condition = self.condition(number)
        if condition is None:
            return frames, None
        frames, log_probs = condition(frames)
        return frames, log_probs
