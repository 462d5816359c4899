"""Options that several commands have in common, and the recognizer that they ask for."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from recognizer.inference.recognizer import Recognizer

MANY_UNSPELT = 0.01  # share of the words of a bundle's own model or lexicon from which on it is said that they are never written

DECODER_HELP = "decoder=greedy|beam, decoder.lm=FILE, decoder.lexicon=FILE, decoder.beam_size=N ... change how the model decodes"


def add_decoding(parser: argparse.ArgumentParser) -> None:
    """Options of decoding; the command also takes ``decoder.KEY=VALUE`` anywhere, which comes as ``options.decoding``."""
    accept_decoder_settings(parser)
    parser.add_argument("--n-best", type=count, default=1, metavar="N", help="hypotheses for each input (default 1; more with a beam only)")
    add_hotwords(parser)


def add_hotwords(parser: argparse.ArgumentParser) -> None:
    """``--hotword``."""
    hotword = "prefer a phrase, by so many nats (5 is much); repeatable"
    parser.add_argument("--hotword", action="append", default=[], metavar="PHRASE:WEIGHT", help=hotword)


def accept_decoder_settings(parser: argparse.ArgumentParser) -> None:
    """Let the command take ``decoder.KEY=VALUE`` anywhere."""
    parser.epilog = DECODER_HELP
    parser.set_defaults(decoding=[])


def add_machine(parser: argparse.ArgumentParser) -> None:
    """Options of the machine that the network runs on."""
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (default: auto)")
    parser.add_argument("--precision", choices=("float32", "bf16"), default="float32", help="bf16: about twice as fast, where the processor has it")
    parser.add_argument("--threads", type=count_threads, default=0, metavar="N", help="CPU threads (default: all cores)")


def add_verbosity(parser: argparse.ArgumentParser, default: bool | str = False) -> None:
    """``-q/--quiet`` and ``-v/--verbose``, which every command has, where it has none of its own.

    Args:
        parser: of the command.
        default: ``argparse.SUPPRESS`` for a subcommand, so that what was given before its name stays.
    """
    quiet, verbose = "print errors and results only, no progress and no timing", "say more: what is passed over, and where an error comes from"
    for short, long, purpose in (("-q", "--quiet", quiet), ("-v", "--verbose", verbose)):
        if long not in parser._option_string_actions:
            parser.add_argument(short, long, action="store_true", default=default, help=purpose)


def add_model(parser: argparse.ArgumentParser, purpose: str) -> None:
    """``-m/--model``, with its former name ``-b/--bundle`` as an alias."""
    parser.add_argument("-m", "--model", "-b", "--bundle", dest="model", metavar="NAME|FOLDER", help=purpose)


def count(word: str) -> int:
    """A whole number of 0 or more."""
    if not word.isdecimal():
        raise argparse.ArgumentTypeError(f"{word!r} is not a whole number of 0 or more")
    return int(word)


def count_threads(word: str) -> int:
    """A number of CPU threads, 0 for all cores; so many that the system would end the process are refused."""
    from recognizer.config.settings import MAX_THREADS

    number = count(word)
    if number > MAX_THREADS:
        raise argparse.ArgumentTypeError(f"{word} threads are too many; {MAX_THREADS} at most, or 0 for all cores")
    return number


def open_recognizer(options: argparse.Namespace, model: str | Path) -> Recognizer:
    """The recognizer that a command line asks for, its decoder changed by overrides and hotwords.

    Args:
        options: parsed, of a command with :func:`add_decoding` and :func:`add_machine`.
        model: name or folder of a bundle.

    Raises:
        RecognizerError: a damaged bundle, or settings that cannot be.
    """
    from recognizer.bundle.io import load_bundle
    from recognizer.bundle.registry import find_bundle
    from recognizer.config import DECODER_FILES
    from recognizer.config.overrides import override_decoder
    from recognizer.decoding.hotwords import parse_hotword
    from recognizer.inference.recognizer import Recognizer
    from recognizer.utils.device import prepare_host

    bundle = load_bundle(find_bundle(model))
    hotwords = dict(parse_hotword(word) for word in options.hotword)
    decoding = [*options.decoding]
    if hotwords and not any(override.startswith("decoder=") for override in decoding):
        decoding.append("decoder=beam")
    prepare_host(options.threads if bundle.graph is None else 0)
    decoder = override_decoder(bundle.config.decoder, decoding)
    recognizer = Recognizer(bundle, options.device, options.precision, decoder=decoder, hotwords=hotwords, threads=options.threads)
    _note_unspelt(recognizer, any(getattr(decoder, key) != getattr(bundle.config.decoder, key) for key in (*DECODER_FILES, "combine_with")))
    return recognizer


def _note_unspelt(recognizer: Recognizer, chosen: bool) -> None:
    """Say how many words are never written: if there are many, or if the files were ``chosen`` on the command line."""
    unspelt, trie = recognizer.decoder.unspelt, getattr(getattr(recognizer.decoder, "models", None), "trie", None)
    if trie is None or not unspelt or not (chosen or len(unspelt) > MANY_UNSPELT * len(trie.words)):
        return
    from recognizer.decoding.hotwords import fold_case

    alphabet = recognizer.alphabet
    folded = sum(not alphabet.unknown(fold_case(word, alphabet)) for word in unspelt) if alphabet.level == "characters" else 0
    advice = f"; in another case {folded} of them could be (recognizer lm --case)" if folded else ""
    words = f"{len(unspelt)} of {len(trie.words) + len(unspelt)} words of the language model or lexicon"
    print(f"note: {words} cannot be spelt and are never written, {unspelt[0]!r} for one{advice}", file=sys.stderr)
