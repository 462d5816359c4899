"""How a network that streams does: share of one core, how long after its end a word is written, and errors against look-ahead."""

from __future__ import annotations

import argparse
import difflib
import time
from dataclasses import replace
from pathlib import Path

import editdistance
import numpy as np
from bench_common import Row, describe_machine, in_fresh_process, report

from recognizer.audio.io import load_audio
from recognizer.data.manifest import Item, load_manifest
from recognizer.types import Word

NO_PAUSE = 8.0  # seconds: a recording is one utterance here, so that its words can be counted through
NOTES = (
    "Each recording is fed in pieces of --piece-ms through Recognizer.open_stream, one thread, greedy decoding, silero-vad if it is installed.",
    "real_time: processor seconds for a second of sound. delay: from the end of a word, by `align` of --reference with the true text, until it",
    "stands complete in the text, in the time of the recording and with the processor time of its piece; of words that are right.",
    "latency_ms: what a frame waits for at most by the settings. WER, CER: of the final texts. With a look-ahead that is not its own a network",
    "reads otherwise than it was trained. seen: items that the network, or the one that it started from, was trained on: errors are too low then.",
)


def main() -> int:
    """Measure bundles, each with its own look-ahead or with several."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("manifest", type=Path, help="recordings with texts")
    parser.add_argument("-m", "--model", action="append", required=True, help="a bundle that streams; may be repeated")
    parser.add_argument("--reference", default="speech-en", help="bundle whose alignment says where words end (default: speech-en)")
    parser.add_argument("--lookahead-ms", type=float, nargs="*", default=[], help="run chunked networks with these in place of their own")
    parser.add_argument("--items", type=int, default=100, help="recordings, from all over the manifest (default: 100)")
    parser.add_argument("--piece-ms", type=float, default=20.0, help="fed at a time (default: 20)")
    parser.add_argument("--json", metavar="FILE", help="write the figures there as well")
    options = parser.parse_args()
    items = load_manifest(options.manifest)
    items = [items[n * len(items) // min(options.items, len(items))] for n in range(min(options.items, len(items)))]
    ends = in_fresh_process(align_words, options.reference, items)
    rows = []
    for model in options.model:
        for ahead in [None, *options.lookahead_ms]:
            row = in_fresh_process(measure, model, items, ends, ahead, options.piece_ms)
            rows += [] if row is None else [row]
    report(in_fresh_process(describe_machine, 1), rows, NOTES, options.json)
    return 0


def align_words(model: str, items: list[Item]) -> list[tuple[Word, ...]]:
    """Words of the true texts where they lie, none for an item that cannot be aligned; to be called in a fresh process."""
    from recognizer.errors import InputError
    from recognizer.inference.recognizer import Recognizer

    recognizer = Recognizer.load(model, "cpu", threads=1)
    found: list[tuple[Word, ...]] = []
    for item in items:
        try:
            found.append(recognizer.align(item.source, _normalize(recognizer, item)).words)
        except InputError:
            found.append(())
    return found


def measure(model: str, items: list[Item], ends: list[tuple[Word, ...]], lookahead_ms: float | None, piece_ms: float) -> Row | None:
    """Figures of one bundle; to be called in a fresh process. None where look-ahead means nothing to it."""
    from recognizer.bundle.io import load_bundle
    from recognizer.bundle.provenance import Provenance
    from recognizer.bundle.registry import find_bundle
    from recognizer.config import DecoderConfig
    from recognizer.inference.recognizer import Recognizer
    from recognizer.models.streaming import NetworkStream
    from recognizer.utils.device import prepare_host

    prepare_host(1)
    bundle = load_bundle(find_bundle(model))
    known = Provenance.load(bundle.folder)
    network = bundle.config.model
    if lookahead_ms is not None and (network.chunk_ms == 0 or network.lookahead_ms == lookahead_ms):
        return None
    if lookahead_ms is not None:
        bundle = replace(bundle, config=replace(bundle.config, model=replace(network, lookahead_ms=lookahead_ms)))
    recognizer = Recognizer(bundle, "cpu", decoder=DecoderConfig(), threads=1)
    rate = recognizer.config.features.sample_rate  # type: ignore[union-attr]
    piece = round(piece_ms / 1000 * rate)
    stream_once(recognizer, load_audio(items[0].source, rate), piece)  # kernels are compiled
    spent, seconds, delays, errors = 0.0, 0.0, [], np.zeros(4)
    for item, words in zip(items, ends, strict=True):
        samples = load_audio(item.source, rate)
        began = time.process_time()
        text, written = stream_once(recognizer, samples, piece)
        spent += time.process_time() - began
        seconds += len(samples) / rate
        true = _normalize(recognizer, item)
        errors += (editdistance.eval(true.split(), text.split()), len(true.split()), editdistance.eval(true, text), len(true))
        matcher = difflib.SequenceMatcher(None, [word.text for word in words], text.split(), autojunk=False)
        delays += [written[b + n] - words[a + n].end for a, b, size in matcher.get_matching_blocks() for n in range(size)]
    return {
        "model": Path(model).parent.name if Path(model).name == "bundle" else model,
        "chunk_ms": network.chunk_ms if network.bidirectional else None,
        "lookahead_ms": recognizer.config.model.lookahead_ms if network.bidirectional else None,
        "latency_ms": 1000 * NetworkStream(recognizer.config, recognizer.network).latency / rate,
        "real_time": spent / seconds,
        "delay_ms": 1000 * float(np.median(delays)) if delays else None,
        "delay_p90_ms": 1000 * float(np.percentile(delays, 90)) if delays else None,
        "words": len(delays),
        "WER": 100 * errors[0] / errors[1],
        "CER": 100 * errors[2] / errors[3],
        "minutes": seconds / 60,
        "seen": None if known is None else len(known.trained_on(items)),
    }


def stream_once(recognizer, samples: np.ndarray, piece: int) -> tuple[str, list[float]]:  # type: ignore[no-untyped-def]
    """The text of a recording, and for each word when it stood complete in it, in seconds of the recording."""
    rate = recognizer.config.features.sample_rate
    session = recognizer.open_stream(pause_seconds=NO_PAUSE)
    heard: list[tuple[float, list[str]]] = []
    done: list[str] = []
    for begin in range(0, len(samples) + piece, piece):
        began = time.process_time()
        events = session.feed(samples[begin : begin + piece]) if begin < len(samples) else session.finish()
        now = min(begin + piece, len(samples)) / rate + time.process_time() - began
        for event in events:
            heard.append((now, [*done, *event.text.split()]))
            done = heard[-1][1] if event.kind == "final" else done
    written = [next(now for now, words in heard if words[: n + 1] == done[: n + 1]) for n in range(len(done))]
    return " ".join(done), written


def _normalize(recognizer, item: Item) -> str:  # type: ignore[no-untyped-def]
    """The text of an item as the recognizer would write it."""
    from recognizer.data.manifest import target

    text = target(item, recognizer.config.text)
    return text if isinstance(text, str) else " ".join(text or ())


if __name__ == "__main__":
    raise SystemExit(main())
