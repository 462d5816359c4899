"""Text from recordings, line images, pages or pen traces."""

from __future__ import annotations

import argparse
from contextlib import ExitStack, redirect_stderr
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

from recognizer.cli.arguments import add_decoding, add_machine, add_model, open_recognizer
from recognizer.errors import ConfigError, Interrupted, RecognizerError

if TYPE_CHECKING:
    from recognizer.config import Modality
    from recognizer.inference.recognizer import Recognizer
    from recognizer.jobs.report import Report
    from recognizer.jobs.run import Run
    from recognizer.jobs.shard import Shard

EXIT_CODES = "Exit codes: 0 done; 1 some files failed, the others are done; 2 nothing could be done, or not go on; 130 interrupted."

# Options that results do not depend on. Files are done again where any other has changed.
INDEPENDENT = ("command", "sources", "model", "output_dir", "resume", "shard", "errors", "watch", "json_log", "stdin_audio", "device", "threads",
    "quiet", "verbose", "usage_error")  # fmt: skip

EXAMPLE = "recognizer transcribe talk.mp3 scans/ -f txt,json -o texts/"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    sources = "files, folders, globs, manifests (.jsonl), projects; - reads names from standard input, one a line"
    parser.add_argument("sources", nargs="*", metavar="FILE", help=sources)
    add_model(parser, "folder of a bundle, or name of one that ships with the package (default: by kind of file)")
    formats = "txt, jsonl, json, tsv, srt, vtt, ctm, textgrid, alto, page, hocr, pdf; several: txt,srt; all: those that fit (default: txt)"
    parser.add_argument("-f", "--format", default="txt", help=formats)
    subtitles = parser.add_argument_group("subtitles (srt, vtt)")
    subtitles.add_argument("--max-line-width", type=int, metavar="N", help="characters in a line (default: 42)")
    subtitles.add_argument("--max-line-count", type=int, metavar="N", help="lines shown at one time (default: 2)")
    subtitles.add_argument("--max-words-per-line", type=int, metavar="N", help="words in a line (default: as many as fit)")
    output = "write into DIR instead of printing: a file for each input and format, in the same folders below DIR as the inputs are in below theirs"
    parser.add_argument("-o", "--output-dir", metavar="DIR", help=output)
    channels = "of a recording: left, right, mix (their average), each (a transcript for each of the two)"
    channels += ", or auto: mix unless the channels cancel each other or one is silent (default)"
    parser.add_argument("--channel", choices=("auto", "mix", "left", "right", "each"), default="auto", help=channels)
    stdin_audio = "read a recording from standard input: cat x.wav | recognizer transcribe --stdin-audio"
    parser.add_argument("--stdin-audio", action="store_true", help=stdin_audio)
    parser.add_argument("--watch", metavar="FOLDER", help="read the files in FOLDER and those that come, each once it stops growing, until Ctrl-C")
    parser.add_argument("--resume", action="store_true", help="with -o: leave out what is done there, by content and settings")
    shard = "do the I-th of N parts of the files (1/N to N/N), which jobs on other processors or machines do the others of; they may share DIR"
    parser.add_argument("--shard", metavar="I/N", help=shard)
    errors = "write a table of the files that failed: source, message; with --shard, one for each, FILE.I-of-N in front of its ending"
    parser.add_argument("--errors", metavar="FILE", help=errors)
    json_log = "one JSON object a line on standard error: started, segment, done, skipped, error, note, summary"
    parser.add_argument("--json-log", action="store_true", help=json_log)
    kind = parser.add_mutually_exclusive_group()
    page = "pictures are pages, whose lines are found and read (default: told by their look)"
    kind.add_argument("--page", action="store_true", default=None, help=page)
    kind.add_argument("--line", action="store_false", dest="page", default=None, help="pictures are single lines")
    segmenter = "what finds the lines of a page: rapidocr (default), or kraken for sloping and curved ones (pip install 'kraken<8')"
    parser.add_argument("--segmenter", choices=("rapidocr", "kraken"), default="rapidocr", help=segmenter)
    overwrite = "of ALTO and PAGE files, read the lines that have text, too (default: those without text)"
    parser.add_argument("--overwrite-text", action="store_true", help=overwrite)
    add_decoding(parser)
    add_machine(parser)
    parser.epilog = f"{parser.epilog}\n\n{EXIT_CODES}"
    parser.set_defaults(usage_error=parser.error)


def run(options: argparse.Namespace) -> int:
    """Carry out the command; the exit codes are those of ``--help``."""
    from recognizer.formats.base import choose_writers
    from recognizer.jobs.report import Report
    from recognizer.jobs.shard import Shard
    from recognizer.utils.files import open_folder

    if not (options.sources or options.stdin_audio or options.watch):
        options.usage_error("the following arguments are required: FILE, --stdin-audio or --watch")
    shard = None if options.shard is None else Shard.parse(options.shard)
    if shard and options.stdin_audio:
        raise ConfigError("--shard: divides a list of files; --stdin-audio is a single recording")
    if not options.output_dir and (options.resume or options.format == "all"):
        raise ConfigError(f"{'--resume' if options.resume else '-f all'}: needs an output folder; name one with -o")
    choose_writers(options.format, None, **_layout(options))  # a misspelt one is told before a model is loaded
    if options.output_dir:
        open_folder(options.output_dir)
    errors = Path(options.errors) if options.errors else None
    if errors and shard:
        errors = errors.with_name(f"{errors.stem}.{shard.name}{errors.suffix}")
    report = Report(options.quiet, options.verbose, options.json_log, errors, options.output_dir is not None)
    with report.listening():
        try:
            _transcribe(options, report, shard)
        except RecognizerError as error:
            if not options.json_log:
                raise
            report.event("error", message=str(error))
            return error.exit_code
    return report.exit_code


def _transcribe(options: argparse.Namespace, report: Report, shard: Shard | None) -> None:
    """Open the model and the output, and do what is asked until it is done or interrupted."""
    from recognizer.jobs.output import Printer, ResultFolder
    from recognizer.jobs.pages import PageChoice
    from recognizer.jobs.run import Run, Settings, open_results

    relevant = {key: value for key, value in vars(options).items() if key not in INDEPENDENT}
    pages = PageChoice(options.page, options.segmenter, options.overwrite_text)
    settings = Settings(options.format, max(1, options.n_best), options.channel, options.resume, pages, relevant, _layout(options))
    with ExitStack() as stack:
        output: ResultFolder | Printer = Printer(_are_several(options))
        if options.output_dir:
            output = stack.enter_context(open_results(options.output_dir, shard))
        models = _Models(options, report)
        try:
            _do(options, Run(settings, output, report, models.open), models.modality(), shard)
        except KeyboardInterrupt:
            kept = f"; {report.done} done and kept, the same command with --resume goes on" if options.output_dir else ""
            raise Interrupted(f"interrupted{kept}") from None
        finally:
            report.close()


def _do(options: argparse.Namespace, run: Run, wanted: Modality | None, shard: Shard | None) -> None:
    """Find the files and do them, or those of a shard."""
    from recognizer.jobs.find import read_list
    from recognizer.jobs.job import Plan, plan_jobs
    from recognizer.jobs.standard_input import NAME, spool_recording
    from recognizer.jobs.watch import watch

    def pick(plan: Plan) -> Plan:
        return plan if shard is None else shard.pick(plan)

    if options.stdin_audio:
        with spool_recording() as plan:
            run.report.call(plan.jobs[0].path, NAME)
            run.do(plan)
    given = [name for source in options.sources for name in (read_list() if source == "-" else [source])]
    if given:
        run.do(pick(plan_jobs(given, wanted, options.output_dir, once=options.output_dir is not None)))
    elif options.sources:
        run.report.fail(NAME, f"{NAME}: the list holds no names")
    if options.watch:
        for plan in watch(options.watch, wanted, options.output_dir):
            run.do(pick(plan))


def _layout(options: argparse.Namespace) -> dict[str, int | None]:
    """What is asked of the layout of subtitles."""
    return {name: getattr(options, name) for name in ("max_line_width", "max_line_count", "max_words_per_line")}


def _are_several(options: argparse.Namespace) -> bool:
    """Whether texts on standard output need the names of their sources."""
    if options.watch or len(options.sources) + options.stdin_audio != 1:
        return True
    return not options.stdin_audio and (not Path(options.sources[0]).is_file() or options.sources[0].lower().endswith(".jsonl"))


class _Models:
    """The model that was named, or else that of the project that is read, or the one that ships for a kind of file."""

    def __init__(self, options: argparse.Namespace, report: Report) -> None:
        self.options, self.report = options, report
        self.named = None if options.model is None else self._load(options.model)

    def modality(self) -> Modality | None:
        """What the named model reads."""
        return None if self.named is None else self.named.config.modality

    def open(self, modality: Modality) -> Recognizer:
        """The recognizer for a kind of file."""
        from recognizer.bundle.registry import default_bundle
        from recognizer.data.project import model_in_use

        return self.named or self._load(model_in_use(self.options.sources, modality) or default_bundle(modality))

    def _load(self, model: str | Path) -> Recognizer:
        if not self.options.json_log:
            return open_recognizer(self.options, model)
        with redirect_stderr(StringIO()) as told:  # where there is nothing but JSON
            recognizer = open_recognizer(self.options, model)
        for line in told.getvalue().splitlines():
            self.report.note(line.removeprefix("note: "))
        return recognizer
