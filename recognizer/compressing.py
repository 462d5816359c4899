"""`recognizer compress`: a recogniser that computes less, by fewer filters and by recurrent layers that read fewer numbers."""

from __future__ import annotations

import argparse
import random
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from recognizer.bundle import Bundle, load_bundle, save_bundle
from recognizer.bundles import find_bundle
from recognizer.config import DecoderConfig, LineCnn, RecipeConfig, SpeechCnn
from recognizer.data.manifest import Item, load_manifest
from recognizer.data.provenance import TRAINED_ON, Provenance
from recognizer.errors import ConfigError, ManifestError
from recognizer.host import prepare_host
from recognizer.models.low_rank import ConvolutionWitness, RecurrentWitness
from recognizer.models.network import Network
from recognizer.pipeline import Recognizer
from recognizer.progress import Progress


@dataclass(frozen=True)
class Compressed:
    """What became of the layers."""

    weights: dict[str, Tensor]  # of the whole network
    layers: tuple[tuple[str, int, float], ...]  # name, rank, and share of the variance of its answers that is left


def compress(
    bundle: Bundle,
    items: Sequence[Item],
    frontend_ranks: Sequence[int] = (),
    ranks: Sequence[int] = (),
    threads: int = 0,
    progress: Progress | None = None,
) -> tuple[RecipeConfig, Compressed]:
    """The settings and weights of a recogniser whose layers answer to ``items`` as the bundle's do, as far as the ranks let them.

    Args:
        bundle: a recogniser.
        items: such as it was trained on, without regard to transcripts; one or two hundred are enough. Those that cannot be used are named.
        frontend_ranks: filters that each convolution's channels are mixed from, the lowest first; 0: as it is; none given: all as they are.
        ranks: numbers that each recurrent layer's input is reduced to; likewise.
        threads: of the CPU; 0: all cores.
        progress: told what is left out.

    Raises:
        ConfigError: ranks that do not fit the network or save nothing, or layers that cannot be made so.
        ManifestError: no item can be used.
    """
    recipe = _reduce(bundle.recipe, tuple(frontend_ranks), tuple(ranks))
    recognizer = Recognizer(bundle, "cpu", decoder=DecoderConfig(), threads=threads)
    assert isinstance(recognizer.network, Network)
    witnesses = _place_witnesses(recognizer.network, frontend_ranks, ranks)
    handles = [witness.layer.register_forward_pre_hook(witness.note) for witness, _ in witnesses.values()]
    try:
        heard = _run(recognizer, items, progress or Progress(quiet=True))
    finally:
        for handle in handles:
            handle.remove()
    if not heard:
        raise ManifestError("no item could be used for compressing")
    weights, layers = dict(bundle.weights), []
    with torch.no_grad():
        for name, (witness, rank) in witnesses.items():
            parts, share = witness.factor(rank)
            weights |= {f"{name}.{part}": tensor for part, tensor in parts.items()}
            layers.append((name, rank, share))
    return recipe, Compressed(weights, tuple(layers))


def _run(recognizer: Recognizer, items: Sequence[Item], progress: Progress) -> int:
    """Put items through the network; how many could be used."""
    heard = 0
    for item, emission in zip(items, recognizer.emissions(item.source for item in items), strict=True):
        if emission.table is None or len(emission.table) == 0:
            progress.line(f"left out: {item.id}: {emission.error or 'silence, or a blank line'}")
            continue
        heard += 1
        progress.update(f"items: {heard}/{len(items)}")
    return heard


def _reduce(recipe: RecipeConfig, frontend_ranks: tuple[int, ...], ranks: tuple[int, ...]) -> RecipeConfig:
    """The settings with these ranks."""
    model = recipe.model
    if not any(frontend_ranks) and not any(ranks):
        raise ConfigError("compress: nothing to do; give --ranks, --frontend-ranks or both")
    if model.ranks or getattr(model.frontend, "ranks", ()):
        raise ConfigError("compress: the recogniser is compressed already; take the one that it was made from")
    if frontend_ranks:
        if not isinstance(model.frontend, (LineCnn, SpeechCnn)):
            raise ConfigError(f"--frontend-ranks: the front-end ({model.frontend.kind}) has no convolutions")
        _check_number("--frontend-ranks", frontend_ranks, len(model.frontend.channels))
        _check_ranks("--frontend-ranks", frontend_ranks, model.frontend.channels, "channels")
        model = replace(model, frontend=replace(model.frontend, ranks=frontend_ranks))
    if ranks:
        _check_number("--ranks", ranks, model.layers)
    return replace(recipe, model=replace(model, ranks=ranks))


def _place_witnesses(
    network: Network, frontend_ranks: Sequence[int], ranks: Sequence[int]
) -> dict[str, tuple[ConvolutionWitness | RecurrentWitness, int]]:  # fmt: skip
    """By the name of each layer that has a rank, who watches it, and the rank."""
    found: dict[str, tuple[ConvolutionWitness | RecurrentWitness, int]] = {}
    convolutions = getattr(network.frontend, "layers", ()) if any(frontend_ranks) else ()
    for number, (layer, rank) in enumerate(zip(convolutions, frontend_ranks, strict=bool(convolutions))):
        if rank:
            found[f"frontend.layers.{number}"] = ConvolutionWitness(layer), rank
    layers = getattr(network.encoder, "layers", ()) if any(ranks) else ()
    if layers:
        if not hasattr(layers[0].forwards, "weight_ih_l0"):
            raise ConfigError("--ranks: this cell has no single matrix that its input goes through")
        _check_ranks("--ranks", ranks, [layer.forwards.inputs for layer in layers], "numbers in a frame")
    for number, (layer, rank) in enumerate(zip(layers, ranks, strict=bool(layers))):
        if rank:
            found[f"encoder.layers.{number}"] = RecurrentWitness(layer), rank
    return found


def _check_number(option: str, ranks: Sequence[int], layers: int) -> None:
    if len(ranks) != layers:
        raise ConfigError(f"{option}: {len(ranks)} numbers for {layers} layers; give one for each, 0 for one that stays as it is")


def _check_ranks(option: str, ranks: Sequence[int], sizes: Sequence[int], what: str) -> None:
    for number, (rank, size) in enumerate(zip(ranks, sizes, strict=True), start=1):
        if rank >= size:
            raise ConfigError(f"{option}: {rank} is not less than the {size} {what} of layer {number}, and saves nothing")


def compress_bundle(options: argparse.Namespace) -> int:
    """Carry out the command."""
    bundle = load_bundle(find_bundle(options.bundle))
    items = load_manifest(options.manifest)
    chosen = random.Random(options.seed).sample(items, min(options.items, len(items)))
    prepare_host(options.threads)
    progress = Progress(options.quiet)
    recipe, done = compress(bundle, chosen, options.frontend_ranks, options.ranks, options.threads, progress)
    files = {name: bundle.folder / name for name in bundle.others}
    with tempfile.TemporaryDirectory() as temporary:
        seen = Provenance.of(chosen, ())  # weights are fitted to them, if without their texts
        if TRAINED_ON in files:
            seen |= Provenance.parse(files[TRAINED_ON].read_text(encoding="utf-8"))
        files[TRAINED_ON] = Path(temporary) / TRAINED_ON
        files[TRAINED_ON].write_text(seen.to_text(), encoding="utf-8")
        save_bundle(Path(options.output), recipe, bundle.alphabet, done.weights, bundle.card(), files)
    for name, rank, share in done.layers:
        print(f"{name}: rank {rank}, {100 * share:.1f} % of the variance")
    before, after = (sum(tensor.numel() for tensor in weights.values()) for weights in (bundle.weights, done.weights))
    print(f"{options.output}: {before / 1e6:.2f} -> {after / 1e6:.2f} M weights")
    return 0
