"""Starting from the weights of a bundle, also one with another alphabet."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from recognizer.bundle.io import load_bundle
from recognizer.bundle.registry import find_bundle, locate_file
from recognizer.config import DECODER_FILES, AudioFeatures, Features, RecognizerConfig, TrainConfig, are_compatible
from recognizer.errors import BundleError, TrainingError
from recognizer.models.network import Network, label_axis
from recognizer.models.transducer import FRAME_OUTPUT
from recognizer.text.alphabet import BLANK, Alphabet


def pretrained_settings(bundle: str) -> RecognizerConfig:
    """The settings of a bundle for a run that starts from it, files of its decoder by paths that lead there from anywhere.

    A second recognizer (``decoder.combine_with``) is left out: it does not learn, and cannot write new symbols.

    Raises:
        BundleError: it is missing, damaged, altered or too new, or lacks a file that its settings name.
    """
    source = load_bundle(find_bundle(bundle))
    source.require_weights()
    decoder = source.config.decoder
    paths: dict[str, Any] = {"combine_with": None, "combine_lexicon": None}
    for key in DECODER_FILES:
        if key not in paths and (name := getattr(decoder, key)) is not None:
            path = locate_file(name, source.folder)
            if path is None:
                raise BundleError(f"{source.folder}: decoder.{key}: {name}: no such file; copy the bundle anew")
            paths[key] = str(path.absolute())
    return replace(source.config, decoder=replace(decoder, **paths))


def brings_statistics(bundle: str, config: TrainConfig) -> bool:
    """Whether the feature statistics of a run that starts from a bundle are those of the bundle.

    They are unless the run normalizes recordings by the corpus, as a network that streams must, and the bundle by the utterance: it has none.
    """
    return not _changes_normalization(load_bundle(find_bundle(bundle)).config.features, config.features)


def _changes_normalization(theirs: Features, ours: Features) -> bool:
    return isinstance(theirs, AudioFeatures) and isinstance(ours, AudioFeatures) and (theirs.normalize, ours.normalize) == ("utterance", "corpus")


def extend_alphabet(bundle: str, alphabet: Alphabet) -> Alphabet:
    """The alphabet of a bundle and behind it the symbols that it lacks; ``alphabet`` itself where the bundle writes at another level.

    Raises:
        BundleError: as :func:`pretrained_settings`.
    """
    known = load_bundle(find_bundle(bundle)).alphabet
    if known.level != alphabet.level:
        return alphabet
    return Alphabet((*known.symbols, *(symbol for symbol in alphabet.symbols if symbol not in set(known.symbols))), known.level)


def load_pretrained(bundle: str, config: TrainConfig, alphabet: Alphabet, network: Network) -> str:
    """Copy a bundle's weights and feature statistics into a new network; return a line that says what was taken.

    The rows of the output layer are copied symbol by symbol: of symbols (and the blank) that both alphabets have; the others
    stay as they were initialized. The new encoder may have more layers: the bundle's become its first ones, the layers above
    them and the output layer stay as initialized (growing layer by layer, Zeyer et al. 2017). A recognizer of units becomes the layers up to
    the output of units of a network that has one (``model.units_layer``); what its layers read of each other's outputs is left out. With
    another objective the encoder is copied, and the output layer if both have one. How line images are cleaned
    and how sound is dithered may differ; the statistics are the bundle's all the same (:func:`brings_statistics` names the exception).

    Raises:
        TrainingError: the bundle has other features or another network.
    """
    source = load_bundle(find_bundle(bundle))
    source.require_weights()
    features = source.config.features
    if _changes_normalization(features, config.features):
        features = replace(features, normalize="corpus")
    if not are_compatible(features, config.features):
        raise TrainingError(f"init={bundle}: its features differ from this run's; use the same features, or train without init")
    ours = network.state_dict()
    labels = {symbol: label for label, symbol in enumerate((BLANK, *source.alphabet.symbols))}
    shared = [(label, labels[s]) for label, s in enumerate((BLANK, *alphabet.symbols)) if s in labels]
    depth = source.config.model.num_layers
    grown, kept = 0 < depth < config.model.num_layers, False
    below = source.alphabet.level == "units" and depth == config.model.units_layer
    for name, tensor in ours.items():
        theirs = source.weights.get(name)
        if theirs is None and name.startswith(FRAME_OUTPUT):  # what a transducer adds to its prediction network begins as CTC's output
            theirs = source.weights.get(name.replace(FRAME_OUTPUT, "output."))
        if grown and _above(name, depth):
            continue
        if name.startswith("encoder.units."):  # the bundle's come first in the run's, see collect_units
            theirs = source.weights.get(name.removeprefix("encoder.units.")) if below else theirs
            rows = tensor.T if ".back." in name else tensor
            if theirs is not None:
                known = theirs.T if ".back." in name else theirs
                rows[: len(known)] = known.to(rows)
            continue
        if (axis := label_axis(name)) is not None:
            rows, their_rows = (tensor.T, None if theirs is None else theirs.T) if axis else (tensor, theirs)
            if their_rows is not None and their_rows.shape[1:] == rows.shape[1:]:
                for label, other in shared:
                    rows[label] = their_rows[other].to(rows)
                kept = True
            continue
        if theirs is None and name.startswith("head."):  # of an objective that the bundle was not trained for
            continue
        if theirs is None or theirs.shape != tensor.shape:
            found = "lacks it" if theirs is None else f"has shape {tuple(theirs.shape)}"
            shape = tuple(tensor.shape)
            raise TrainingError(f"init={bundle}: {name} of this run has shape {shape}, the bundle {found}; use the bundle's model settings")
        tensor.copy_(theirs)
    for name in source.weights:  # below an output of units, conditions read other symbols; in its place, its own do
        replaced = "encoder.conditions." if below else f"encoder.conditions.{config.model.units_layer - 1}."
        if name not in ours and not name.startswith(("auxiliary.", "output.", "head.", replaced)):  # which serve training, or another objective
            raise TrainingError(f"init={bundle}: {name} has no place in this run's network; use the bundle's model settings")
    network.load_state_dict(ours)
    second = source.config.decoder.partner
    note = f"; without its second recognizer {second}, which does not learn" if second and not config.decoder.combine_with else ""
    if grown:
        return f"started from {bundle}: its {depth} layers with {config.model.num_layers - depth} new above; the output begins anew{note}"
    if not kept:
        return f"started from {bundle}: its encoder; what writes the symbols begins anew{note}"
    return f"started from {bundle}: {len(shared) - 1} of {len(alphabet.symbols)} symbols keep their output rows{note}"


def _above(name: str, depth: int) -> bool:
    """Whether a weight belongs to what comes after the first ``depth`` recurrent layers."""
    layer = re.match(r"encoder\.(?:layers|highways)\.(\d+)\.", name)
    return int(layer[1]) >= depth if layer else name.startswith(("encoder.attention.", "output.", "head."))
