"""Draw what the network gives for a recording and for a line: posteriors of characters over the input, as the README shows them.

    python scripts/draw_log_probs.py [-o scripts/pictures]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from recognizer import Recognizer
from recognizer.audio.io import load_audio
from recognizer.bundle.registry import shipped_bundles
from recognizer.decoding.greedy import greedy
from recognizer.image.io import load_image
from recognizer.inference.runner import Emission

EXAMPLES = {"speech": ("speech-en", "let-me-go.opus"), "line": ("handwriting-fr", "photographe.webp")}
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")  # Okabe & Ito 2008: the color-blind can tell them apart
MIN_POSTERIOR = 0.02  # a symbol that is never likelier has no curve


def draw(name: str, path: Path) -> None:
    """One picture: the input above, the posteriors of its symbols below, each peak named."""
    model, file = EXAMPLES[name]
    source = shipped_bundles()[model].parent / "examples" / file
    recognizer = Recognizer.load(model)
    (emission,) = recognizer.emissions([source])
    figure, (above, below) = plt.subplots(2, 1, figsize=(10, 2.6), sharex=True, height_ratios=(1, 1.3), layout="constrained")
    if name == "speech":
        samples = load_audio(source, 16_000)
        above.plot(np.arange(len(samples)) / 16_000, samples, color="#666666", linewidth=0.4)
        below.set_xlabel("seconds")
    else:
        picture = load_image(source)
        above.imshow(picture, cmap="gray", aspect="auto", extent=(0, picture.shape[1], picture.shape[0], 0))
        below.set_xlabel("pixels")
    above.set_yticks([])
    draw_posteriors(below, emission, recognizer.alphabet.symbols)
    figure.savefig(path, dpi=110)
    plt.close(figure)
    print(path)


def draw_posteriors(axes: Axes, emission: Emission, symbols: tuple[str, ...]) -> None:
    """A curve for each symbol, the blank in gray, and the symbols of the best path over their peaks."""
    assert emission.log_probs is not None and emission.frame_times is not None
    posteriors = np.exp(emission.log_probs)
    places = [emission.frame_times.at(frame) for frame in range(len(posteriors))]
    axes.plot(places, posteriors[:, 0], color="#cccccc", linewidth=1)
    for label in np.flatnonzero(posteriors.max(axis=0) > MIN_POSTERIOR):
        if label:
            axes.plot(places, posteriors[:, label], color=COLORS[label % len(COLORS)], linewidth=1)
    best = greedy(emission.log_probs)
    for label, frame in zip(best.labels, best.frames, strict=True):
        text = symbols[label - 1].replace(" ", "\N{OPEN BOX}")
        axes.text(places[frame], 1.05, text, ha="center", fontsize=8, color=COLORS[label % len(COLORS)])
    axes.set(ylim=(0, 1.25), yticks=(0, 1), ylabel="posterior")
    axes.spines[["top", "right"]].set_visible(False)


def main() -> None:
    """Draw both pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, default=Path(__file__).parent / "pictures", help="folder (default: scripts/pictures)")
    folder = parser.parse_args().output
    folder.mkdir(parents=True, exist_ok=True)
    for name in EXAMPLES:
        draw(name, folder / f"{name}.png")


if __name__ == "__main__":
    main()
