"""The inner loop of CTC prefix beam search, compiled by numba; :mod:`recognizer.decoding.beam` is its reader's end.

A prefix is a node of a growing tree: parent, label and, where a word ended with that label, the word. Two entries of the
beam never share a node, so a prefix's probability is gathered in one place: ``blank[b]`` sums its paths that end in a
blank, ``plain[b]`` those that end in its last label (Hannun et al. 2014, algorithm 1; Graves 2012, section 7.5.3).
"""

from __future__ import annotations

from math import inf

import numpy as np
from numba import njit

from recognizer.decoding.ngram_query import query
from recognizer.decoding.path_sums import log_add

NO_NODE = -1  # outside the tree of words
NO_WORD = -1
UNKNOWN_WORD = -2


@njit(cache=True, nogil=True)
def find_child(tree, node, label):  # type: ignore[no-untyped-def]
    """The child of a node along a label, or NO_NODE."""
    low, high = tree.first[node], tree.first[node + 1]
    while low < high:
        middle = (low + high) >> 1
        if tree.label[middle] < label:
            low = middle + 1
        else:
            high = middle
    if low < tree.first[node + 1] and tree.label[low] == label:
        return tree.child[low]
    return NO_NODE


@njit(cache=True, nogil=True)
def gram_score(gram, state, id):  # type: ignore[no-untyped-def]
    """Log prob of a symbol and the state after it."""
    return query(gram.first, gram.symbol, gram.log_prob, gram.target, gram.backoff, gram.fallback, state, id)


@njit(cache=True, nogil=True)
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


@njit(cache=True, nogil=True)
def choose_labels(row, search, chosen):  # type: ignore[no-untyped-def]
    """The labels a frame may append, likeliest first, into ``chosen``; their number."""
    best = row[0]
    for label in range(1, row.shape[0]):
        if row[label] > best:
            best = row[label]
    floor = best - search.label_threshold
    count = 0
    for label in range(1, row.shape[0]):
        value = row[label]
        if value == -inf or value < floor:
            continue
        if count == search.labels and value <= row[chosen[count - 1]]:
            continue
        place = count if count < search.labels else count - 1
        while place > 0 and row[chosen[place - 1]] < value:
            chosen[place] = chosen[place - 1]
            place -= 1
        chosen[place] = label
        if count < search.labels:
            count += 1
    return count


@njit(cache=True, nogil=True)
def search_prefixes(log_probs, search, tree, words, letters, phrases, insertion, symbol_insertion):  # type: ignore[no-untyped-def]
    """Prefix beam search over log-probs (T, V) float64.

    ``words`` and ``letters`` are n-gram models over the words of ``tree`` and over labels; one whose ``ids`` are empty is
    none. ``insertion`` is added for every word where there is a tree, else for every label; ``symbol_insertion`` for every label.

    Returns:
        The tree of prefixes (parent, label, word, frame of birth) and, for each prefix left at the end, best first: node,
        total, acoustic, word model, letter model, bonuses and the word that the end of the utterance completes.
    """
    frames, size = log_probs.shape
    width = search.width
    has_words, has_letters = words.ids.shape[0] > 0, letters.ids.shape[0] > 0
    separated = tree.on and tree.separator > 0

    capacity = max(1024, 4 * width)
    parent = np.empty(capacity, np.int32)
    last = np.empty(capacity, np.int32)
    word_at = np.empty(capacity, np.int32)
    birth = np.empty(capacity, np.int32)
    slot = np.full(capacity, -1, np.int32)  # where in the beam a node is
    eldest, sibling = np.full(capacity, -1, np.int32), np.empty(capacity, np.int32)  # children of a node as a linked list
    parent[0], last[0], word_at[0], birth[0], slot[0] = -1, 0, NO_WORD, -1, 0
    nodes = 1

    # the beam, twice: the one of this frame and the one being built
    node, node2 = np.empty(width, np.int32), np.empty(width, np.int32)
    blank, blank2 = np.empty(width), np.empty(width)
    plain, plain2 = np.empty(width), np.empty(width)
    place, place2 = np.empty(width, np.int32), np.empty(width, np.int32)  # in the tree of words
    word_state, word_state2 = np.empty(width, np.int32), np.empty(width, np.int32)
    letter_state, letter_state2 = np.empty(width, np.int32), np.empty(width, np.int32)
    phrase, phrase2 = np.empty(width, np.int32), np.empty(width, np.int32)
    by_words, by_words2 = np.empty(width), np.empty(width)
    by_letters, by_letters2 = np.empty(width), np.empty(width)
    bonus, bonus2 = np.empty(width), np.empty(width)
    ahead, ahead2 = np.empty(width), np.empty(width)

    # candidates: the entries of the beam as they stay, then extensions
    room = 5 * width + 64
    score = np.empty(room)
    order = np.empty(room, np.int64)
    from_slot, from_label, from_word = np.empty(room, np.int32), np.empty(room, np.int32), np.empty(room, np.int32)
    new_plain, new_place = np.empty(room), np.empty(room, np.int32)
    new_word_state, new_letter_state, new_phrase = np.empty(room, np.int32), np.empty(room, np.int32), np.empty(room, np.int32)
    new_by_words, new_by_letters, new_bonus, new_ahead = np.empty(room), np.empty(room), np.empty(room), np.empty(room)

    stay_blank, stay_plain, total, prior = np.empty(width), np.empty(width), np.empty(width), np.empty(width)
    stamp = np.full(width * size, -1, np.int32)  # frame in which (slot, label) was seen to be in the beam already
    head, following = np.empty(width, np.int32), np.empty(width, np.int32)  # entries of the beam by parent
    chosen = np.empty(min(size, search.labels) + 1, np.int32)

    node[0], blank[0], plain[0], place[0] = 0, 0.0, -inf, 0
    word_state[0] = words.start if has_words else 0
    letter_state[0] = letters.start if has_letters else 0
    phrase[0], by_words[0], by_letters[0], bonus[0], ahead[0] = phrases.start, 0.0, 0.0, 0.0, 0.0
    count = 1
    most_gain = max(0.0, insertion) + max(0.0, symbol_insertion) + (max(0.0, phrases.most) if phrases.on else 0.0)
    if tree.on and not tree.closed:
        most_gain += max(0.0, tree.unknown)

    for t in range(frames):
        row = log_probs[t]
        best = -inf
        for b in range(count):
            total[b] = log_add(blank[b], plain[b])
            prior[b] = words.weight * by_words[b] + letters.weight * by_letters[b] + bonus[b]
            stay_blank[b] = total[b] + row[0]
            label = last[node[b]]
            stay_plain[b] = plain[b] + row[label] if label > 0 else -inf
        if row[0] >= search.blank_skip:
            for b in range(count):
                blank[b], plain[b] = stay_blank[b], stay_plain[b]
            continue

        for b in range(count):
            head[b] = -1
        for b in range(count):
            up = parent[node[b]]
            p = slot[up] if up >= 0 else -1
            if p >= 0:  # paths of the parent that say this entry's label now
                label = last[node[b]]
                from_parent = (blank[p] if last[up] == label else total[p]) + row[label]
                stay_plain[b] = log_add(stay_plain[b], from_parent)
                stamp[p * size + label] = t
                following[b] = head[p]
                head[p] = b
        low = inf
        first = 0
        for b in range(count):
            score[b] = log_add(stay_blank[b], stay_plain[b]) + prior[b] + ahead[b]
            order[b] = b
            if score[b] > best:
                best, first = score[b], b
            if score[b] < low:
                low = score[b]
        cutoff = best - search.score_threshold
        if count == width and low > cutoff:
            cutoff = low
        candidates = count

        labels = choose_labels(row, search, chosen)
        for turn in range(count):
            b = first if turn == 0 else (0 if turn == first else turn)  # the best first: it raises the bar for the rest
            ending = last[node[b]]
            for k in range(labels):
                label = chosen[k]
                if total[b] + row[label] + prior[b] + most_gain < cutoff:
                    break
                acoustic = (blank[b] if label == ending else total[b]) + row[label]
                if acoustic == -inf:
                    continue
                seen = stamp[b * size + label] == t
                if seen and not tree.on:
                    continue

                spot, choices, at = place[b], 1, 0  # spot: where in the tree of words the label leads; choices: ways to go on from there
                inside = False  # a way that goes on within a word
                if tree.on:
                    if separated and label == tree.separator:
                        if spot == 0:
                            if tree.closed:
                                continue
                            inside = True
                        elif spot > 0 and tree.word_first[spot + 1] > tree.word_first[spot]:
                            at = tree.word_first[spot]
                            choices = tree.word_first[spot + 1] - at
                        elif tree.closed:
                            continue
                        else:
                            at = -1
                    else:
                        spot = find_child(tree, spot, label) if spot >= 0 else NO_NODE
                        if spot == NO_NODE and tree.closed:
                            continue
                        inside = True
                        if not separated and spot > 0:
                            at = tree.word_first[spot]
                            choices = 1 + tree.word_first[spot + 1] - at

                letter_log, letter_next = 0.0, 0
                if has_letters:
                    letter_log, letter_next = gram_score(letters, letter_state[b], letters.ids[label])
                extra, phrase_next = symbol_insertion, phrase[b]
                if phrases.on:
                    extra += phrases.gain[phrase[b], label]
                    phrase_next = phrases.target[phrase[b], label]

                for choice in range(choices):
                    word = NO_WORD
                    if tree.on:
                        if inside:
                            if choice > 0:
                                word = tree.word[at + choice - 1]
                            elif not separated and spot > 0 and tree.first[spot + 1] == tree.first[spot]:
                                continue  # nothing goes on from here
                        else:
                            word = UNKNOWN_WORD if at < 0 else tree.word[at + choice]
                    if seen and _in_beam(head[b], following, node, last, word_at, label, word):
                        continue
                    word_log, word_next, gained, outlook, spot_next = 0.0, word_state[b], extra, 0.0, spot
                    if word != NO_WORD:
                        spot_next = 0
                        gained += insertion
                        if word == UNKNOWN_WORD:
                            gained += tree.unknown
                        if has_words:
                            word_log, word_next = gram_score(words, word_state[b], words.ids[word] if word >= 0 else 0)
                    elif tree.on:
                        if separated and label == tree.separator:
                            spot_next = 0
                        elif spot >= 0:
                            outlook = tree.ahead[spot]
                        elif has_words:
                            outlook = words.weight * words.log_prob[0]
                    else:
                        gained += insertion
                    value = acoustic + prior[b] + words.weight * word_log + letters.weight * letter_log + gained + outlook
                    if value < cutoff or value == -inf:
                        continue
                    if candidates == room:  # raise the bar, and make room
                        select(score, order, candidates, width)
                        low = inf
                        for i in range(width):
                            low = min(low, score[order[i]])
                        cutoff = max(cutoff, low)
                        fresh = count
                        for i in range(count, room):
                            if score[i] >= cutoff:
                                score[fresh] = score[i]
                                from_slot[fresh], from_label[fresh], from_word[fresh] = from_slot[i], from_label[i], from_word[i]
                                new_plain[fresh], new_place[fresh] = new_plain[i], new_place[i]
                                new_word_state[fresh], new_letter_state[fresh] = new_word_state[i], new_letter_state[i]
                                new_phrase[fresh] = new_phrase[i]
                                new_by_words[fresh], new_by_letters[fresh] = new_by_words[i], new_by_letters[i]
                                new_bonus[fresh], new_ahead[fresh] = new_bonus[i], new_ahead[i]
                                fresh += 1
                        if fresh == room:  # all alike: later ones lose, as in the selection
                            continue
                        candidates = fresh
                        for i in range(candidates):
                            order[i] = i
                        if value < cutoff:
                            continue
                    if value > best:
                        best = value
                        cutoff = max(cutoff, best - search.score_threshold)
                    i = candidates
                    score[i], order[i] = value, i
                    from_slot[i], from_label[i], from_word[i], new_plain[i], new_place[i] = b, label, word, acoustic, spot_next
                    new_word_state[i], new_letter_state[i], new_phrase[i] = word_next, letter_next, phrase_next
                    new_by_words[i], new_by_letters[i] = by_words[b] + word_log, by_letters[b] + letter_log
                    new_bonus[i], new_ahead[i] = bonus[b] + gained, outlook
                    candidates += 1

        keep = candidates
        if candidates > width:
            select(score, order, candidates, width)
            keep = width
        if nodes + keep > capacity:
            capacity *= 2
            parent, last, word_at, birth = _grow(parent, capacity), _grow(last, capacity), _grow(word_at, capacity), _grow(birth, capacity)
            slot, eldest, sibling = _grow(slot, capacity), _grow(eldest, capacity), _grow(sibling, capacity)
        for b in range(count):
            slot[node[b]] = -1
        kept = 0
        for i in range(keep):
            j = order[i]
            if score[j] < best - search.score_threshold or score[j] == -inf:
                continue
            if j < count:
                node2[kept], blank2[kept], plain2[kept], place2[kept] = node[j], stay_blank[j], stay_plain[j], place[j]
                word_state2[kept], letter_state2[kept], phrase2[kept] = word_state[j], letter_state[j], phrase[j]
                by_words2[kept], by_letters2[kept], bonus2[kept], ahead2[kept] = by_words[j], by_letters[j], bonus[j], ahead[j]
            else:
                # a prefix that comes back takes its old node, which its descendants in the beam know as their parent
                up = node[from_slot[j]]
                own = eldest[up]
                while own >= 0 and (last[own] != from_label[j] or word_at[own] != from_word[j]):
                    own = sibling[own]
                if own < 0:
                    own = nodes
                    parent[own], last[own], word_at[own] = up, from_label[j], from_word[j]
                    sibling[own], eldest[up] = eldest[up], own
                    nodes += 1
                birth[own] = t
                node2[kept], blank2[kept], plain2[kept], place2[kept] = own, -inf, new_plain[j], new_place[j]
                word_state2[kept], letter_state2[kept], phrase2[kept] = new_word_state[j], new_letter_state[j], new_phrase[j]
                by_words2[kept], by_letters2[kept], bonus2[kept], ahead2[kept] = new_by_words[j], new_by_letters[j], new_bonus[j], new_ahead[j]
            slot[node2[kept]] = kept
            kept += 1
        count = kept
        node, node2 = node2, node
        blank, blank2 = blank2, blank
        plain, plain2 = plain2, plain
        place, place2 = place2, place
        word_state, word_state2 = word_state2, word_state
        letter_state, letter_state2 = letter_state2, letter_state
        phrase, phrase2 = phrase2, phrase
        by_words, by_words2 = by_words2, by_words
        by_letters, by_letters2 = by_letters2, by_letters
        bonus, bonus2 = bonus2, bonus
        ahead, ahead2 = ahead2, ahead

    # the end of the utterance ends words, sentences and phrases
    room = count
    if separated:  # words of one spelling end there together
        for b in range(count):
            if place[b] > 0:
                room += tree.word_first[place[b] + 1] - tree.word_first[place[b]]
    final = np.empty((room, 5))
    final_node, final_word = np.empty(room, np.int32), np.empty(room, np.int32)
    found = 0
    for b in range(count):
        begin, stop = NO_WORD, NO_WORD + 1
        if tree.on and place[b] != 0:
            at = place[b]
            if separated and at > 0 and tree.word_first[at + 1] > tree.word_first[at]:
                begin, stop = tree.word_first[at], tree.word_first[at + 1]
            elif tree.closed:
                continue
            else:
                begin, stop = UNKNOWN_WORD, UNKNOWN_WORD + 1
        for i in range(begin, stop):
            word = tree.word[i] if i >= 0 else i
            word_log, state, gained = 0.0, word_state[b], bonus[b]
            if word != NO_WORD:
                gained += insertion
                if word == UNKNOWN_WORD:
                    gained += tree.unknown
                if has_words:
                    word_log, state = gram_score(words, state, words.ids[word] if word >= 0 else 0)
            letter_log = 0.0
            if has_words:
                word_log += gram_score(words, state, words.end)[0]
            if has_letters:
                letter_log = gram_score(letters, letter_state[b], letters.end)[0]
            if phrases.on:
                gained += phrases.end[phrase[b]]
            acoustic = log_add(blank[b], plain[b])
            final[found, 1] = acoustic
            final[found, 2] = by_words[b] + word_log
            final[found, 3] = by_letters[b] + letter_log
            final[found, 4] = gained
            final[found, 0] = acoustic + words.weight * final[found, 2] + letters.weight * final[found, 3] + gained
            final_node[found], final_word[found] = node[b], word
            found += 1
    ranks = np.argsort(-final[:found, 0], kind="mergesort")
    # where a closed lexicon let no prefix end, the caller cuts the best one back to its last whole word
    unfinished = 0
    if found == 0:
        highest = -inf
        for b in range(count):
            value = log_add(blank[b], plain[b]) + words.weight * by_words[b] + letters.weight * by_letters[b] + bonus[b]
            if value > highest:
                highest, unfinished = value, node[b]
    prefixes = parent[:nodes], last[:nodes], word_at[:nodes], birth[:nodes]
    return prefixes, final_node[ranks], final[ranks], final_word[ranks], unfinished


@njit(cache=True, nogil=True)
def _in_beam(entry, following, node, last, word_at, label, word):  # type: ignore[no-untyped-def]
    while entry >= 0:
        if last[node[entry]] == label and word_at[node[entry]] == word:
            return True
        entry = following[entry]
    return False


@njit(cache=True, nogil=True)
def _grow(array, capacity):  # type: ignore[no-untyped-def]
    grown = np.full(capacity, -1, array.dtype)
    grown[: array.shape[0]] = array
    return grown


@njit(cache=True, nogil=True)
def trace(parent, last, word_at, birth, node):  # type: ignore[no-untyped-def]
    """Labels of a prefix, the word that ended with each (or NO_WORD) and the frame that each was appended in."""
    length, at = 0, node
    while at > 0:
        length, at = length + 1, parent[at]
    labels, words, births = np.empty(length, np.int32), np.empty(length, np.int32), np.empty(length, np.int32)
    at = node
    for i in range(length - 1, -1, -1):
        labels[i], words[i], births[i] = last[at], word_at[at], birth[at]
        at = parent[at]
    return labels, words, births
