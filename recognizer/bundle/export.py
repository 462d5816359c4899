"""A bundle exported to ONNX: a graph in place of its weights, which runs without torch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from recognizer import __version__
from recognizer.bundle.convert import collect_files
from recognizer.bundle.io import GRAPH, Bundle, digest_of, load_bundle, save_bundle
from recognizer.bundle.onnx_file import describe_model
from recognizer.bundle.provenance import TRAINED_ON
from recognizer.bundle.registry import PARTNER, find_partner
from recognizer.config import DECODER_FILES, DecoderConfig, RecognizerConfig
from recognizer.errors import ConfigError
from recognizer.utils.files import write_bytes


def export(bundle: Bundle, output: Path, int8: bool = False) -> Path:
    """Write a bundle as ONNX.

    To a folder goes a whole bundle, with the files of its decoder and, in a folder of its own, the recognizer that decides with it: all
    that a result depends on. To a name that ends in ``.onnx`` goes the graph alone, whose metadata say what it takes and writes; it is
    decoded greedily.

    Args:
        bundle: with weights.
        output: a folder, or a file ``*.onnx``.
        int8: matrices as int8: a quarter of the size, which costs some accuracy, and needs onnxruntime.

    Returns:
        The path of the graph.

    Raises:
        ConfigError: the package ``onnx`` is missing, or a part of the network cannot be exported.
        BundleError: the bundle has no weights, or the output cannot be written.
    """
    try:
        import onnx  # noqa: F401
    except ImportError:
        raise ConfigError("export: needs the package onnx; run `pip install 'recognizer[onnx]'`") from None
    if output.suffix == ".onnx":
        write_bytes(output, _graph(bundle, bundle.config, {}, int8))
        return output
    config, files = collect_files(bundle)
    partner = None
    if config.decoder.partner is not None:
        partner = load_bundle(find_partner(config.decoder.partner, bundle.folder))
        config = replace(config, decoder=replace(config.decoder, combine_with=f"./{PARTNER}"))
    digests = {name: digest_of(files[name]) for key in DECODER_FILES if (name := getattr(config.decoder, key)) in files}
    graph = _graph(bundle, config, digests, int8)

    def add_partner(folder: Path) -> None:
        if partner is not None:
            own = replace(partner.config, decoder=DecoderConfig())
            said = f"# {PARTNER}\n\nDecides together with the bundle that this folder lies in.\n{_note(partner, int8)}"
            known = {TRAINED_ON: partner.folder / TRAINED_ON} if TRAINED_ON in partner.others else {}
            save_bundle(folder / PARTNER, own, partner.alphabet, _graph(partner, own, {}, int8), said, known)

    save_bundle(output, config, bundle.alphabet, graph, bundle.card() + _note(bundle, int8), files, add_partner)
    return output / GRAPH


def _graph(bundle: Bundle, config: RecognizerConfig, files: dict[str, str], int8: bool) -> bytes:
    from recognizer.models.export.network import build_model, check_exportable

    check_exportable(config)
    metadata = describe_model(bundle, config, files, bundle.card() + _note(bundle, int8), int8)
    model: bytes = build_model(bundle.network(), config, metadata, int8).SerializeToString()
    return model


def _note(bundle: Bundle, int8: bool) -> str:
    """What the card of an exported bundle says besides that of the original."""
    from recognizer.models.export.graph import OPSET

    said = f"* Exported from `{bundle.folder.name}` by recognizer {__version__} to ONNX, operators of version {OPSET}."
    if int8:
        said += """
* Its matrices are int8, each column with a scale of its own, and what they are multiplied with is quantized as it comes.
  Figures above are those of the original; what int8 costs says `export --measure dev.jsonl`:"""
    return f"\n## Exported\n\n{said}\n"
