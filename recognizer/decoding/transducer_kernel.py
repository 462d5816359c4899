"""The inner loops of transducer decoding, compiled by numba; :mod:`recognizer.decoding.transducer` calls them.

As in :mod:`recognizer.decoding.beam_kernel` every prefix is a node of a growing tree, so that paths which write the same meet in one
place. A prefix of the beam has a row in arrays of states of the prediction network; all new prefixes of a round get theirs in one product.
"""

from __future__ import annotations

from math import inf, log
from typing import NamedTuple

import numpy as np

from recognizer.decoding.beam_arrays import HotwordArrays, NgramArrays
from recognizer.decoding.beam_kernel import choose_labels, ngram_score, select
from recognizer.decoding.ctc_score import log_add
from recognizer.models.kernels.activations import compiled as compiled_loop
from recognizer.models.kernels.activations import exp, sigmoid_sum, tanh, tanh_sum
from recognizer.utils.compiling import compiled


class HeadArrays(NamedTuple):
    """The weights of a transducer's head, float32. V labels, H cells, C numbers a frame."""

    inputs: np.ndarray  # (V, 4H) what each label adds to the gates i, f, g and o, biases included; label 0: the beginning
    recurrent: np.ndarray  # (H, 4H)
    projection: np.ndarray  # (H, C) from the cells' outputs to what meets a frame
    bias: np.ndarray  # (C,)
    output: np.ndarray  # (C, V) behind the tanh of the sum; (0, V) where the sum itself is the logits
    output_bias: np.ndarray  # (V,)


class TransducerLimits(NamedTuple):
    """What is kept in each frame; the names are those of the settings."""

    beam_size: int
    labels_per_frame: int
    beam_size_token: int
    token_threshold: float
    beam_threshold: float
    blank_skip: float  # log prob


class TransducerModels(NamedTuple):
    """All that scores a prefix besides the network."""

    tokens: NgramArrays
    hotwords: HotwordArrays
    word_score: float  # for each label


class Beam(NamedTuple):
    """Where a search stands between two frames: N prefixes."""

    counts: np.ndarray  # (2,) int64: nodes of the tree, frames so far
    nodes: np.ndarray  # (room,) NODE
    entries: np.ndarray  # (N,) int32, node of each prefix
    totals: np.ndarray  # (N,) log probability of all its paths
    hidden: np.ndarray  # (N, H) outputs of the prediction network
    cells: np.ndarray  # (N, H)
    predicted: np.ndarray  # (N, C) what meets a frame


# by_tokens, bonus: log prob by the model without its weight, and bonuses; row: of the frame ``seen``, in which the prefix has log-probs;
# place: in the list of the frame ``placed``, in which paths to the prefix have taken the blank; children are a linked list
NODE = np.dtype(
    [(name, np.float64) for name in ("by_tokens", "bonus")]
    + [(name, np.int32) for name in ("parent", "label", "frame", "first_child", "next_child", "token_state", "hotword_state")]
    + [(name, np.int32) for name in ("row", "seen", "place", "placed")],
    align=True,
)
CANDIDATE = np.dtype(
    [(name, np.float64) for name in ("acoustic", "by_tokens", "bonus")]
    + [(name, np.int32) for name in ("parent", "label", "token_state", "hotword_state")],
    align=True,
)


def begin(head: HeadArrays, models: TransducerModels) -> Beam:
    """The beam before the first frame: the empty prefix."""
    nodes = np.empty(1024, NODE)
    start = models.tokens.start if models.tokens.ids.size else 0
    nodes[0] = (0.0, 0.0, -1, 0, -1, -1, -1, start, 0, -1, -1, -1, -1)
    hidden, cells = (np.zeros((1, head.recurrent.shape[0]), np.float32) for _ in range(2))
    predicted = read(np.zeros(1, np.int32), hidden, cells, head)
    return Beam(np.array([1, 0]), nodes, np.zeros(1, np.int32), np.zeros(1), hidden, cells, predicted)


@compiled
def search_frames(frames, limits, head, models, beam):  # type: ignore[no-untyped-def]
    """Go on with a search over the next frames (T, C) float32; returns the beam after them. A frame of zeros says nothing."""
    for t in range(frames.shape[0]):
        if frames[t].any():
            beam = _search_frame(frames[t], beam.counts[1], limits, head, models, beam)
        beam.counts[1] += 1
    return beam


@compiled
def _search_frame(frame, t, limits, head, models, beam):  # type: ignore[no-untyped-def]
    """Paths take any number of labels in the frame, up to a limit, then the blank: in rounds, of which each takes one label."""
    nodes, hidden, cells, predicted = beam.nodes, beam.hidden, beam.cells, beam.predicted
    active, weights = beam.entries, beam.totals
    for b in range(active.shape[0]):
        nodes[active[b]].row, nodes[active[b]].seen = b, t
    table = join(frame, predicted, head)
    room = active.shape[0] + 64
    kept, totals, scores = np.empty(room, np.int32), np.empty(room), np.empty(room)
    candidates, values = np.empty(256, CANDIDATE), np.empty(256)
    labels, order = np.empty(min(head.inputs.shape[0], limits.beam_size_token) + 1, np.int32), np.empty(0, np.int64)
    count, best = np.int64(0), -inf  # a plain 0 is a type of its own, for which all would be compiled again
    for depth in range(limits.labels_per_frame + 1):
        if count + active.shape[0] > kept.shape[0]:
            more = np.empty(count + active.shape[0])
            kept, totals, scores = np.concatenate((kept, more.astype(np.int32))), np.concatenate((totals, more)), np.concatenate((scores, more))
        count, best = _take_blank(nodes, active, weights, table, t, models, kept, totals, scores, count, best)
        if depth == limits.labels_per_frame:
            break
        cutoff = best - limits.beam_threshold
        if count >= limits.beam_size:
            order = np.arange(count)
            select(scores, order, count, limits.beam_size)
            cutoff = max(cutoff, scores[order[: limits.beam_size]].min())
        found, candidates, values = _extend(nodes, active, weights, table, limits, models, cutoff, labels, candidates, values)
        if found == 0:
            break
        order = np.arange(found)
        if found > limits.beam_size:
            select(values, order, found, limits.beam_size)
            order = order[: limits.beam_size]
        if beam.counts[0] + order.shape[0] > nodes.shape[0]:
            nodes = np.concatenate((nodes, np.empty(nodes.shape[0] + order.shape[0], NODE)))
        active, weights = np.empty(order.shape[0], np.int32), np.empty(order.shape[0])
        fresh = 0  # prefixes that have no log-probs in this frame yet
        sources, new_labels = np.empty(order.shape[0], np.int32), np.empty(order.shape[0], np.int32)
        for i in range(order.shape[0]):
            candidate = candidates[order[i]]
            own = _find_node(nodes, candidate, beam.counts)
            active[i], weights[i] = own, candidate.acoustic
            if nodes[own].seen != t:
                nodes[own].seen, nodes[own].row, nodes[own].frame = t, table.shape[0] + fresh, t
                sources[fresh], new_labels[fresh] = nodes[candidate.parent].row, candidate.label
                fresh += 1
            elif nodes[own].row < beam.totals.shape[0] and candidate.acoustic > beam.totals[nodes[own].row]:
                nodes[own].frame = t  # likelier than all earlier ways to write the label
        if fresh > 0:
            new_hidden, new_cells = hidden[sources[:fresh]], cells[sources[:fresh]]
            new_predicted = read(new_labels[:fresh], new_hidden, new_cells, head)
            table = np.concatenate((table, join(frame, new_predicted, head)))
            hidden, cells = np.concatenate((hidden, new_hidden)), np.concatenate((cells, new_cells))
            predicted = np.concatenate((predicted, new_predicted))
    order = np.arange(count)
    if count > limits.beam_size:
        select(scores, order, count, limits.beam_size)
        order = order[: limits.beam_size]
    order = order[scores[order] >= best - limits.beam_threshold]
    entries = kept[order]
    rows = np.empty(entries.shape[0], np.int64)
    for i in range(entries.shape[0]):
        rows[i] = nodes[entries[i]].row
    return Beam(beam.counts, nodes, entries, totals[order], hidden[rows], cells[rows], predicted[rows])


@compiled
def _prior(node, models):  # type: ignore[no-untyped-def]
    """What a prefix scores besides the probability of its paths."""
    return models.tokens.weight * node.by_tokens + node.bonus


@compiled
def _take_blank(nodes, active, weights, table, t, models, kept, totals, scores, count, best):  # type: ignore[no-untyped-def]
    """End the frame for the active prefixes: add their paths to the list of prefixes after it; its new length, and the best score in it."""
    for i in range(active.shape[0]):
        node = nodes[active[i]]
        value = weights[i] + np.float64(table[node.row, 0])
        if value == -inf:
            continue
        if node.placed != t:
            node.placed, node.place = t, count
            kept[count], totals[count] = active[i], -inf
            count += 1
        totals[node.place] = log_add(totals[node.place], value)
        scores[node.place] = totals[node.place] + _prior(node, models)
        best = max(best, scores[node.place])
    return count, best


@compiled
def _extend(nodes, active, weights, table, limits, models, cutoff, labels, candidates, values):  # type: ignore[no-untyped-def]
    """List the active prefixes with one more label whose score reaches ``cutoff``; their number, and the lists, which may have grown."""
    tokens, hotwords = models.tokens, models.hotwords
    max_gain = max(0.0, models.word_score) + (max(0.0, hotwords.max_gain) if hotwords.on else 0.0)
    found = 0
    for i in range(active.shape[0]):
        node = nodes[active[i]]
        row, prior = table[node.row], _prior(node, models)
        if row[0] >= limits.blank_skip:
            continue
        for k in range(choose_labels(row, limits, labels)):
            label = labels[k]
            acoustic = weights[i] + np.float64(row[label])
            if acoustic + prior + max_gain < cutoff or acoustic == -inf:
                break
            log_prob, token_state, hotword_state, bonus = 0.0, np.int64(0), np.int64(0), models.word_score
            if tokens.ids.shape[0] > 0:
                log_prob, token_state = ngram_score(tokens, node.token_state, tokens.ids[label])
            if hotwords.on:
                bonus += hotwords.gain[node.hotword_state, label]
                hotword_state = np.int64(hotwords.target[node.hotword_state, label])
            value = acoustic + prior + tokens.weight * log_prob + bonus
            if value < cutoff:
                continue
            if found == values.shape[0]:
                candidates, values = np.concatenate((candidates, candidates)), np.concatenate((values, values))
            values[found] = value
            candidate = candidates[found]
            candidate.acoustic, candidate.by_tokens, candidate.bonus = acoustic, node.by_tokens + log_prob, node.bonus + bonus
            candidate.parent, candidate.label, candidate.token_state, candidate.hotword_state = active[i], label, token_state, hotword_state
            found += 1
    return found, candidates, values


@compiled
def _find_node(nodes, candidate, counts):  # type: ignore[no-untyped-def]
    """The node of a prefix with one more label, a new one if there is none."""
    up = nodes[candidate.parent]
    own = up.first_child
    while own >= 0 and nodes[own].label != candidate.label:
        own = nodes[own].next_child
    if own < 0:
        own = np.int32(counts[0])
        counts[0] += 1
        node = nodes[own]
        node.parent, node.label, node.first_child, node.next_child = candidate.parent, candidate.label, -1, up.first_child
        node.seen, node.placed = -1, -1
        node.by_tokens, node.bonus = candidate.by_tokens, candidate.bonus
        node.token_state, node.hotword_state = candidate.token_state, candidate.hotword_state
        up.first_child = own
    return own


@compiled
def finish(beam, models):  # type: ignore[no-untyped-def]
    """Scores (N, 4) of the prefixes if the text ends here: total, acoustic, by the model and the end of the text, bonuses."""
    scores = np.zeros((beam.entries.shape[0], 4))
    for i in range(beam.entries.shape[0]):
        node, row = beam.nodes[beam.entries[i]], scores[i]
        row[1], row[2], row[3] = beam.totals[i], node.by_tokens, node.bonus
        if models.tokens.ids.shape[0] > 0:
            row[2] += ngram_score(models.tokens, node.token_state, models.tokens.end)[0]
        if models.hotwords.on:
            row[3] += models.hotwords.end[node.hotword_state]
        row[0] = row[1] + models.tokens.weight * row[2] + row[3]
    return scores


@compiled
def trace_prefix(nodes, node):  # type: ignore[no-untyped-def]
    """Labels of a prefix, and the frame in which each is likeliest to have been written, as far as the search knew then."""
    length, at = 0, node
    while at > 0:
        length, at = length + 1, nodes[at].parent
    labels, frames = np.empty(length, np.int32), np.empty(length, np.int32)
    at = node
    for i in range(length - 1, -1, -1):
        labels[i], frames[i] = nodes[at].label, nodes[at].frame
        at = nodes[at].parent
    return labels, frames


@compiled
def follow_best(frames, first, labels_per_frame, head, hidden, cells, predicted):  # type: ignore[no-untyped-def]
    """Take the likeliest label again and again, until it is the blank, in each of the frames (T, C), the first of which has the number ``first``.

    The state of the prediction network (1, H) and what it gives (1, C) are changed in place. Returns labels and their frames (L,), and the
    log probability of the path.
    """
    labels, places = np.empty(frames.shape[0] * labels_per_frame, np.int32), np.empty(frames.shape[0] * labels_per_frame, np.int32)
    count, total = 0, 0.0
    for t in range(frames.shape[0]):
        if not frames[t].any():
            continue
        for depth in range(labels_per_frame + 1):
            row = join(frames[t], predicted, head)[0]
            best = 0 if depth == labels_per_frame else row.argmax()
            total += np.float64(row[best])
            if best == 0:
                break
            labels[count], places[count] = best, first + t
            count += 1
            predicted[:] = read(labels[count - 1 : count], hidden, cells, head)
    return labels[:count].copy(), places[:count].copy(), total


@compiled
def predict_all(labels, head):  # type: ignore[no-untyped-def]
    """What meets a frame after each of the labels (L,) int32, the first of which is that of the beginning, 0: (L, C)."""
    size = head.recurrent.shape[0]
    hidden, cells = np.zeros((1, size), np.float32), np.zeros((1, size), np.float32)
    predicted = np.empty((labels.shape[0], head.bias.shape[0]), np.float32)
    for u in range(labels.shape[0]):
        predicted[u] = read(labels[u : u + 1], hidden, cells, head)[0]
    return predicted


@compiled
def best_alignment(frames, labels, predicted, first, last, head):  # type: ignore[no-untyped-def]
    """Score of the best path that writes the labels (L,), -inf without one, and the frame (L,) of each.

    Args:
        frames: (T, C), T at least 1.
        predicted: (L + 1, C), as :func:`predict_all` gives.
        first, last: (T,) how many labels may be written when a frame is left, at least and at most, neither ever falling; L behind the last one.
    """
    count = labels.shape[0]
    low = np.zeros(frames.shape[0], np.int64)  # labels that are written at least when a frame is entered
    low[1:] = first[:-1]
    came = np.zeros((frames.shape[0], (last - low).max() + 1), np.bool_)  # whether the best path to a place has written a label in the frame
    before, after = np.full(count + 1, -inf), np.full(count + 1, -inf)
    before[0] = 0.0
    for t in range(frames.shape[0]):
        after[:] = -inf
        silent = not frames[t].any()
        table = join(frames[t], predicted[low[t] : last[t] + 1], head)
        written = -inf  # score of the best path that has just written the label before
        for u in range(low[t], last[t] + 1):
            row = table[u - low[t]]
            came[t, u - low[t]] = written > before[u]
            value = max(written, before[u])
            if u >= first[t]:
                after[u] = value + (0.0 if silent else np.float64(row[0]))
            if u < count:
                written = -inf if silent else value + np.float64(row[labels[u]])
        before, after = after, before
    starts = np.zeros(count, np.int64)
    u = count
    if before[count] > -inf:
        for t in range(frames.shape[0] - 1, -1, -1):
            while came[t, u - low[t]]:
                u -= 1
                starts[u] = t
    return before[count], starts


@compiled
def join(frame, predicted, head):  # type: ignore[no-untyped-def]
    """Log-probs (N, V) float32 of the labels in a frame (C,) after N prefixes (N, C)."""
    count, size = predicted.shape[0], head.inputs.shape[0]
    if head.output.shape[0] > 0:
        hidden = np.empty((count, predicted.shape[1]), np.float32)
        for i in range(count):
            tanh_sum(frame, predicted[i], hidden[i])
        table = np.dot(hidden, head.output)
        for i in range(count):
            for k in range(size):
                table[i, k] += head.output_bias[k]
    else:
        table = np.empty((count, size), np.float32)
        for i in range(count):
            for k in range(size):
                table[i, k] = frame[k] + predicted[i, k]
    for i in range(count):
        _normalize(table[i])
    return table


@compiled
def _normalize(row):  # type: ignore[no-untyped-def]
    """Subtract the log of the sum of exponentials, in place."""
    row -= row.max()
    total = _sum_exponentials(row)
    row -= np.float32(log(total))


@compiled_loop
def _sum_exponentials(row):  # type: ignore[no-untyped-def]
    total = np.float32(0)
    for k in range(row.shape[0]):
        total += exp(row[k])
    return total


@compiled
def read(labels, hidden, cells, head):  # type: ignore[no-untyped-def]
    """Let the prediction network read one label each (N,); its states (N, H) are changed in place. Returns what meets a frame then (N, C)."""
    size = hidden.shape[1]
    products = np.dot(hidden, head.recurrent)
    gates = np.empty(4 * size, np.float32)
    for n in range(labels.shape[0]):
        given, product = head.inputs[labels[n]], products[n]
        sigmoid_sum(given[: 2 * size], product[: 2 * size], gates[: 2 * size])
        tanh_sum(given[2 * size : 3 * size], product[2 * size : 3 * size], gates[2 * size : 3 * size])
        sigmoid_sum(given[3 * size :], product[3 * size :], gates[3 * size :])
        _update(gates, hidden[n], cells[n])
    predicted = np.dot(hidden, head.projection)
    for n in range(labels.shape[0]):
        predicted[n] += head.bias
    return predicted


@compiled_loop
def _update(gates, hidden, cells):  # type: ignore[no-untyped-def]
    """New states (H,) from gates i, f, g and o (4H,)."""
    size = hidden.shape[0]
    for k in range(size):
        cells[k] = gates[size + k] * cells[k] + gates[k] * gates[2 * size + k]
    for k in range(size):
        hidden[k] = gates[3 * size + k] * tanh(cells[k])
