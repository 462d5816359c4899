from __future__ import annotations

import numpy as np
import pytest

from recognizer.data_prep.sphinx_model import Position, load_sphinx_model
from recognizer.errors import InputError

from .sphinx_files import NAMES, SETTINGS, STATES, write_model

FILES = ("feat.params", "mdef", "means", "variances", "sendump", "transition_matrices")
INNER = ("S", "AE", "D", 0, (120, 7, 121))  # two of its mixtures are its own


@pytest.fixture
def folder(tmp_path):
    write_model(tmp_path / "en", (INNER, ("S", "AE", "M", 1, (3, 4, 5))))
    return tmp_path / "en"


def test_what_was_written_is_read(folder):
    model = load_sphinx_model(folder)
    assert model.phones == NAMES and model.means.shape == (40, 3, 2, 13) and model.scale == (25, 130.0, 6800.0)
    assert np.allclose(model.weights.sum(axis=1), 1) and model.weights.shape == (3, 2, 122)
    assert np.allclose(model.stay, 0.75) and model.stay.shape == (40, STATES)


def test_weights_are_powers_of_the_models_base(folder):
    path = folder / "sendump"
    content = bytearray(path.read_bytes())
    content[-2 * 122] = 10  # of the last stream's first density, first mixture
    path.write_bytes(content)
    first, second = load_sphinx_model(folder).weights[2, :, 0]
    assert first / second == pytest.approx(1.0001 ** (-10 * 1024), rel=1e-5)


def test_states_of_a_triphone_of_another_position_and_of_none(folder):
    model = load_sphinx_model(folder)
    s, ae, d, m, t = (NAMES.index(name) for name in ("S", "AE", "D", "M", "T"))
    assert model.states(s, ae, d, Position.INSIDE)[0].tolist() == [120, 7, 121]
    assert model.states(s, ae, d, Position.LAST)[0].tolist() == [120, 7, 121]  # never seen there
    assert model.states(s, ae, m, Position.FIRST)[0].tolist() == [3, 4, 5]
    assert model.states(s, ae, t, Position.FIRST)[0].tolist() == [STATES * s + state for state in range(STATES)]


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_missing_cut_short_or_something_else_is_named(folder, name):
    path = folder / name
    content = path.read_bytes()
    path.unlink()
    with pytest.raises(InputError, match=rf"{name}: cannot be read: No such file"):
        load_sphinx_model(folder)
    for damaged in (content[: len(content) // 3], b"something else"):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=name):
            load_sphinx_model(folder)


def test_models_of_other_kinds_are_refused(folder):
    (folder / "feat.params").write_text(SETTINGS.replace("dct", "legacy"))
    with pytest.raises(InputError, match=r"feat\.params: -transform is legacy; only dct"):
        load_sphinx_model(folder)
    (folder / "feat.params").write_text(SETTINGS.replace("-lifter 22\n", ""))
    with pytest.raises(InputError, match=r"feat\.params: -lifter is missing; only 22"):
        load_sphinx_model(folder)
    (folder / "feat.params").write_text(SETTINGS)
    for name in ("means", "variances"):  # half of the phones share one set
        content = (folder / name).read_bytes()
        place = content.index(b"endhdr\n") + 11
        (folder / name).write_bytes(content[:place] + (20).to_bytes(4, "little") + content[place + 4 :])
    with pytest.raises(InputError, match="20 sets of Gaussians for 40 phones"):
        load_sphinx_model(folder)
    content = (folder / "means").read_bytes()
    (folder / "means").write_bytes(content.replace(0x11223344.to_bytes(4, "little"), 0x11223344.to_bytes(4, "big")))
    with pytest.raises(InputError, match="means: is damaged"):
        load_sphinx_model(folder)
