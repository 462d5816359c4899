"""The inner loop of CTC prefix beam search, compiled by numba; :mod:`recognizer.decoding.beam` calls it.

Every prefix that the search has met is a node of a growing tree: its parent, its last label and, where a word ended with that label, the
word. Two entries of the beam never share a node, so a prefix's probability is gathered in one place: ``blank`` sums its paths that end in
a blank, ``plain`` those that end in its last label (Hannun et al. 2014, algorithm 1; Graves 2012, section 7.5.3).

The parts of the loop are inlined into one function. They take models one by one and not as one tuple of all, and copy records field by field:
compiled, that is several times faster.
"""

from __future__ import annotations

from math import inf
from typing import NamedTuple

import numpy as np

from recognizer.decoding.ctc_score import log_add
from recognizer.lm.ngram import query
from recognizer.utils.compiling import compiled


class Workspace(NamedTuple):
    """The arrays of one search."""

    beam: np.ndarray  # (beam size,) PREFIX
    candidates: np.ndarray  # (room,) PREFIX: the entries of the beam as they stay, then extensions, whose ``node`` is their parent's
    score: np.ndarray  # (room,) of each candidate
    order: np.ndarray  # (room,) numbers of candidates
    total: np.ndarray  # (beam size,) log probability of all paths of an entry
    prior: np.ndarray  # (beam size,) its scores by models and bonuses
    seen: np.ndarray  # (beam size * V,) last frame in which the extension of an entry by a label was in the beam already
    first_child: np.ndarray  # (beam size,) an entry of the beam whose parent this one is, or -1
    next_child: np.ndarray  # (beam size,) the next one of the same parent, or -1
    labels: np.ndarray  # that the frame may append


def _record(reals: str, integers: str) -> np.dtype:
    fields = [(name, np.float64) for name in reals.split()] + [(name, np.int32) for name in integers.split()]
    return np.dtype(fields, align=True)


# by_words, by_tokens: log probs by the models, without their weights; node: of the tree of prefixes
PREFIX = _record("blank plain by_words by_tokens bonus lookahead", "node label word trie_node word_state token_state hotword_state")
# frame: in which it was last appended; slot: place in the beam, or -1; children are a linked list
NODE = _record("", "parent label word frame slot first_child next_child")
NO_NODE = -1  # outside the trie
NO_WORD = -1
UNKNOWN_WORD = -2

inlined = compiled(inline="always")


@compiled
def search_prefixes(log_probs, limits, models):  # type: ignore[no-untyped-def]
    """Prefix beam search over log-probs (T, V) float64.

    Returns:
        The tree of prefixes (nodes,) NODE; for each prefix left at the end, best first, its node (N,), its scores (N, 5): total, acoustic,
        word model, token model, bonuses, and the word (N,) that the end completes; and the node of the best prefix, whether it may end or not.
    """
    work = _make_workspace(limits, log_probs.shape[1])
    nodes = np.empty(max(1024, 4 * limits.beam_size), NODE)
    _begin(nodes[0], work.beam[0], models)
    used, count = np.int64(1), np.int64(1)  # nodes and entries of the beam; a plain 1 is a type of its own, for which all would be compiled again
    for t in range(log_probs.shape[0]):
        row = log_probs[t]
        if row[0] >= limits.blank_skip:
            _stay(work.beam, work.beam, count, row, work.total)
            continue
        _stay(work.beam, work.candidates, count, row, work.total)
        _add_paths_of_parents(work, nodes, count, row, t)
        candidates, best = _extend(work, count, row, t, limits, models)
        keep = candidates
        if candidates > limits.beam_size:
            select(work.score, work.order, candidates, limits.beam_size)
            keep = limits.beam_size
        if used + keep > nodes.shape[0]:
            nodes = np.concatenate((nodes, np.empty_like(nodes)))
        count, used = _keep(work, nodes, count, used, keep, best - limits.beam_threshold, t)
    return nodes[:used], *_finish(work.beam[:count], models)


@compiled
def _make_workspace(limits, size):  # type: ignore[no-untyped-def]
    width = limits.beam_size
    room = 5 * width + 64
    beam, candidates, score, order = np.empty(width, PREFIX), np.empty(room, PREFIX), np.empty(room), np.empty(room, np.int64)
    first_child, next_child = np.empty(width, np.int32), np.empty(width, np.int32)
    labels, seen = np.empty(min(size, limits.beam_size_token) + 1, np.int32), np.full(width * size, -1, np.int32)
    return Workspace(beam, candidates, score, order, np.empty(width), np.empty(width), seen, first_child, next_child, labels)


@compiled
def _begin(root, entry, models):  # type: ignore[no-untyped-def]
    """Make the empty prefix the root of the tree and the first entry of the beam."""
    root.parent, root.label, root.word, root.frame, root.slot, root.first_child = -1, 0, NO_WORD, -1, 0, -1
    word_state = models.words.start if models.words.ids.shape[0] > 0 else 0
    token_state = models.tokens.start if models.tokens.ids.shape[0] > 0 else 0
    _fill(entry, 0, 0, NO_WORD, 0.0, -inf, 0, word_state, token_state, 0, 0.0, 0.0, 0.0, 0.0)


@inlined
def _fill(entry, node, label, word, blank, plain, trie_node, word_state, token_state, hotword_state, by_words, by_tokens, bonus, lookahead):  # type: ignore[no-untyped-def]
    entry.node, entry.label, entry.word, entry.blank, entry.plain = node, label, word, blank, plain
    entry.trie_node, entry.word_state, entry.token_state, entry.hotword_state = trie_node, word_state, token_state, hotword_state
    entry.by_words, entry.by_tokens, entry.bonus, entry.lookahead = by_words, by_tokens, bonus, lookahead


@inlined
def _copy(old, new):  # type: ignore[no-untyped-def]
    _fill(
        new, old.node, old.label, old.word, old.blank, old.plain, old.trie_node, old.word_state, old.token_state, old.hotword_state,
        old.by_words, old.by_tokens, old.bonus, old.lookahead,
    )  # fmt: skip


@inlined
def _stay(beam, after, count, row, total):  # type: ignore[no-untyped-def]
    """Put the entries of the beam into ``after`` with the paths that append nothing: a blank, or the last label once more."""
    for b in range(count):
        total[b] = log_add(beam[b].blank, beam[b].plain)
        _copy(beam[b], after[b])
        after[b].blank = total[b] + row[0]
        after[b].plain = beam[b].plain + row[beam[b].label] if beam[b].label > 0 else -inf


@inlined
def _add_paths_of_parents(work, nodes, count, row, t):  # type: ignore[no-untyped-def]
    """Add to each entry whose parent is in the beam the parent's paths that append its label in this frame; note whose child it is."""
    beam, candidates = work.beam, work.candidates
    for b in range(count):
        work.first_child[b] = -1
    for b in range(count):
        up = nodes[beam[b].node].parent
        p = nodes[up].slot if up >= 0 else -1
        if p >= 0:
            label = beam[b].label
            from_parent = (beam[p].blank if beam[p].label == label else work.total[p]) + row[label]
            candidates[b].plain = log_add(candidates[b].plain, from_parent)
            work.seen[p * row.shape[0] + label] = t
            work.next_child[b] = work.first_child[p]
            work.first_child[p] = b


@inlined
def _score_entries(work, count, limits, models):  # type: ignore[no-untyped-def]
    """Score the entries of the beam as they stay; the best one, its score, and the score that a candidate has to reach."""
    beam, candidates, score = work.beam, work.candidates, work.score
    best, lowest, first = -inf, inf, 0
    for b in range(count):
        work.prior[b] = models.words.weight * beam[b].by_words + models.tokens.weight * beam[b].by_tokens + beam[b].bonus
        score[b] = log_add(candidates[b].blank, candidates[b].plain) + work.prior[b] + beam[b].lookahead
        work.order[b] = b
        if score[b] > best:
            best, first = score[b], b
        lowest = min(lowest, score[b])
    cutoff = best - limits.beam_threshold
    return first, best, max(cutoff, lowest) if count == limits.beam_size else cutoff


@inlined
def _extend(work, count, row, t, limits, models):  # type: ignore[no-untyped-def]
    """Append the extensions that may get into the beam to the candidates; return the number of all candidates and the best score."""
    words, tokens, trie, hotwords, size = models.words, models.tokens, models.trie, models.hotwords, row.shape[0]
    word_score, token_score, max_gain = models.word_score, models.token_score, _find_max_gain(models)
    outside = words.weight * words.log_prob[0] if words.ids.shape[0] > 0 else 0.0  # lookahead score outside the trie
    first, best, cutoff = _score_entries(work, count, limits, models)
    labels = choose_labels(row, limits, work.labels)
    used = count
    for turn in range(count):
        b = first if turn == 0 else (0 if turn == first else turn)  # the best first: its extensions raise the cutoff for the rest
        entry = work.beam[b]
        for k in range(labels):
            label = work.labels[k]
            if work.total[b] + row[label] + work.prior[b] + max_gain < cutoff:
                break
            acoustic = (entry.blank if label == entry.label else work.total[b]) + row[label]
            seen = work.seen[b * size + label] == t
            if acoustic == -inf or (seen and not trie.on):
                continue
            trie_node, skip, ways, inside, at = _step_in_trie(trie, entry.trie_node, label) if trie.on else (0, 0, 1, True, 0)
            if skip == ways:
                continue
            token_log, token_state = 0.0, 0
            if tokens.ids.shape[0] > 0:
                token_log, token_state = ngram_score(tokens, entry.token_state, tokens.ids[label])
            gain, hotword_state = token_score, entry.hotword_state
            if hotwords.on:
                gain += hotwords.gain[entry.hotword_state, label]
                hotword_state = hotwords.target[entry.hotword_state, label]
            for way in range(skip, ways):
                word = NO_WORD
                if way > 0 or not inside:
                    word = UNKNOWN_WORD if at < 0 else trie.word[at + way - inside]
                if seen and _in_beam(work, b, label, word):
                    continue
                word_log, word_state, bonus, next_node, lookahead = 0.0, entry.word_state, gain, trie_node, 0.0
                if word != NO_WORD:
                    next_node = 0
                    bonus += word_score
                    if word == UNKNOWN_WORD:
                        bonus += trie.unk_score
                    if words.ids.shape[0] > 0:
                        word_log, word_state = ngram_score(words, entry.word_state, words.ids[word] if word >= 0 else 0)
                elif trie.on:
                    lookahead = trie.lookahead_scores[trie_node] if trie_node >= 0 else outside
                else:
                    bonus += word_score
                value = acoustic + work.prior[b] + words.weight * word_log + tokens.weight * token_log + bonus + lookahead
                if value < cutoff or value == -inf:
                    continue
                if used == work.score.shape[0]:
                    used, cutoff = _make_room(work, count, limits.beam_size, cutoff)
                    if used == work.score.shape[0] or value < cutoff:  # full where all are alike: later ones lose, as in the selection
                        continue
                if value > best:
                    best = value
                    cutoff = max(cutoff, best - limits.beam_threshold)
                work.score[used], work.order[used] = value, used
                _fill(
                    work.candidates[used], entry.node, label, word, -inf, acoustic, next_node, word_state, token_state, hotword_state,
                    entry.by_words + word_log, entry.by_tokens + token_log, entry.bonus + bonus, lookahead,
                )  # fmt: skip
                used += 1
    return used, best


@compiled
def _find_max_gain(models):  # type: ignore[no-untyped-def]
    """The most that bonuses can add to a prefix for one label."""
    gain = max(0.0, models.word_score) + max(0.0, models.token_score)
    if models.hotwords.on:
        gain += max(0.0, models.hotwords.max_gain)
    if models.trie.on and not models.trie.closed:
        gain += max(0.0, models.trie.unk_score)
    return gain


@inlined
def choose_labels(row, limits, chosen):  # type: ignore[no-untyped-def]
    """Put the labels that a frame may append, likeliest first, into ``chosen``; return their number."""
    best = row[0]
    for label in range(1, row.shape[0]):
        best = max(best, row[label])
    floor = best - limits.token_threshold
    count = 0
    for label in range(1, row.shape[0]):
        value = row[label]
        if value == -inf or value < floor or (count == limits.beam_size_token and value <= row[chosen[count - 1]]):
            continue
        count = min(count + 1, limits.beam_size_token)
        place = count - 1
        while place > 0 and row[chosen[place - 1]] < value:
            chosen[place] = chosen[place - 1]
            place -= 1
        chosen[place] = label
    return count


@inlined
def _step_in_trie(trie, node, label):  # type: ignore[no-untyped-def]
    """Where a label leads from a node of the trie, and in which ways: within a word, or to the end of one of several words.

    Returns:
        The node; the first way and the last one + 1, which are equal where a closed vocabulary forbids the label; whether way 0 goes on
        within a word; and where in ``trie.word`` the words of the other ways begin, -1 if the only way ends an unknown word.
    """
    outside = 0 if trie.closed else 1
    if trie.separator > 0 and label == trie.separator:
        if node == 0:
            return node, 0, outside, True, 0
        if node > 0 and trie.word_first[node + 1] > trie.word_first[node]:
            return node, 0, trie.word_first[node + 1] - trie.word_first[node], False, trie.word_first[node]
        return node, 0, outside, False, -1
    place = find_child(trie, node, label) if node >= 0 else NO_NODE
    if place == NO_NODE:
        return place, 0, outside, True, 0
    if trie.separator > 0:
        return place, 0, 1, True, 0
    leaf = trie.first[place + 1] == trie.first[place]
    return place, 1 if leaf else 0, 1 + trie.word_first[place + 1] - trie.word_first[place], True, trie.word_first[place]


@inlined
def find_child(trie, node, label):  # type: ignore[no-untyped-def]
    """The child of a node along a label, or NO_NODE."""
    low, high = trie.first[node], trie.first[node + 1]
    while low < high:
        middle = (low + high) >> 1
        if trie.label[middle] < label:
            low = middle + 1
        else:
            high = middle
    if low < trie.first[node + 1] and trie.label[low] == label:
        return trie.child[low]
    return NO_NODE


@inlined
def ngram_score(ngram, state, id):  # type: ignore[no-untyped-def]
    """Log prob of a symbol and the state after it."""
    return query(ngram.first, ngram.symbol, ngram.log_prob, ngram.target, ngram.backoff, ngram.fallback, np.int64(state), np.int64(id))


@inlined
def _in_beam(work, b, label, word):  # type: ignore[no-untyped-def]
    """Whether the extension of an entry by a label, which ends a word, is in the beam already."""
    child = work.first_child[b]
    while child >= 0:
        if work.beam[child].label == label and work.beam[child].word == word:
            return True
        child = work.next_child[child]
    return False


@compiled
def _make_room(work, count, keep, cutoff):  # type: ignore[no-untyped-def]
    """Drop extensions that cannot be among the best ``keep``; return the number of candidates left and the cutoff."""
    score, order, room = work.score, work.order, work.score.shape[0]
    select(score, order, room, keep)
    lowest = inf
    for i in range(keep):
        lowest = min(lowest, score[order[i]])
    cutoff = max(cutoff, lowest)
    left = count
    for i in range(count, room):
        if score[i] >= cutoff:
            score[left] = score[i]
            _copy(work.candidates[i], work.candidates[left])
            left += 1
    if left < room:
        for i in range(left):
            order[i] = i
    return left, cutoff


@compiled
def select(score, order, count, keep):  # type: ignore[no-untyped-def]
    """Put the ``keep`` best of ``order[:count]`` first, by score and then by lower index; their own order is free."""
    low, high = 0, count - 1
    while low < high:
        middle = order[(low + high) >> 1]
        pivot = score[middle]
        i, j = low, high
        while i <= j:
            while score[order[i]] > pivot or (score[order[i]] == pivot and order[i] < middle):
                i += 1
            while score[order[j]] < pivot or (score[order[j]] == pivot and order[j] > middle):
                j -= 1
            if i <= j:
                order[i], order[j] = order[j], order[i]
                i += 1
                j -= 1
        if keep - 1 <= j:
            high = j
        elif keep - 1 >= i:
            low = i
        else:
            return


@inlined
def _keep(work, nodes, count, used, keep, floor, t):  # type: ignore[no-untyped-def]
    """Make the best candidates the beam; return how many they are and the number of nodes."""
    beam = work.beam
    for b in range(count):
        nodes[beam[b].node].slot = -1
    kept = 0
    for i in range(keep):
        j = work.order[i]
        if work.score[j] < floor or work.score[j] == -inf:
            continue
        _copy(work.candidates[j], beam[kept])
        if j >= count:
            own = _find_node(nodes, beam[kept], used)
            used = max(used, own + 1)
            nodes[own].frame = t
            beam[kept].node = own
        nodes[beam[kept].node].slot = kept
        kept += 1
    return kept, used


@inlined
def _find_node(nodes, entry, used):  # type: ignore[no-untyped-def]
    """The node of an extension: a prefix that comes back takes its old one, which its descendants in the beam know as their parent."""
    up = entry.node
    own = nodes[up].first_child
    while own >= 0 and (nodes[own].label != entry.label or nodes[own].word != entry.word):
        own = nodes[own].next_child
    if own < 0:
        own = used
        node = nodes[own]
        node.parent, node.label, node.word, node.first_child = up, entry.label, entry.word, -1
        node.next_child, nodes[up].first_child = nodes[up].first_child, own
    return own


@compiled
def _finish(beam, models):  # type: ignore[no-untyped-def]
    """The prefixes whose last word may end, with the ends of words, sentences and hotwords scored: see `search_prefixes`."""
    trie, words, tokens = models.trie, models.words, models.tokens
    room = beam.shape[0]
    for b in range(beam.shape[0]):
        node = beam[b].trie_node
        if trie.on and trie.separator > 0 and node > 0:  # words of one spelling end there together
            room += trie.word_first[node + 1] - trie.word_first[node]
    scores = np.empty((room, 5))
    nodes, last_words = np.empty(room, np.int32), np.empty(room, np.int32)
    found, best, highest = 0, 0, -inf
    for b in range(beam.shape[0]):
        entry = beam[b]
        node, acoustic = entry.trie_node, log_add(entry.blank, entry.plain)
        value = acoustic + words.weight * entry.by_words + tokens.weight * entry.by_tokens + entry.bonus
        if value > highest:
            best, highest = entry.node, value
        begin, stop = NO_WORD, NO_WORD + 1
        if trie.on and node != 0:
            if trie.separator > 0 and node > 0 and trie.word_first[node + 1] > trie.word_first[node]:
                begin, stop = trie.word_first[node], trie.word_first[node + 1]
            elif trie.closed:
                continue
            else:
                begin, stop = UNKNOWN_WORD, UNKNOWN_WORD + 1
        for i in range(begin, stop):
            word = trie.word[i] if i >= 0 else i
            word_log, state, bonus, token_log = 0.0, np.int64(entry.word_state), entry.bonus, 0.0
            if word != NO_WORD:
                bonus += models.word_score
                if word == UNKNOWN_WORD:
                    bonus += trie.unk_score
                if words.ids.shape[0] > 0:
                    word_log, state = ngram_score(words, state, words.ids[word] if word >= 0 else 0)
            if words.ids.shape[0] > 0:
                word_log += ngram_score(words, state, words.end)[0]
            if tokens.ids.shape[0] > 0:
                token_log = ngram_score(tokens, entry.token_state, tokens.end)[0]
            if models.hotwords.on:
                bonus += models.hotwords.end[entry.hotword_state]
            row = scores[found]
            row[1], row[2], row[3], row[4] = acoustic, entry.by_words + word_log, entry.by_tokens + token_log, bonus
            row[0] = row[1] + words.weight * row[2] + tokens.weight * row[3] + bonus
            nodes[found], last_words[found] = entry.node, word
            found += 1
    ranks = np.argsort(-scores[:found, 0], kind="mergesort")
    return nodes[ranks], scores[ranks], last_words[ranks], best


@compiled
def trace(nodes, node):  # type: ignore[no-untyped-def]
    """Labels of a prefix, the word that ended with each (or NO_WORD) and the frame that each was appended in."""
    length, at = 0, node
    while at > 0:
        length, at = length + 1, nodes[at].parent
    labels, words, frames = np.empty(length, np.int32), np.empty(length, np.int32), np.empty(length, np.int32)
    at = node
    for i in range(length - 1, -1, -1):
        labels[i], words[i], frames[i] = nodes[at].label, nodes[at].word, nodes[at].frame
        at = nodes[at].parent
    return labels, words, frames
