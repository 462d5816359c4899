"""Starting from the weights of a bundle, also one with another alphabet."""

from __future__ import annotations

import re

from recognizer.alphabet import BLANK, Alphabet
from recognizer.bundle import load_bundle
from recognizer.bundles import find_bundle
from recognizer.config import TrainConfig, are_akin
from recognizer.errors import TrainingError
from recognizer.models.network import Network
from recognizer.models.outputs import label_axis


def start_from(bundle: str, config: TrainConfig, alphabet: Alphabet, network: Network) -> str:
    """Copy a bundle's weights and feature statistics into a fresh network; return a line that says what was taken.

    Output rows go over symbol by symbol: those of symbols (and the blank) that both alphabets have are kept, the others
    stay as they were initialised. A deeper encoder may grow out of a shallower one: its first layers are the bundle's, the
    layers above and the output they feed begin anew (layer by layer, Zeyer et al. 2017). How line images are cleaned and
    how sound is dithered may differ; the statistics are the bundle's all the same.

    Raises:
        TrainingError: the bundle has other features or another network.
    """
    source = load_bundle(find_bundle(bundle))
    if not are_akin(source.recipe.features, config.features):
        raise TrainingError(f"init={bundle}: its features differ from this run's; use the same features, or train without init")
    ours = network.state_dict()
    labels = {symbol: label for label, symbol in enumerate((BLANK, *source.alphabet.symbols))}
    shared = [(label, labels[s]) for label, s in enumerate((BLANK, *alphabet.symbols)) if s in labels]
    depth = source.recipe.model.layers
    grown = 0 < depth < config.model.layers
    for name, tensor in ours.items():
        theirs = source.weights.get(name)
        if grown and _above(name, depth):
            continue
        if (axis := label_axis(name)) is not None:
            rows, their_rows = (tensor.T, None if theirs is None else theirs.T) if axis else (tensor, theirs)
            if their_rows is not None and their_rows.shape[1:] == rows.shape[1:]:
                for label, other in shared:
                    rows[label] = their_rows[other].to(rows)
            continue
        if theirs is None or theirs.shape != tensor.shape:
            found = "lacks it" if theirs is None else f"has shape {tuple(theirs.shape)}"
            shape = tuple(tensor.shape)
            raise TrainingError(f"init={bundle}: {name} of this run has shape {shape}, the bundle {found}; use the bundle's model settings")
        tensor.copy_(theirs)
    for name in source.weights:
        if name not in ours and not name.startswith("auxiliary."):  # which serves training only
            raise TrainingError(f"init={bundle}: {name} has no place in this run's network; use the bundle's model settings")
    network.load_state_dict(ours)
    if grown:
        return f"started from {bundle}: its {depth} layers with {config.model.layers - depth} new above; the output begins anew"
    return f"started from {bundle}: {len(shared) - 1} of {len(alphabet.symbols)} symbols keep their output rows"


def _above(name: str, depth: int) -> bool:
    """Whether a weight belongs to what stands on the first ``depth`` recurrent layers."""
    part = re.match(r"encoder\.(?:layers|highways)\.(\d+)\.", name)
    return int(part[1]) >= depth if part else name.startswith(("encoder.attention.", "output."))
