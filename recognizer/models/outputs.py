"""Which weights of a network belong to single labels of its alphabet."""

from __future__ import annotations

import re

_OUTPUTS = re.compile(r"(?:output|auxiliary|encoder\.conditions\.\d+\.(output|back))\.")


def label_axis(name: str) -> int | None:
    """The axis of a weight, by its name in the state of a :class:`~recognizer.models.network.Network`, along which each label has its own part.

    Output layers have a row a label, what leads readings back into the encoder a column; all other weights (None) are of no label.
    """
    layer = _OUTPUTS.match(name)
    return None if layer is None else int(layer[1] == "back")
