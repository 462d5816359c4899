"""Speed and quality of CTC decoding beside other decoders, on the log-probs of a real recogniser.

First, where the recogniser is installed:
    python scripts/bench_decode.py dump BUNDLE MANIFEST emissions.npz
Then in an environment of its own, since pyctcdecode wants numpy < 2 (pip install 'recognizer[bench]' there, or the same by hand):
    python scripts/bench_decode.py run emissions.npz [--arpa words.arpa] [--width 50] [--json FILE]

Without --arpa there is no model: our beam, fast-ctc-decode and flashlight-text (what torchaudio's ctc_decoder calls). With it,
every decoder has the words of the ARPA file as lexicon and its probabilities: ours, flashlight-text and pyctcdecode with KenLM.
Scores are recomputed in the same way for all: the exact log probability of the labelling, summed over all its paths.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

Labels = Sequence[int]
Row = dict[str, Any]
REPEATS = 3  # each decoder runs so often over everything, or once if that takes more than SLOW; the fastest counts
SLOW = 10.0  # seconds


def dump(arguments: argparse.Namespace) -> None:
    """Write log-probs, references and the alphabet of a bundle to one file."""
    from recognizer.data.manifest import load_manifest
    from recognizer.data.transcripts import target
    from recognizer.pipeline import Recognizer

    recognizer = Recognizer.load(arguments.bundle)
    items = load_manifest(arguments.manifest)
    tables, references = [], []
    for item, emission in zip(items, recognizer.emissions(item.source for item in items), strict=True):
        reference = target(item, recognizer.recipe.text)
        if emission.log_probs is not None and reference:
            tables.append(emission.log_probs)
            references.append(list(reference))
    meta = {"symbols": recognizer.alphabet.symbols, "level": recognizer.alphabet.level, "references": references, "bundle": arguments.bundle}
    np.savez_compressed(arguments.emissions, log_probs=np.concatenate(tables), lengths=[len(t) for t in tables], meta=json.dumps(meta))
    print(f"{len(tables)} items, {sum(map(len, tables))} frames of {len(recognizer.alphabet)} labels")


class Emissions:
    """What :func:`dump` wrote."""

    def __init__(self, path: str) -> None:
        from recognizer.alphabet import Alphabet

        data = np.load(path)
        meta = json.loads(str(data["meta"]))
        self.alphabet = Alphabet(tuple(meta["symbols"]), meta["level"])
        self.tables = [np.ascontiguousarray(t) for t in np.split(data["log_probs"], np.cumsum(data["lengths"])[:-1])]
        self.references = meta["references"]
        self.frames = int(data["lengths"].sum())


Decode = Callable[[np.ndarray], Labels]


def ours(emissions: Emissions, width: int, arpa: str | None, weight: float, insertion: float) -> tuple[Decode, Any]:
    """This project's beam."""
    from recognizer.config import DecoderConfig
    from recognizer.decoding.decoder import load_decoder

    closed = {"lm": arpa, "vocabulary": "closed", "lm_weight": weight, "insertion": insertion} if arpa else {}
    decoder = load_decoder(DecoderConfig(kind="beam", width=width, **closed), emissions.alphabet)
    return (lambda table: decoder.decode(table)[0].labels), decoder


def greedy(emissions: Emissions) -> Decode:
    """Best path, for orientation."""
    from recognizer.decoding.greedy import greedy as read

    return lambda table: read(table).labels


def fast_ctc_decode(emissions: Emissions, width: int, cut: float) -> Decode:
    """fast-ctc-decode takes probabilities and gives a string: each label gets a private character."""
    from fast_ctc_decode import beam_search

    letters = "".join(chr(0xE000 + label) for label in range(len(emissions.alphabet)))
    return lambda table: [ord(c) - 0xE000 for c in beam_search(np.exp(table), letters, beam_size=width, beam_cut_threshold=cut)[0]]


def flashlight(emissions: Emissions, width: int, tokens: int, threshold: float) -> Decode:
    """flashlight-text's lexicon-free decoder without a model, sums over paths as ours does."""
    from flashlight.lib.text.decoder import CriterionType, LexiconFreeDecoder, LexiconFreeDecoderOptions, ZeroLM

    size = len(emissions.alphabet)
    options = LexiconFreeDecoderOptions(
        beam_size=width, beam_size_token=min(tokens, size), beam_threshold=threshold, lm_weight=0.0, sil_score=0.0, log_add=True,
        criterion_type=CriterionType.CTC)
    decoder = LexiconFreeDecoder(options, ZeroLM(), 0, 0, [])  # the blank for the silence, which is not used

    def decode(table: np.ndarray) -> Labels:
        best = decoder.decode(table.ctypes.data, *table.shape)[0]
        return _collapse(best.tokens)

    return decode


def flashlight_words(
    emissions: Emissions, width: int, tokens: int, threshold: float, arpa: str, words: list[str], weight: float, insertion: float
) -> Decode:
    """flashlight-text with KenLM and a lexicon."""
    from flashlight.lib.text.decoder import CriterionType, LexiconDecoder, LexiconDecoderOptions, SmearingMode, Trie
    from flashlight.lib.text.decoder.kenlm import KenLM
    from flashlight.lib.text.dictionary import Dictionary

    dictionary = Dictionary()
    for word in words:
        dictionary.add_entry(word)
    dictionary.add_entry("<unk>")
    dictionary.set_default_index(dictionary.get_index("<unk>"))
    model = KenLM(arpa, dictionary)
    space = emissions.alphabet.encode(" ")[0]
    trie = Trie(len(emissions.alphabet), space)
    start = model.start(False)
    for word in words:
        _, score = model.score(start, dictionary.get_index(word))
        trie.insert([*emissions.alphabet.encode(word), space], dictionary.get_index(word), score)
    trie.smear(SmearingMode.MAX)
    options = LexiconDecoderOptions(
        beam_size=width, beam_size_token=min(tokens, len(emissions.alphabet)), beam_threshold=threshold, lm_weight=weight, word_score=insertion,
        unk_score=-np.inf, sil_score=0.0, log_add=True, criterion_type=CriterionType.CTC)
    decoder = LexiconDecoder(options, trie, model, space, 0, dictionary.get_index("<unk>"), [], False)

    def decode(table: np.ndarray) -> Labels:
        best = decoder.decode(table.ctypes.data, *table.shape)
        labels = _collapse(best[0].tokens) if best else []
        return labels[:-1] if labels and labels[-1] == space else labels

    return decode


def pyctcdecode_words(emissions: Emissions, width: int, arpa: str, words: list[str], weight: float, insertion: float) -> Decode:
    """pyctcdecode with KenLM."""
    import logging

    from pyctcdecode import build_ctcdecoder

    logging.disable(logging.WARNING)
    labels = ["", *emissions.alphabet.symbols]
    decoder = build_ctcdecoder(labels, arpa, words, alpha=weight, beta=insertion)
    return lambda table: emissions.alphabet.encode(decoder.decode(table, beam_width=width))


def _collapse(path: Sequence[int]) -> list[int]:
    return [label for before, label in zip([0, *path], path, strict=False) if label > 0 and label != before]


def run(arguments: argparse.Namespace) -> None:
    """Time every decoder that can be imported."""
    emissions = Emissions(arguments.emissions)
    weight, insertion, width = arguments.weight, arguments.insertion, arguments.width
    ready: dict[str, Decode] = {}
    decoder: Any = None
    pruned = (15, 15.0)  # labels a frame and nats: about as much pruning as ours has
    if arguments.arpa is None:
        ready["ours"], decoder = ours(emissions, width, None, 0.0, 0.0)
        ready["greedy"] = greedy(emissions)
        if importlib.util.find_spec("fast_ctc_decode"):
            ready["fast-ctc-decode"] = fast_ctc_decode(emissions, width, 0.0)
            ready["fast-ctc-decode, cut 0.001"] = fast_ctc_decode(emissions, width, 0.001)
        if importlib.util.find_spec("flashlight"):
            ready["flashlight"] = flashlight(emissions, width, 10**6, 50.0)
            ready["flashlight, pruned"] = flashlight(emissions, width, *pruned)
    else:
        from recognizer.decoding.ngram_file import load_ngram

        ready["ours"], decoder = ours(emissions, width, arguments.arpa, weight, insertion)
        ready["greedy"] = greedy(emissions)
        spellable = set(emissions.alphabet.symbols)
        words = [w for w in load_ngram(Path(arguments.arpa)).symbols[3:] if set(w) <= spellable]
        if importlib.util.find_spec("flashlight"):
            model = (arguments.arpa, words, weight, insertion)
            ready["flashlight"] = flashlight_words(emissions, width, 10**6, 50.0, *model)
            ready["flashlight, pruned"] = flashlight_words(emissions, width, *pruned, *model)
        if importlib.util.find_spec("pyctcdecode"):
            ready["pyctcdecode"] = pyctcdecode_words(emissions, width, arguments.arpa, words, weight, insertion)
    rows = [measure(name, decode, emissions) for name, decode in ready.items()]
    peers = [row for row in rows if row["decoder"] not in ("ours", "greedy")]
    fastest = max((row["frames_per_second"] for row in peers), default=float("nan"))
    for row in rows:
        row["over_fastest_peer"] = round(row["frames_per_second"] / fastest, 2)
    started = time.perf_counter()
    for _ in decoder.decode_all(emissions.tables):
        pass
    everywhere = emissions.frames / (time.perf_counter() - started)
    growth = [(w, _speed(ours(emissions, w, arguments.arpa, weight, insertion)[0], emissions.tables)) for w in (12, 25, 50, 100, 200)]
    joined = [np.concatenate(emissions.tables[:20] * repeats) for repeats in (1, 2, 4, 8)]
    lengths = [(len(table), _speed(ready["ours"], [table])) for table in joined]
    header = ["decoder", "frames_per_second", "over_fastest_peer", "symbol_error", "word_error", "mean_log_prob"]
    amount = f"{len(emissions.tables)} items, {emissions.frames} frames, {len(emissions.alphabet)} labels"
    print(f"{arguments.emissions}: {amount}, width {width}, one thread")
    print("  ".join(header))
    for row in rows:
        print("  ".join(f"{row[key]:>{len(key)}}" if key != "decoder" else f"{row[key]:<27}" for key in header))
    print(f"ours on all {len(os.sched_getaffinity(0))} cores: {everywhere:.0f} frames/s")
    print("ours by width: " + ", ".join(f"{w}: {speed:.0f} frames/s" for w, speed in growth))
    print("ours by length: " + ", ".join(f"{frames} frames: {speed:.0f} frames/s" for frames, speed in lengths))
    own = next(row for row in rows if row["decoder"] == "ours")
    record = {
        "setting": "word model" if arguments.arpa else "no model", "width": width, "rows": rows, "ratio_to_fastest_peer": own["over_fastest_peer"],
        "ratio_to_peers": {row["decoder"]: round(own["frames_per_second"] / row["frames_per_second"], 2) for row in peers},
        "all_cores": everywhere, "by_width": growth, "by_length": lengths, "load": os.getloadavg()[0],
        "second_process_seconds": _second_process(emissions),
    }
    print(f"a second process decodes its first item after {record['second_process_seconds']:.2f} s, imports included")
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(record, indent=1) + "\n")


def measure(name: str, decode: Decode, emissions: Emissions) -> Row:
    """Frames a second, error rates and the mean exact log probability of what was read."""
    import editdistance

    from recognizer.decoding.path_sums import label_log_prob

    decode(emissions.tables[0])  # compiled or loaded before the clock runs
    spent: list[float] = []
    read: list[Labels] = []
    while len(spent) < REPEATS and sum(spent) < SLOW:
        started = time.process_time()  # one thread: the processor's time, which other work on the machine disturbs less
        read = [decode(table) for table in emissions.tables]
        spent.append(time.process_time() - started)
    spelt = [emissions.alphabet.spell(labels) for labels in read]
    errors = sum(editdistance.eval(r, h) for r, h in zip(emissions.references, spelt, strict=True)) / sum(map(len, emissions.references))
    row: Row = {"decoder": name, "frames_per_second": round(emissions.frames / min(spent)), "symbol_error": round(errors, 4)}
    pairs = [("".join(r).split(), "".join(h).split()) for r, h in zip(emissions.references, spelt, strict=True)]
    words = sum(len(r) for r, _ in pairs)
    row["word_error"] = round(sum(editdistance.eval(r, h) for r, h in pairs) / words, 4) if emissions.alphabet.level == "characters" else "-"
    scores = [label_log_prob(t.astype(np.float64), np.array(labels, np.int32)) for t, labels in zip(emissions.tables, read, strict=True)]
    row["mean_log_prob"] = round(float(np.mean(scores)), 4)
    return row


def _speed(decode: Decode, tables: Sequence[np.ndarray]) -> float:
    decode(tables[0])
    spent = []
    for _ in range(REPEATS):
        started = time.process_time()
        for table in tables:
            decode(table)
        spent.append(time.process_time() - started)
    return round(sum(map(len, tables)) / min(spent))


def _second_process(emissions: Emissions) -> float:
    """Seconds of a fresh interpreter from its first line to its first hypothesis, compiled code read from the cache."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.npy"
        np.save(path, emissions.tables[0])
        code = (
            "import time; t = time.perf_counter(); import json, sys, numpy as np\n"
            "from recognizer.alphabet import Alphabet; from recognizer.config import DecoderConfig\n"
            "from recognizer.decoding.decoder import load_decoder\n"
            "a = Alphabet(tuple(json.loads(sys.argv[2])), sys.argv[3])\n"
            "load_decoder(DecoderConfig(kind='beam'), a).decode(np.load(sys.argv[1])); print(time.perf_counter() - t)"
        )
        words = [sys.executable, "-c", code, str(path), json.dumps(emissions.alphabet.symbols), emissions.alphabet.level]
        return float(subprocess.run(words, capture_output=True, text=True, check=True).stdout)


def main() -> None:
    """Parse and carry out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    dumping = commands.add_parser("dump")
    dumping.add_argument("bundle")
    dumping.add_argument("manifest")
    dumping.add_argument("emissions")
    dumping.set_defaults(call=dump)
    running = commands.add_parser("run")
    running.add_argument("emissions")
    running.add_argument("--arpa", help="word model; its words are the lexicon")
    running.add_argument("--weight", type=float, default=0.8)
    running.add_argument("--insertion", type=float, default=1.0)
    running.add_argument("--width", type=int, default=50)
    running.add_argument("--json", metavar="FILE")
    running.set_defaults(call=run)
    arguments = parser.parse_args()
    arguments.call(arguments)


if __name__ == "__main__":
    main()
