"""Speed and quality of CTC decoding beside other decoders, on the log-probs of a real recognizer.

First, where the recognizer is installed:
    python scripts/bench_decode.py dump BUNDLE MANIFEST log_probs.npz
Then in an environment of its own, since pyctcdecode wants numpy < 2 (pip install 'recognizer[bench]' there, or the same by hand):
    python scripts/bench_decode.py run log_probs.npz [--arpa words.arpa] [--beam-size 50] [--json FILE]

Without --arpa there is no model: our beam, fast-ctc-decode and flashlight-text (what torchaudio's ctc_decoder calls). With it,
every decoder has the words of the ARPA file as lexicon and its probabilities: ours, flashlight-text and pyctcdecode with KenLM.
Scores are recomputed in the same way for all: the exact log probability of the labeling, summed over all its paths.
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
Decode = Callable[[np.ndarray], Labels]
Row = dict[str, Any]
REPEATS = 3  # each decoder runs so often over everything, or once if that takes more than SLOW; the fastest counts
SLOW = 10.0  # seconds
UNPRUNED, PRUNED = (10**6, 50.0), (15, 15.0)  # labels a frame and nats; the latter is about as much pruning as ours has

FIRST_HYPOTHESIS = """
import time; t = time.perf_counter(); import json, sys, numpy as np
from recognizer.text.alphabet import Alphabet; from recognizer.config import DecoderConfig
from recognizer.decoding.decoder import load_decoder
a = Alphabet(tuple(json.loads(sys.argv[2])), sys.argv[3])
load_decoder(DecoderConfig(kind='beam'), a).decode(np.load(sys.argv[1])); print(time.perf_counter() - t)
"""


def dump(options: argparse.Namespace) -> None:
    """Write log-probs, references and the alphabet of a bundle to one file."""
    from recognizer.data.manifest import load_manifest, target
    from recognizer.inference.recognizer import Recognizer

    recognizer = Recognizer.load(options.bundle)
    items = load_manifest(options.manifest)
    tables, references = [], []
    for item, emission in zip(items, recognizer.emissions(item.source for item in items), strict=True):
        reference = target(item, recognizer.config.text)
        if emission.log_probs is not None and reference:
            tables.append(emission.log_probs)
            references.append(list(reference))
    meta = {"symbols": recognizer.alphabet.symbols, "level": recognizer.alphabet.level, "references": references, "bundle": options.bundle}
    np.savez_compressed(options.log_probs, log_probs=np.concatenate(tables), lengths=[len(t) for t in tables], meta=json.dumps(meta))
    print(f"{len(tables)} items, {sum(map(len, tables))} frames of {len(recognizer.alphabet)} labels")


class Data:
    """What :func:`dump` wrote."""

    def __init__(self, path: str) -> None:
        from recognizer.text.alphabet import Alphabet

        data = np.load(path)
        meta = json.loads(str(data["meta"]))
        self.alphabet = Alphabet(tuple(meta["symbols"]), meta["level"])
        self.tables = [np.ascontiguousarray(t) for t in np.split(data["log_probs"], np.cumsum(data["lengths"])[:-1])]
        self.references = meta["references"]
        self.frames = int(data["lengths"].sum())


def ours(data: Data, options: argparse.Namespace, beam_size: int | None = None) -> Any:
    """This project's decoder."""
    from recognizer.config import DecoderConfig
    from recognizer.decoding.decoder import load_decoder

    words = {"lm": options.arpa, "vocabulary": "closed", "lm_weight": options.lm_weight, "word_score": options.word_score} if options.arpa else {}
    return load_decoder(DecoderConfig(kind="beam", beam_size=beam_size or options.beam_size, **words), data.alphabet)


def fast_ctc_decode(data: Data, beam_size: int, cut: float) -> Decode:
    """fast-ctc-decode takes probabilities and gives a string: each label gets a private character."""
    from fast_ctc_decode import beam_search

    letters = "".join(chr(0xE000 + label) for label in range(len(data.alphabet)))
    return lambda table: [ord(c) - 0xE000 for c in beam_search(np.exp(table), letters, beam_size=beam_size, beam_cut_threshold=cut)[0]]


def flashlight(data: Data, beam_size: int, tokens: int, threshold: float) -> Decode:
    """flashlight-text's lexicon-free decoder without a model, sums over paths as ours does."""
    from flashlight.lib.text.decoder import CriterionType, LexiconFreeDecoder, LexiconFreeDecoderOptions, ZeroLM

    from recognizer.decoding.greedy import ctc_collapse

    options = LexiconFreeDecoderOptions(
        beam_size=beam_size, beam_size_token=min(tokens, len(data.alphabet)), beam_threshold=threshold, lm_weight=0.0, sil_score=0.0,
        log_add=True, criterion_type=CriterionType.CTC,
    )  # fmt: skip
    decoder = LexiconFreeDecoder(options, ZeroLM(), 0, 0, [])  # the blank for the silence, which is not used
    return lambda table: ctc_collapse(decoder.decode(table.ctypes.data, *table.shape)[0].tokens)


def flashlight_words(data: Data, options: argparse.Namespace, words: list[str], tokens: int, threshold: float) -> Decode:
    """flashlight-text with KenLM and a lexicon."""
    from flashlight.lib.text.decoder import CriterionType, LexiconDecoder, LexiconDecoderOptions, SmearingMode, Trie
    from flashlight.lib.text.decoder.kenlm import KenLM
    from flashlight.lib.text.dictionary import Dictionary

    from recognizer.decoding.greedy import ctc_collapse

    dictionary = Dictionary()
    for word in [*words, "<unk>"]:
        dictionary.add_entry(word)
    dictionary.set_default_index(dictionary.get_index("<unk>"))
    model = KenLM(options.arpa, dictionary)
    space = data.alphabet.encode(" ")[0]
    trie = Trie(len(data.alphabet), space)
    start = model.start(False)
    for word in words:
        _, score = model.score(start, dictionary.get_index(word))
        trie.insert([*data.alphabet.encode(word), space], dictionary.get_index(word), score)
    trie.smear(SmearingMode.MAX)
    settings = LexiconDecoderOptions(
        beam_size=options.beam_size, beam_size_token=min(tokens, len(data.alphabet)), beam_threshold=threshold, lm_weight=options.lm_weight,
        word_score=options.word_score, unk_score=-np.inf, sil_score=0.0, log_add=True, criterion_type=CriterionType.CTC,
    )  # fmt: skip
    decoder = LexiconDecoder(settings, trie, model, space, 0, dictionary.get_index("<unk>"), [], False)

    def decode(table: np.ndarray) -> Labels:
        best = decoder.decode(table.ctypes.data, *table.shape)
        labels = ctc_collapse(best[0].tokens) if best else []
        return labels[:-1] if labels and labels[-1] == space else labels

    return decode


def pyctcdecode_words(data: Data, options: argparse.Namespace, words: list[str]) -> Decode:
    """pyctcdecode with KenLM."""
    import logging

    from pyctcdecode import build_ctcdecoder

    logging.disable(logging.WARNING)
    decoder = build_ctcdecoder(["", *data.alphabet.symbols], options.arpa, words, alpha=options.lm_weight, beta=options.word_score)
    return lambda table: data.alphabet.encode(decoder.decode(table, beam_width=options.beam_size))


def collect_decoders(data: Data, options: argparse.Namespace) -> dict[str, Decode]:
    """Every decoder that can be imported, ours and greedy decoding first."""
    from recognizer.decoding.greedy import greedy

    decoder = ours(data, options)
    ready: dict[str, Decode] = {"ours": lambda table: decoder.decode(table)[0].labels, "greedy": lambda table: greedy(table).labels}
    has = {name: importlib.util.find_spec(name) is not None for name in ("flashlight", "fast_ctc_decode", "pyctcdecode")}
    words: list[str] = []
    if options.arpa:
        from recognizer.lm.binary import load_ngram

        words = [word for word in load_ngram(Path(options.arpa)).symbols[3:] if set(word) <= set(data.alphabet.symbols)]
    if has["fast_ctc_decode"] and not options.arpa:
        ready |= {f"fast-ctc-decode, cut {cut}": fast_ctc_decode(data, options.beam_size, cut) for cut in (0.0, 0.001)}
    if has["flashlight"]:
        for name, limits in (("flashlight", UNPRUNED), ("flashlight, pruned", PRUNED)):
            ready[name] = flashlight_words(data, options, words, *limits) if options.arpa else flashlight(data, options.beam_size, *limits)
    if has["pyctcdecode"] and options.arpa:
        ready["pyctcdecode"] = pyctcdecode_words(data, options, words)
    return ready


def measure(name: str, decode: Decode, data: Data) -> Row:
    """Frames a second, error rates and the mean exact log probability of the labelings."""
    import editdistance

    from recognizer.decoding.ctc_score import label_log_prob

    found = [decode(table) for table in data.tables]
    spelt = [data.alphabet.spell(labels) for labels in found]
    errors = sum(editdistance.eval(r, h) for r, h in zip(data.references, spelt, strict=True)) / sum(map(len, data.references))
    row: Row = {"decoder": name, "frames_per_second": speed(decode, data.tables), "symbol_error": round(errors, 4)}
    pairs = [("".join(r).split(), "".join(h).split()) for r, h in zip(data.references, spelt, strict=True)]
    words = sum(len(r) for r, _ in pairs)
    row["word_error"] = round(sum(editdistance.eval(r, h) for r, h in pairs) / words, 4) if data.alphabet.level == "characters" else "-"
    scores = [label_log_prob(t.astype(np.float64), np.array(labels, np.int32)) for t, labels in zip(data.tables, found, strict=True)]
    row["mean_log_prob"] = round(float(np.mean(scores)), 4)
    return row


def speed(decode: Decode, tables: Sequence[np.ndarray]) -> int:
    """Frames a second of one thread: the processor's time, which other work on the machine disturbs less."""
    decode(tables[0])  # compiled or loaded before the clock runs
    spent: list[float] = []
    while len(spent) < REPEATS and sum(spent) < SLOW:
        started = time.process_time()
        for table in tables:
            decode(table)
        spent.append(time.process_time() - started)
    return round(sum(map(len, tables)) / min(spent))


def time_second_process(data: Data) -> float:
    """Seconds of a fresh interpreter from its first line to its first hypothesis, compiled code read from the cache."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.npy"
        np.save(path, data.tables[0])
        words = [sys.executable, "-c", FIRST_HYPOTHESIS, str(path), json.dumps(data.alphabet.symbols), data.alphabet.level]
        return float(subprocess.run(words, capture_output=True, text=True, check=True).stdout)


def run(options: argparse.Namespace) -> None:
    """Time every decoder and print a table."""
    from recognizer.utils.parallel import count_processors

    data = Data(options.log_probs)
    ready = collect_decoders(data, options)
    rows = [measure(name, decode, data) for name, decode in ready.items()]
    own, peers = rows[0], rows[2:]
    fastest = max((row["frames_per_second"] for row in peers), default=float("nan"))
    for row in rows:
        row["over_fastest_peer"] = round(row["frames_per_second"] / fastest, 2)
    started = time.perf_counter()
    for _ in ours(data, options).decode_all(data.tables):
        pass
    all_cores = data.frames / (time.perf_counter() - started)
    by_size = []
    for size in (12, 25, 50, 100, 200):
        decoder = ours(data, options, size)
        by_size.append((size, speed(lambda table, decoder=decoder: decoder.decode(table)[0].labels, data.tables)))
    joined = [np.concatenate(data.tables[:20] * repeats) for repeats in (1, 2, 4, 8)]
    by_length = [(len(table), speed(ready["ours"], [table])) for table in joined]
    header = ["decoder", "frames_per_second", "over_fastest_peer", "symbol_error", "word_error", "mean_log_prob"]
    amount = f"{len(data.tables)} items, {data.frames} frames, {len(data.alphabet)} labels"
    print(f"{options.log_probs}: {amount}, beam size {options.beam_size}, one thread")
    print("  ".join(header))
    for row in rows:
        print("  ".join(f"{row[key]:>{len(key)}}" if key != "decoder" else f"{row[key]:<27}" for key in header))
    print(f"ours on all {count_processors()} cores: {all_cores:.0f} frames/s")
    print("ours by beam size: " + ", ".join(f"{size}: {rate} frames/s" for size, rate in by_size))
    print("ours by length: " + ", ".join(f"{frames} frames: {rate} frames/s" for frames, rate in by_length))
    record = {
        "setting": "word model" if options.arpa else "no model", "beam_size": options.beam_size, "rows": rows,
        "ratio_to_peers": {row["decoder"]: round(own["frames_per_second"] / row["frames_per_second"], 2) for row in peers},
        "all_cores": all_cores, "by_beam_size": by_size, "by_length": by_length, "load": os.getloadavg()[0],
        "second_process_seconds": time_second_process(data),
    }  # fmt: skip
    print(f"a second process decodes its first item after {record['second_process_seconds']:.2f} s, imports included")
    if options.json:
        Path(options.json).write_text(json.dumps(record, indent=1) + "\n")


def main() -> None:
    """Parse and carry out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    dumping = commands.add_parser("dump")
    dumping.add_argument("bundle")
    dumping.add_argument("manifest")
    dumping.add_argument("log_probs")
    dumping.set_defaults(call=dump)
    running = commands.add_parser("run")
    running.add_argument("log_probs")
    running.add_argument("--arpa", help="word model; its words are the lexicon")
    running.add_argument("--lm-weight", type=float, default=0.8)
    running.add_argument("--word-score", type=float, default=1.0)
    running.add_argument("--beam-size", type=int, default=50)
    running.add_argument("--json", metavar="FILE")
    running.set_defaults(call=run)
    options = parser.parse_args()
    options.call(options)


if __name__ == "__main__":
    main()
