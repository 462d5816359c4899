"""Estimate an n-gram language model from text, or convert, interpolate, reduce or test one."""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from recognizer.errors import ConfigError

if TYPE_CHECKING:
    from recognizer.lm.ngram import NgramModel, Perplexity
    from recognizer.utils.progress import Progress

EXAMPLE = "recognizer lm data/mine/train.jsonl BOOKS.txt --level characters --order 7 -o letters.ngram"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    inputs = "text files (plain or gzip; - is standard input), manifests (.jsonl: their transcripts), or one model to convert"
    parser.add_argument("inputs", nargs="+", metavar="TEXT", help=inputs)
    parser.add_argument("-o", "--output", metavar="FILE", help="the model: NAME.arpa, NAME.arpa.gz, or binary as NAME.ngram")
    parser.add_argument("--compact", action="store_true", default=None, help="a quarter as large: logarithms in half precision; opened less fast")
    parser.add_argument("--perplexity", metavar="MODEL", help="print how well this model predicts the text instead of making one")
    estimation = parser.add_argument_group("estimation")
    estimation.add_argument("--order", type=int, metavar="N", help="the longest n-gram (default: 3, of characters 6)")
    estimation.add_argument("--level", choices=("words", "characters"), default="words", help="what a symbol is (default: words)")
    estimation.add_argument("--prune", default="0", metavar="N,N,...", help="for each order, drop n-grams that occur so often or less, such as 0,0,1")
    estimation.add_argument("--memory", type=float, default=1.0, metavar="GIB", help="memory for counting, the rest goes to disk (default: 1)")
    estimation.add_argument("--temporary", metavar="DIR", help="folder for what does not fit into memory")
    text = parser.add_argument_group("text")
    text.add_argument("--running", action="store_true", help="cut running text into sentences; by default a line is a sentence")
    text.add_argument("--case", choices=("keep", "lower", "upper"), default="keep")
    text.add_argument("--drop", default="", metavar="CHARS", help="characters to drop")
    text.add_argument("--spaces", default="", metavar="CHARS", help="characters that become a space")
    text.add_argument("--drop-punctuation", action="store_true", help="drop punctuation and symbols but apostrophes and hyphens within words")
    text.add_argument("--visual-order", action="store_true", help="for line images and pen traces: right-to-left text as it stands on a line")
    mixture = parser.add_argument_group("interpolation")
    mixture.add_argument("--interpolate", metavar="MODEL", help="interpolate with another model")
    mixture.add_argument("--weight", default="auto", metavar="W", help="weight of that model, 0 to 1, or auto: the best on --heldout (default: auto)")
    mixture.add_argument("--heldout", metavar="TEXT", help="text or manifest that neither model was estimated from, for --weight auto")
    size = parser.add_argument_group("size (of the result, estimated or not)")
    kept = "keep the N most frequent symbols, or those of a file, one a line; of a pronouncing dictionary the words"
    size.add_argument("--vocabulary", metavar="N|FILE", help=kept)
    size.add_argument("--most", type=int, metavar="N", help="keep so many n-grams of two symbols and more, those that matter most (entropy pruning)")


def run(options: argparse.Namespace) -> int:
    """Carry out the command.

    Raises:
        ConfigError: options that are wrong or do not go together; before anything is read.
        InputError: a file cannot be read or written.
    """
    from recognizer.lm.binary import is_model, load_ngram, save_ngram
    from recognizer.lm.prune import limit_vocabulary, most_probable_symbols, prune_ngrams
    from recognizer.utils.progress import Progress, duration

    if options.perplexity:
        for name in ("output", "compact", "interpolate", "heldout", "most"):
            if getattr(options, name) is not None:
                raise ConfigError(f"--{name}: makes a model; --perplexity only tests one")
        print(render_perplexity(load_ngram(options.perplexity).perplexity(_read_sentences(options, options.inputs))))
        return 0
    _check(options)
    progress = Progress(options.quiet)
    started = time.perf_counter()
    models = [path for path in options.inputs if path != "-" and is_model(path)]
    if models and len(options.inputs) > 1:
        raise ConfigError(f"{models[0]}: is a model, and a model is the only input; name another with --interpolate")
    vocabulary = _vocabulary(options.vocabulary)
    model = load_ngram(models[0]) if models else _estimate(options, vocabulary, progress)
    if options.interpolate:
        model = _interpolate(options, model, progress)
    if vocabulary is not None:
        model = limit_vocabulary(model, most_probable_symbols(model, vocabulary) if isinstance(vocabulary, int) else vocabulary)
    if options.most is not None:
        model = prune_ngrams(model, options.most)
    save_ngram(model, options.output, bool(options.compact))
    print(describe(model, Path(options.output)))
    progress.line(f"done in {duration(time.perf_counter() - started)}")
    return 0


def describe(model: NgramModel, path: Path) -> str:
    """Lines that say what a model holds and how large its file is."""
    from recognizer.lm.trie import list_ngrams

    counts = ", ".join(f"{len(ngrams.ids)}" for ngrams in list_ngrams(model))
    title = f"{path}: {model.order}-gram model of {model.level}, {len(model.symbols)} symbols"
    return f"{title}\nn-grams      {counts}\nbytes        {path.stat().st_size}"


def render_perplexity(result: Perplexity) -> str:
    """Lines with the perplexities and what they are of."""
    return (
        f"sentences                     {result.sentences}\n"
        f"tokens                        {result.tokens}\n"
        f"unknown tokens                {result.unknown}\n"
        f"log10 probability             {result.log_prob / math.log(10):.4f}\n"
        f"perplexity                    {result.including_unknown:.4f}\n"
        f"perplexity of known tokens    {result.excluding_unknown:.4f}"
    )


def _check(options: argparse.Namespace) -> None:
    from recognizer.lm.kneser_ney import check_prune

    if not options.output:
        raise ConfigError("--output: name the file of the model, such as -o lm.ngram (or ask for the --perplexity of a model)")
    if options.compact and options.output.endswith((".arpa", ".arpa.gz")):
        raise ConfigError("--compact: is for the binary form, such as -o lm.ngram; ARPA has no other")
    if options.memory <= 0:
        raise ConfigError(f"--memory: {options.memory} is not more than 0")
    if options.temporary and not Path(options.temporary).is_dir():
        raise ConfigError(f"--temporary: {options.temporary}: no such folder")
    if options.vocabulary and options.vocabulary.isdecimal() and int(options.vocabulary) < 1:
        raise ConfigError(f"--vocabulary: {options.vocabulary} symbols leave none; at least 1")
    if options.most is not None and options.most < 0:
        raise ConfigError(f"--most: {options.most} is not 0 or more")
    check_prune(_thresholds(options.prune), _order(options))
    if options.interpolate:
        if _weight(options.weight) is None and not options.heldout:
            raise ConfigError("--weight: auto needs a text to fit it on: give --heldout TEXT, or a weight from 0 to 1")
    elif options.heldout:
        raise ConfigError("--heldout: is for --interpolate")


def _estimate(options: argparse.Namespace, vocabulary: int | list[str] | None, progress: Progress) -> NgramModel:
    from recognizer.lm.kneser_ney import estimate_ngram
    from recognizer.text.bidi import is_right_to_left

    sentences, memory = _read_sentences(options, options.inputs), int(options.memory * 2**30)
    prune = _thresholds(options.prune)
    model = estimate_ngram(sentences, _order(options), options.level, prune, vocabulary, memory, options.temporary, progress.line)
    if not options.visual_order and any(map(is_right_to_left, model.symbols)):
        progress.line("note: right-to-left text as it is spoken; a model for line images or pen traces needs --visual-order")
    return model


def _interpolate(options: argparse.Namespace, model: NgramModel, progress: Progress) -> NgramModel:
    from recognizer.lm.binary import load_ngram
    from recognizer.lm.interpolate import fit_weight, interpolate_ngrams

    other = load_ngram(options.interpolate)
    weight = _weight(options.weight)
    if weight is None:
        weight = fit_weight(model, other, _read_sentences(options, [options.heldout]))
    progress.line(f"weight of {options.interpolate}: {weight:.4f}")
    return interpolate_ngrams(model, other, weight)


def _read_sentences(options: argparse.Namespace, paths: list[str]) -> Iterator[str]:
    from recognizer.config import TextConfig
    from recognizer.lm.text import read_sentences

    config = TextConfig(case=options.case, drop=options.drop, spaces=options.spaces)
    return read_sentences(paths, config, options.running, not options.drop_punctuation, options.visual_order)


def _order(options: argparse.Namespace) -> int:
    return options.order if options.order is not None else 3 if options.level == "words" else 6


def _thresholds(words: str) -> list[int]:
    try:
        return [int(word) for word in words.replace(",", " ").split()]
    except ValueError:
        raise ConfigError(f"--prune: {words!r} is not whole numbers such as 0,0,1") from None


def _weight(word: str) -> float | None:
    """None for "auto"."""
    if word == "auto":
        return None
    try:
        weight = float(word)
    except ValueError:
        weight = -1.0
    if not 0 <= weight <= 1:
        raise ConfigError(f"--weight: {word!r} is not auto or a number from 0 to 1")
    return weight


def _vocabulary(word: str | None) -> int | list[str] | None:
    """A number of symbols or the symbols of a file: a line is one character, which may be a space, or a word and perhaps its pronunciation."""
    if word is None or word.isdecimal():
        return None if word is None else int(word)
    from recognizer.text.lexicon import bare_word, read_lines

    lines = [line.rstrip("\r") for line in read_lines(word)]
    symbols = (line if len(line) == 1 else bare_word((line.split() or [""])[0]) for line in lines)
    return list(dict.fromkeys(filter(None, symbols)))
