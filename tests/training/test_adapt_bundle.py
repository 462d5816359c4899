"""Where an adapted bundle goes, and which one it came from."""

from __future__ import annotations

from pathlib import Path

import pytest

from recognizer.bundle.io import load_bundle, save_bundle
from recognizer.bundle.provenance import ADAPTED, Origin
from recognizer.errors import BundleError
from recognizer.training.adapt_bundle import describe_origin, first_bundle, put_in_place


@pytest.fixture
def chain(line_run, tmp_path) -> Path:
    """A folder with a bundle ``first`` and one ``second`` that was adapted from it."""
    own = load_bundle(line_run / "bundle")
    save_bundle(tmp_path / "first", own.config, own.alphabet, own.weights, "")
    describe_origin(load_bundle(tmp_path / "first"), tmp_path / "second", gained=True).save(tmp_path / ADAPTED)
    save_bundle(tmp_path / "second", own.config, own.alphabet, own.weights, "", {ADAPTED: tmp_path / ADAPTED})
    return tmp_path


def test_the_first_bundle_is_found_also_after_both_moved(chain, tmp_path_factory) -> None:
    found, note = first_bundle(load_bundle(chain / "second"))
    assert found.folder.resolve() == (chain / "first").resolve() and "begins anew" in note
    moved = tmp_path_factory.mktemp("moved") / "here"
    chain.rename(moved)
    found, _ = first_bundle(load_bundle(moved / "second"))
    assert found.folder.resolve() == (moved / "first").resolve()
    found, note = first_bundle(load_bundle(moved / "first"))
    assert found.folder == moved / "first" and not note


def test_where_the_first_was_changed_it_goes_on_from_the_last(chain, line_run) -> None:
    own = load_bundle(line_run / "bundle")
    save_bundle(chain / "first", own.config, own.alphabet, {name: 2 * tensor for name, tensor in own.weights.items()}, "")
    found, note = first_bundle(load_bundle(chain / "second"))
    assert found.folder == chain / "second" and "goes on from" in note


def test_a_damaged_origin_is_named(chain) -> None:
    (chain / "second" / ADAPTED).write_text("{")
    with pytest.raises(BundleError, match=r"adapted\.json: is damaged; copy the bundle anew"):
        Origin.load(chain / "second")


def test_a_bundle_takes_the_place_of_an_older_one_whole(chain) -> None:
    digest = Origin.digest_of(chain / "first")
    put_in_place(chain / "first", chain / "second")
    assert Origin.digest_of(chain / "second") == digest and not (chain / "first").exists()
    assert sorted(path.name for path in chain.iterdir() if path.is_dir()) == ["second"]
