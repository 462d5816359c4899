"""Settings of the network: every limit refuses the first value beyond it and takes the last within it."""

from __future__ import annotations

import pytest

from recognizer.errors import ConfigError
from recognizer.model_config import CellSettings, LineCnn, MdLstmFrontend, ModelConfig, SpeechCnn, Stack
from tests.limits import SMALL, Limit, check, name

LIMITS: list[Limit] = [
    (Stack, "frames", [0, 33], [1, 32]),
    (LineCnn, "channels", [(), (32,), (0, 8, 8, 8)], [(1, 1, 1, 1)]),
    (SpeechCnn, "channels", [(), (32,), (8, 0)], [(1, 1)]),
    (LineCnn, "time_strides", [(2, 2, 1), (2, 2, 1, 0), (2, 2, 1, 5)], [(1, 2, 3, 4)]),
    (LineCnn, "height_strides", [(2, 2, 1), (2, 2, 1, 0), (2, 2, 1, 5)], [(1, 2, 3, 4)]),
    (SpeechCnn, "time_strides", [(2,), (2, 0), (2, 5)], [(3, 4)]),
    (SpeechCnn, "frequency_strides", [(2,), (2, 0), (2, 5)], [(3, 4)]),
    (SpeechCnn, "output", [0, -1], [1]),
    (LineCnn, "ranks", [(8,), (8, 8, 8), (-1, 0, 0, 0)], [(), (0, 0, 0, 0), (1, 0, 64, 2)]),
    (SpeechCnn, "ranks", [(8,), (8, -1)], [(), (0, 4)]),
    (ModelConfig, "ranks", [(8,), (8, 8, -1)], [(), (0, 0, 0), (1, 0, 300)]),
    *[(cls, "dropout", [-SMALL, 1.0], [0.0, 0.99]) for cls in (LineCnn, SpeechCnn, MdLstmFrontend, ModelConfig)],
    (MdLstmFrontend, "hidden", [(), (0, 1, 1)], [(1, 1, 1)]),
    (MdLstmFrontend, "units", [(6,), (6, 0)], [(1, 1)]),
    *[(MdLstmFrontend, key, [(4, 4), (4, 4, 0), (4, 4, 65)], [(1, 2, 64)]) for key in ("block_heights", "block_widths")],
    *[(CellSettings, key, [-SMALL, 1.0], [0.0, 0.99]) for key in ("zoneout", "recurrent_dropout")],
    (CellSettings, "forget_bias", [float("nan"), float("inf")], [-1.0, 2.0]),
    (CellSettings, "heads", [0], [1]),
    (CellSettings, "positions", [-1], [0, 80]),
    (CellSettings, "kernel", [0, 2, -1], [1, 5]),
    (ModelConfig, "cell", ["", "peepholes", "__init__"], ["lstm", "peephole", "mlstm"]),
    (ModelConfig, "truncate", [-1], [0]),
    (ModelConfig, "attention", [-1, 4, 7], [0, 5]),
    (ModelConfig, "layers", [0, 33], [1, 32]),
    (ModelConfig, "hidden", [0, 8193], [1, 8192]),
    (ModelConfig, "auxiliary", [-SMALL, 1 + SMALL], [0.0, 1.0]),
    (ModelConfig, "conditioning", [-SMALL, 1 + SMALL], [0.0, 1.0]),
    (ModelConfig, "uniform", [-SMALL], [0.0, 0.1]),
]


@pytest.mark.parametrize("limit", LIMITS, ids=name)
def test_limits(limit: Limit) -> None:
    check(limit, "(channels|time_strides)" if limit[1] == "channels" else None)  # of two that disagree, one is named


def test_no_recurrent_layers_only_behind_a_whole_encoder() -> None:
    assert ModelConfig(MdLstmFrontend(), layers=0).layers == 0
    with pytest.raises(ConfigError, match=r"^layers: must lie between 1 and 32"):
        ModelConfig(LineCnn(), layers=0)


def test_conditioning_stands_between_layers_and_leaves_the_rest_of_the_objective() -> None:
    assert ModelConfig(auxiliary=0.5, conditioning=0.5).conditioning == 0.5
    with pytest.raises(ConfigError, match=r"^conditioning: must lie in \[0, 1\], auxiliary added"):
        ModelConfig(auxiliary=0.5, conditioning=0.75)
    with pytest.raises(ConfigError, match=r"^conditioning: stands between layers; needs two or more"):
        ModelConfig(layers=1, conditioning=0.1)


def test_a_cell_that_is_not_known_is_told_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"^cell: 'peepholes' is not one of .*coupled, .*; did you mean 'peephole'\?$"):
        ModelConfig(cell="peepholes")
