"""The command line: parses, calls, prints. Results go to standard output, everything else to standard error."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence

from recognizer import __version__
from recognizer.errors import RecognizerError
from recognizer.start import quick_imports

DECODING = ("transcribe", "evaluate", "tune")  # commands that take decoder.KEY=VALUE anywhere
DECODER_HELP = "decoder=greedy|beam, decoder.lm=FILE, decoder.lexicon=FILE, decoder.width=N ... change how the bundle decodes"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code: 0 done, 1 some items failed, 2 nothing could be done, 130 interrupted."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    parser = build_parser(words[0] if words else None)
    decoding: list[str] = []
    if words and words[0] in DECODING:
        from recognizer.overrides import take_overrides

        decoding, words = take_overrides(words)
    options, rest = parser.parse_known_args(words)
    options.decoding = decoding
    if rest and not getattr(options, "takes_overrides", False):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if not hasattr(options, "run"):
        parser.print_help()
        return 0
    if rest:
        options.overrides = [*options.overrides, *rest]
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="surrogateescape")  # file names that are not UTF-8 come out as they went in
    try:
        return int(options.run(options))
    except RecognizerError as error:
        print(f"recognizer: {error}", file=sys.stderr)
        return 130 if type(error).__name__ == "Interrupted" else 2
    except KeyboardInterrupt:
        print("recognizer: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output has gone, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:  # a full disk or a missing permission where no message of our own says more
        print(f"recognizer: {error.filename or 'input or output'}: {error.strerror or error}", file=sys.stderr)
        return 2


def build_parser(command: str | None = None) -> argparse.ArgumentParser:
    """The parser of all commands; only that of ``command`` imports what it needs to list its options."""
    parser = argparse.ArgumentParser(prog="recognizer", description="Speech and handwriting recognition with bidirectional LSTMs and CTC.")
    parser.add_argument("--version", action="version", version=f"recognizer {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")

    transcribe = commands.add_parser("transcribe", help="text from recordings, line images or pen traces")
    transcribe.add_argument("sources", nargs="+", metavar="FILE", help="files, folders, globs; - reads paths from standard input")
    transcribe.add_argument("-b", "--bundle", help="folder of a recogniser, or name of one in the box (default: by kind of file)")
    formats = "txt, jsonl, json, tsv, srt, vtt, ctm, textgrid, alto, page; several: txt,srt (default: txt)"
    transcribe.add_argument("-f", "--format", default="txt", help=formats)
    transcribe.add_argument("-o", "--output", metavar="DIR", help="write one file a source into DIR instead of printing")
    _add_decoding(transcribe)
    _add_machine(transcribe)
    transcribe.set_defaults(run=_transcribe)

    evaluate = commands.add_parser("evaluate", help="error rates of a recogniser on a manifest")
    evaluate.add_argument("bundle", help="folder of the recogniser")
    evaluate.add_argument("manifest", help="manifest with transcripts")
    evaluate.add_argument("-o", "--output", metavar="DIR", help="write scores.json, hypotheses.jsonl and summary.txt into DIR")
    evaluate.add_argument("--json", action="store_true", help="print the scores as JSON rather than as a summary")
    protocols = "strict, optional_silence, merged_silence (TIMIT), space, laia, kaldi, van (IAM)"
    evaluate.add_argument("--protocol", metavar="NAME", help=f"count as published: {protocols}")
    report = "write a report as one HTML file (default: report.html, in DIR of -o)"
    evaluate.add_argument("--report", nargs="?", const="", metavar="FILE", help=report)
    card = "write what is measured into a model card, between its marker lines (default: card.md of the bundle)"
    evaluate.add_argument("--card", nargs="?", const="", metavar="FILE", help=card)
    also = "a further manifest for the card, such as distorted or out-of-domain items; repeatable"
    evaluate.add_argument("--also", action="append", default=[], metavar="MANIFEST", help=also)
    evaluate.add_argument("--allow-seen", action="store_true", help="score items that the recogniser was trained on")
    _add_decoding(evaluate)
    _add_machine(evaluate)
    evaluate.set_defaults(run=_evaluate)

    align = commands.add_parser("align", help="times of the words and symbols of known texts")
    align.add_argument("bundle", help="folder of the recogniser")
    align.add_argument("manifest", help="manifest with transcripts")
    align.add_argument("-f", "--format", default="jsonl", help="as transcribe takes them (default: jsonl)")
    align.add_argument("-o", "--output", metavar="DIR", help="write one file an item, named by its id, into DIR instead of printing")
    _add_machine(align)
    align.set_defaults(run=_align)

    inspect = commands.add_parser("inspect", help="draw gates, cell states and saliency over a recording, line image or pen trace")
    inspect.add_argument("bundle", help="folder of the recogniser, or name of one in the box")
    inspect.add_argument("source", metavar="FILE", help="what to look at; recordings up to 30 s")
    inspect.add_argument("-o", "--output", metavar="OUT", help="picture: .png, .svg or .pdf, not there yet (default: FILE.inspect.png)")
    inspect.add_argument("--layer", nargs="+", type=_count, metavar="N", help="recurrent layers, 1 the lowest (default: the last)")
    sides = ("forwards", "backwards")
    inspect.add_argument("--direction", nargs="+", choices=sides, metavar="SIDE", help="forwards, backwards (default: both)")
    inspect.add_argument("--what", default="gates,cells,saliency", metavar="LIST", help="of gates, cells, saliency (default: all)")
    inspect.add_argument("--units", type=_count, default=64, metavar="N", help="cells a panel: those that vary most (default: 64)")
    inspect.add_argument("--symbol", type=_count, metavar="K", help="saliency of the K-th symbol read, and how far it reaches (default: of all)")
    inspect.add_argument("--threads", type=_count, default=0, metavar="N", help="CPU threads (default: all cores)")
    inspect.add_argument("-q", "--quiet", action="store_true", help="print errors and the picture's path only")
    inspect.set_defaults(run=_inspect)

    tune = commands.add_parser("tune", help="find the decoder's weights on development data and keep them in the bundle")
    tune.add_argument("bundle", help="folder of the recogniser")
    tune.add_argument("manifest", help="development items with transcripts; score others")
    tune.add_argument("--metric", choices=("CER", "WER", "UER"), help="what to lower (default: WER with words, else that of the symbols)")
    tune.add_argument("-o", "--output", metavar="DIR", help="write the tuned bundle to DIR and leave BUNDLE as it is")
    folds = "also part the speakers or writers into so many folds and score each with weights tuned on the others (default: no scoring)"
    tune.add_argument("--folds", type=_count, default=0, metavar="K", help=folds)
    tune.add_argument("--seed", type=_count, default=1, metavar="N", help="of the folds (default 1)")
    tune.add_argument("--allow-seen", action="store_true", help="tune on items that the recogniser was trained on")
    tune.add_argument("--json", action="store_true", help="print what was tried as JSON")
    tune.epilog = DECODER_HELP
    _add_machine(tune)
    tune.set_defaults(run=_tune)

    compare = commands.add_parser("compare", help="whether two results on the same manifest differ by more than chance")
    compare.add_argument("first", metavar="A", help="folder that `recognizer evaluate -o` wrote")
    compare.add_argument("second", metavar="B", help="another one, on the same manifest")
    compare.add_argument("--protocol", metavar="NAME", help="count both by this (default: as both were scored)")
    compare.add_argument("--json", action="store_true", help="print the comparison as JSON")
    compare.set_defaults(run=_compare)

    pack = commands.add_parser("pack", help="a bundle at half the size, for handing on")
    pack.add_argument("bundle", help="folder of the recogniser")
    pack.add_argument("output", metavar="DIR", help="folder of the small one")
    help_features = "how sound is dithered or pictures are cleaned, if otherwise than in training: features.dither=0.003"
    pack.add_argument("overrides", nargs="*", metavar="features.KEY=VALUE", help=help_features)
    pack.set_defaults(run=_pack)

    compress = commands.add_parser("compress", help="a recogniser that computes less: its layers reduced to what they mostly answer")
    compress.add_argument("bundle", help="folder of the recogniser")
    compress.add_argument("manifest", help="items such as it was trained on, of which some are run through it; transcripts do not matter")
    compress.add_argument("-o", "--output", required=True, metavar="DIR", help="folder of the reduced one")
    help_ranks = "numbers that the input of each recurrent layer is reduced to; 0: as it is (default: all as they are)"
    compress.add_argument("--ranks", type=_ranks, default=(), metavar="A,B,...", help=help_ranks)
    help_ranks = "filters that the channels of each convolution are mixed from; 0: as it is (default: all as they are)"
    compress.add_argument("--frontend-ranks", type=_ranks, default=(), metavar="A,B,...", help=help_ranks)
    compress.add_argument("--items", type=_count, default=200, metavar="N", help="how many are run through it, drawn by chance (default 200)")
    compress.add_argument("--seed", type=_count, default=1, metavar="N", help="of the choice of items (default 1)")
    compress.add_argument("--threads", type=_count, default=0, metavar="N", help="CPU threads (default: all cores)")
    compress.add_argument("-q", "--quiet", action="store_true", help="no progress")
    compress.set_defaults(run=_compress)

    average = commands.add_parser("average", help="one recogniser from several that go back to the same weights: their mean")
    average.add_argument("bundles", nargs="+", metavar="BUNDLE", help="two or more; settings and decoder are those of the first")
    average.add_argument("-o", "--output", required=True, metavar="DIR", help="folder of the mean")
    average.add_argument("--shares", type=_shares, metavar="A,B,...", help="how much each counts (default: all alike)")
    average.set_defaults(run=_average)

    train = commands.add_parser("train", help="train a recogniser; takes Hydra overrides such as corpus.root=DIR trainer.epochs=20")
    train.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="settings; see `recognizer train --show`")
    train.add_argument("-m", "--multirun", action="store_true", help="run every combination of comma-separated values")
    train.add_argument("--config", metavar="FILE", help="start from a config.yaml that another run wrote")
    train.add_argument("--resume", metavar="RUN", help="go on with the run in this folder")
    train.add_argument("--show", action="store_true", help="print the settings and stop")
    train.add_argument("-q", "--quiet", action="store_true", help="print errors only")
    train.set_defaults(run=_train, takes_overrides=True)

    prepare = commands.add_parser("prepare", help="a corpus as distributed -> manifests, with counts")
    prepare.set_defaults(run=_prepare)
    if command == "prepare":
        from recognizer.data.preparation import add_prepare_arguments

        add_prepare_arguments(prepare)

    audit = commands.add_parser("audit", help="what would go wrong with a manifest in training, before it does")
    audit.add_argument("manifest")
    audit.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="settings as for train (features, model, text)")
    audit.add_argument("-b", "--bundle", help="take features, network and alphabet from a recogniser")
    audit.add_argument("--json", action="store_true", help="print the whole outcome as JSON")
    audit.add_argument("-q", "--quiet", action="store_true", help="no progress")
    audit.set_defaults(run=_audit, takes_overrides=True)

    lm = commands.add_parser("lm", help="n-gram language models: estimate, convert, interpolate, perplexity")
    lm.set_defaults(run=_lm)
    if command == "lm":
        from recognizer.decoding.lm_command import add_lm_arguments

        add_lm_arguments(lm)
    return parser


def _add_decoding(parser: argparse.ArgumentParser) -> None:
    parser.epilog = DECODER_HELP
    parser.add_argument("--nbest", type=_count, default=1, metavar="N", help="hypotheses a source (default 1; more with a beam only)")
    hotword = "prefer a phrase, by so many nats (5 is much); repeatable"
    parser.add_argument("--hotword", action="append", default=[], metavar="PHRASE:WEIGHT", help=hotword)


def _add_machine(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (default: auto)")
    parser.add_argument("--precision", choices=("float32", "bf16"), default="float32")
    parser.add_argument("--threads", type=_count, default=0, metavar="N", help="CPU threads (default: all cores)")
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress and no timing")


def _count(word: str) -> int:
    if not word.isdecimal():
        raise argparse.ArgumentTypeError(f"{word!r} is not a whole number of 0 or more")
    return int(word)


def _ranks(word: str) -> tuple[int, ...]:
    ranks = word.split(",")
    if not all(rank.isdecimal() for rank in ranks):
        raise argparse.ArgumentTypeError(f"{word!r} is not a list of whole numbers such as 128,192")
    return tuple(map(int, ranks))


def _shares(word: str) -> list[float]:
    try:
        shares = [float(part) for part in word.split(",")]
    except ValueError:
        shares = []
    if not shares or not all(0 < share < float("inf") for share in shares):
        raise argparse.ArgumentTypeError(f"{word!r} is not a list of positive numbers such as 2,1")
    return shares


def _transcribe(options: argparse.Namespace) -> int:
    with quick_imports():
        from recognizer.transcription import transcribe_files

    return transcribe_files(options)


def _evaluate(options: argparse.Namespace) -> int:
    if options.card is not None or options.also:
        with quick_imports():
            from recognizer.measured_card import measure_bundle

        return measure_bundle(options)
    with quick_imports():
        from recognizer.scoring import evaluate_bundle

    return evaluate_bundle(options)


def _align(options: argparse.Namespace) -> int:
    with quick_imports():
        from recognizer.aligning import align_bundle

    return align_bundle(options)


def _inspect(options: argparse.Namespace) -> int:
    with quick_imports():
        from recognizer.inspecting import inspect_file

    return inspect_file(options)


def _tune(options: argparse.Namespace) -> int:
    with quick_imports():
        from recognizer.tuning import tune_bundle

    return tune_bundle(options)


def _compare(options: argparse.Namespace) -> int:
    from recognizer.evaluation.compare import compare_results

    return compare_results(options)


def _pack(options: argparse.Namespace) -> int:
    from recognizer.packing import pack_bundle

    return pack_bundle(options)


def _compress(options: argparse.Namespace) -> int:
    from recognizer.compressing import compress_bundle

    return compress_bundle(options)


def _average(options: argparse.Namespace) -> int:
    from recognizer.averaging import average_bundles

    return average_bundles(options)


def _train(options: argparse.Namespace) -> int:
    from recognizer.training.command import run_train

    return run_train(options)


def _prepare(options: argparse.Namespace) -> int:
    from recognizer.data.preparation import run_prepare

    return run_prepare(options)


def _audit(options: argparse.Namespace) -> int:
    from recognizer.training.auditing import run_audit

    return run_audit(options)


def _lm(options: argparse.Namespace) -> int:
    from recognizer.decoding.lm_command import run_lm

    return run_lm(options)


if __name__ == "__main__":
    sys.exit(main())
