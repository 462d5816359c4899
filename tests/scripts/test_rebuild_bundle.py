"""Recipes: every step of those in the box is a command that exists, and finds what it works on; and how one is followed, broken off and resumed."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from recognizer.cli import build_parser
from recognizer.composition import compose, conf_dir
from recognizer.config import AudioFeatures
from recognizer.overrides import override_decoder, override_features, take_overrides

SCRIPT = Path(__file__).parents[2] / "scripts" / "rebuild_bundle.py"
RECIPES = sorted(path.stem.replace("_", "-") for path in (conf_dir() / "recipe").glob("*.yaml"))


@pytest.fixture(scope="module")
def script() -> Any:
    spec = importlib.util.spec_from_file_location("rebuild_bundle", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look for it
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    (tmp_path / "book.txt").write_text("the cat sat\nthe dog sat\n")
    steps = ["lm $book -o a.ngram", "lm a.ngram -o b.arpa", "lm $book --perplexity b.arpa"]
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump({"sources": {"book": "a text"}, "steps": steps}))
    return tmp_path / "recipe.yaml"


class Shelf:
    """What the steps of a recipe have made so far: manifests, models, bundles."""

    def __init__(self) -> None:
        self.made: set[str] = set()

    def take(self, words: Sequence[str]) -> None:
        """Check that a step is a valid command whose inputs are there, and put there what it makes."""
        decoding, rest = take_overrides(list(words)) if words[0] in ("evaluate", "tune") else ([], list(words))
        options, overrides = build_parser(words[0]).parse_known_args(rest)
        getattr(self, words[0])(options, [*getattr(options, "overrides", []), *overrides], decoding)

    def need(self, path: object) -> None:
        assert str(path).startswith("/sources") or str(path) in self.made, path

    def prepare(self, options: Any, rest: list[str], decoding: list[str]) -> None:
        assert not rest
        if options.source is not None:
            self.need(options.source)
        for path in (options.lexicon, getattr(options, "bundle", None)):
            if path is not None:
                self.need(path)
        divided = options.dev or options.dev_every or getattr(options, "dev_speaker", None)
        names = [options.name] if options.name else ["train", "dev"] if divided else ["all"]
        self.made |= {f"{options.out}/{name}.jsonl" for name in names}

    def train(self, options: Any, rest: list[str], decoding: list[str]) -> None:
        config = compose(rest)
        for name in (config.corpus.train, config.corpus.dev, *config.corpus.extra):
            self.need(Path("/", config.corpus.root, name).resolve().relative_to("/"))
        if config.init:
            self.need(config.init)
        assert f"{config.run_dir}/bundle" not in self.made  # a run of its own
        self.made.add(f"{config.run_dir}/bundle")

    def average(self, options: Any, rest: list[str], decoding: list[str]) -> None:
        for bundle in options.bundles:
            self.need(bundle)
        assert not rest and (options.shares is None or len(options.shares) == len(options.bundles))
        self.made.add(options.output)

    def compress(self, options: Any, rest: list[str], decoding: list[str]) -> None:
        self.need(options.bundle)
        self.need(options.manifest)
        assert not rest and (options.ranks or options.frontend_ranks)
        self.made.add(options.output)

    def lm(self, options: Any, rest: list[str], decoding: list[str]) -> None:
        files = [*options.inputs, options.frequencies, options.interpolate, options.heldout, options.vocabulary]
        for file in (file for file in files if file is not None and not file.isdecimal()):
            self.need(file)
        assert not rest
        self.made.add(options.output)

    def pack(self, options: Any, rest: list[str], decoding: list[str]) -> None:
        self.need(options.bundle)
        assert rest == options.overrides
        override_features(AudioFeatures(), rest)
        self.made.add(options.output)

    def tune(self, options: Any, rest: list[str], decoding: list[str]) -> None:
        from recognizer.config import DecoderConfig

        config = override_decoder(DecoderConfig(), decoding)
        for path in (options.bundle, options.manifest, config.lm, config.char_lm, config.lexicon, config.second, config.second_lexicon):
            if path is not None:
                self.need(path)
        assert not rest and options.output is None  # in its place, beside the other one

    def evaluate(self, options: Any, rest: list[str], decoding: list[str]) -> None:
        self.need(options.bundle)
        self.need(options.manifest)
        assert not rest and not decoding


@pytest.mark.parametrize("name", RECIPES)
def test_every_step_is_a_command_and_finds_what_those_before_it_made(script, name: str, tmp_path, monkeypatch) -> None:
    recipe = script.load_recipe(name)
    monkeypatch.setattr(script, "_find", lambda word: [word])
    monkeypatch.setattr(Path, "exists", lambda self: True)
    commands = script.fill(recipe, {source: f"/sources/{source}" for source in recipe.sources})
    monkeypatch.undo()
    shelf = Shelf()
    for words in commands:
        shelf.take(words)
    named = {word.partition("/sources/")[2].partition("/")[0] for words in commands for word in words}  # also behind the name of a kind of voice
    assert {*recipe.sources} <= named  # none is asked for in vain
    assert any(path.startswith("bundles/") for path in shelf.made)


def test_a_rehearsal_makes_less_and_leaves_out_nothing(script, recipe: Path, tmp_path, capfd) -> None:
    long = ["prepare", "rendered", "x", "y", "--lines", "3600", "--hands", "700", "--words", "9"]
    assert script.rehearse(long) == ["prepare", "rendered", "x", "y", "--lines", "40", "--hands", "8", "--words", "9"]
    collage = ["prepare", "collage", "x", "y", "--lines", "12"]
    assert script.rehearse([*collage, "--bundle", "runs/a"]) == collage
    assert compose(script.rehearse(["train", "experiment=digits", "trainer.epochs=14"])[1:]).trainer.epochs == 1
    assert script.main([str(recipe), str(tmp_path / "out"), f"book={tmp_path / 'book.txt'}", "--rehearse"]) == 0
    assert "step 3 of 3" in capfd.readouterr().out


def test_recipes_of_the_box_are_there() -> None:
    assert RECIPES == ["handwriting-fr", "speech-en"]


def test_a_recipe_is_followed_and_what_is_done_is_not_done_again(script, recipe: Path, tmp_path, capfd) -> None:
    call = [str(recipe), str(tmp_path / "out"), f"book={tmp_path / 'book.txt'}"]
    assert script.main(call) == 0
    first = capfd.readouterr().out
    assert "step 3 of 3" in first and "perplexity" in first and (tmp_path / "out" / "b.arpa").exists()
    record = [json.loads(line) for line in (tmp_path / "out" / "steps.jsonl").read_text().splitlines()]
    assert [step["command"][0] for step in record] == ["lm"] * 3 and all(step["seconds"] > 0 and "cores" in step["machine"] for step in record)
    assert script.main(call) == 0 and capfd.readouterr().out == ""
    recipe.write_text(recipe.read_text().replace("b.arpa", "c.arpa"))  # the second step changes: it and all after it are done
    assert script.main([*call, "-n"]) == 0
    planned = [line for line in capfd.readouterr().out.splitlines() if line.startswith("recognizer")]
    assert len(planned) == 2 and "c.arpa" in planned[0] and not (tmp_path / "out" / "c.arpa").exists()


def test_the_step_that_fails_is_the_last_and_the_first_of_the_next_call(script, recipe: Path, tmp_path, capfd) -> None:
    recipe.write_text(recipe.read_text().replace("lm a.ngram", "lm none.ngram"))
    call = [str(recipe), str(tmp_path / "out"), f"book={tmp_path / 'book.txt'}"]
    for steps in (2, 1):
        assert script.main(call) == 2
        printed = capfd.readouterr()
        assert "step 2 ended with exit code 2" in printed.err and "none.ngram: cannot be read" in printed.err
        assert printed.out.count("step ") == steps and "step 3" not in printed.out


def test_items_left_out_do_not_end_it_and_a_training_goes_on_from_its_checkpoint(script, tmp_path) -> None:
    commands = [["prepare", "pairs", "x", "y"], ["train", "experiment=digits", "run_dir=runs/a"], ["pack", "runs/a/bundle", "b"]]
    called: list[list[str]] = []

    def run(words: Sequence[str], folder: Path) -> int:
        called.append(list(words))
        if words[0] == "train" and "--resume" not in words:
            (folder / "runs" / "a").mkdir(parents=True)
            (folder / "runs" / "a" / "checkpoint.pt").touch()
            raise KeyboardInterrupt
        return 1 if words[0] == "prepare" else 0

    with pytest.raises(KeyboardInterrupt):
        script.follow(commands, tmp_path, run)
    assert script.follow(commands, tmp_path, run) == 0
    assert called == [*commands[:2], ["train", "--resume", "runs/a"], commands[2]]
    changed = [commands[0], [*commands[1], "seed=2"], commands[2]]
    with pytest.raises(FileExistsError):  # begun as it is written, not resumed: the checkpoint is of another training
        script.follow(changed, tmp_path, run)
    assert called[-1] == changed[1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["speech-fr", "out"], "no such recipe; did you mean 'speech-en'?"),
        (["RECIPE", "out"], "  book=PATH   a text"),
        (["RECIPE", "out", "bok=/"], "bok: the recipe has no such source; did you mean 'book'?"),
        (["RECIPE", "out", "book=/none/such"], "book: /none/such: no such file or folder"),
        (["RECIPE", "out", "book"], "book: nothing: no such file or folder"),
    ],
)
def test_what_cannot_be_followed(script, recipe: Path, tmp_path, monkeypatch, capsys, words: list[str], message: str) -> None:
    monkeypatch.chdir(tmp_path)
    assert script.main([str(recipe) if word == "RECIPE" else word for word in words]) == 2
    assert message in capsys.readouterr().err and not Path("out").exists()


NO_RECIPES = ["steps: []", "- 1", "sources: [a]\nsteps: []", "sources: {}\nsteps: lm", "sources: {}\nwhere: [a]\nsteps: []",
    "sources: {}\nsteps: []\nmore: 1", "a: [", "\xff"]  # fmt: skip


@pytest.mark.parametrize("content", NO_RECIPES)
def test_files_that_are_no_recipes(script, tmp_path, capsys, content: str) -> None:
    (tmp_path / "r.yaml").write_bytes(content.encode("latin-1"))
    assert script.main([str(tmp_path / "r.yaml"), str(tmp_path / "out")]) == 2
    assert "r.yaml: " in capsys.readouterr().err


def test_patterns_of_files(script, tmp_path) -> None:
    for name in ("b.txt", "a.txt"):
        (tmp_path / name).touch()
    recipe = script.Recipe({"books": "texts"}, ["lm $books/*.txt --drop '*' -o x.ngram"])
    books = [str(tmp_path / "a.txt"), str(tmp_path / "b.txt")]
    assert script.fill(recipe, {"books": str(tmp_path)}) == [["lm", *books, "--drop", "*", "-o", "x.ngram"]]
    (tmp_path / "none").mkdir()
    with pytest.raises(script.ConfigError, match=r"none/\*\.txt: no such files"):
        script.fill(recipe, {"books": str(tmp_path / "none")})


def test_a_damaged_record_is_named(script, recipe: Path, tmp_path, capsys) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "steps.jsonl").write_text("{")
    assert script.main([str(recipe), str(tmp_path / "out"), f"book={tmp_path / 'book.txt'}"]) == 2
    assert "steps.jsonl: is not a record of steps" in capsys.readouterr().err
