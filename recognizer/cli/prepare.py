"""Turn a corpus as it is distributed into manifests."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from recognizer.cli.arguments import add_verbosity
from recognizer.data.preparation import Counts, corpora, needs_source, prepare_corpus, print_dropped, print_note, unknown_corpus
from recognizer.data.split import SplitPlan
from recognizer.errors import InputError

EXAMPLE = "recognizer prepare folder FOLDER data/mine --dev 0.1 --test 0.1"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add one subcommand a corpus: ``NAME SOURCE OUT`` (``NAME OUT`` without a source), the options of splitting and those of the corpus."""
    choices = parser.add_subparsers(dest="corpus", required=True, metavar="CORPUS", action=_CorpusAction)
    for name, module in sorted(corpora().items()):
        description = (module.__doc__ or "").strip()
        sub = choices.add_parser(name, help=description.split("\n")[0], description=description)
        if needs_source(module):
            sub.add_argument("source", metavar="SOURCE", type=Path, help="the corpus as distributed")
        else:
            sub.set_defaults(source=None)
        sub.add_argument("out", metavar="OUT", type=Path, help="folder for the manifests")
        splits = sub.add_argument_group("splits (always whole speakers or writers)")
        splits.add_argument("--dev", type=float, default=0.0, metavar="SHARE", help="share of the items for dev.jsonl")
        splits.add_argument("--test", type=float, default=0.0, metavar="SHARE", help="share of the items for test.jsonl")
        splits.add_argument("--dev-every", type=int, default=0, metavar="N", help="every N-th group in sorted order for dev.jsonl")
        splits.add_argument("--seed", type=int, default=1, help="another seed gives another split (default 1)")
        splits.add_argument("--name", metavar="NAME", help="write everything to NAME.jsonl, and generated files to the folder NAME")
        sub.add_argument("--lexicon", type=Path, metavar="FILE", help="pronouncing dictionary; from which texts without units get phones")
        shards = "copy the files into tar archives of about so many MiB each, in a random order, as large trainings read them"
        sub.add_argument("--shards", type=float, default=0.0, metavar="MIB", help=shards)
        module.add_arguments(sub)
        add_verbosity(sub, argparse.SUPPRESS)
    choices.choices = None  # type: ignore[assignment]  # unknown names come to _CorpusAction, whose message is better than argparse's


def run(options: argparse.Namespace) -> int:
    """Carry out the command: counts on standard output, notes on standard error; 1 if anything was left out.

    Raises:
        RecognizerError: as :func:`~recognizer.data.preparation.prepare`.
    """
    dropped: list[InputError] = []

    def drop(error: InputError) -> None:
        dropped.append(error)
        print_dropped(error)

    plan = SplitPlan(options.dev, options.test, options.dev_every, options.seed, options.name)
    counts = prepare_corpus(corpora()[options.corpus], options.source, options.out, plan, options, drop, print_note)
    print(render_counts(counts))
    print(f"dropped {sum(error.items for error in dropped)}")
    return 1 if dropped else 0


def render_counts(counts: dict[str, Counts]) -> str:
    """A table of counts, one split a line."""
    rows = [("split", "items", "groups", "hours", "characters", "units")]
    for name, count in counts.items():
        hours = "-" if count.seconds is None else f"{count.seconds / 3600:.2f}"
        rows.append((name, f"{count.items}", f"{count.groups}", hours, f"{count.characters}", f"{count.units}"))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows)
    return "\n".join(lines)


class _CorpusAction(argparse._SubParsersAction):  # type: ignore[type-arg]
    def __call__(self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option_string: str | None = None) -> None:
        if values[0] not in self._name_parser_map:
            raise argparse.ArgumentError(None, unknown_corpus(values[0], self._name_parser_map))
        super().__call__(parser, namespace, values, option_string)
