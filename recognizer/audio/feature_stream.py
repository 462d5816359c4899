"""Features of a recording that is still going on: framing carries samples from one piece to the next."""

from __future__ import annotations

import torch
from torch import Tensor

from recognizer.audio.features import AudioFeatureExtractor
from recognizer.config import AudioFeatures
from recognizer.errors import ConfigError


def check_features_stream(config: AudioFeatures) -> None:
    """Refuse settings by which a frame depends on the whole recording.

    Raises:
        ConfigError: which names the setting.
    """
    if config.normalize == "utterance":
        advice = "train with features.normalize=corpus"
        raise ConfigError(f"features.normalize: utterance needs the whole utterance before its first frame, so that it cannot be streamed; {advice}")
    if config.dither:
        reason = "its level is that of the whole utterance, so that it cannot be streamed"
        raise ConfigError(f"features.dither: {config.dither:g}: {reason}; train with features.dither=0 (init= takes a bundle with another value)")


class FeatureStream:
    """The frames of one recording, piece by piece: those of the extractor over all of it.

    Args:
        extractor: of features that do not depend on the whole recording.

    Raises:
        ConfigError: they do.
    """

    def __init__(self, extractor: AudioFeatureExtractor) -> None:
        check_features_stream(extractor.config)
        self._extractor = extractor
        self._side = 2 * extractor.config.deltas  # frames on either side that a difference is taken over
        self._samples = torch.empty(0)  # from the first one of frame `_first` on
        self._first, self._done = 0, 0  # frame that the samples begin with; frames given so far

    @property
    def delay(self) -> int:
        """Samples behind the first one of a frame that must be there before it comes out."""
        return self._extractor.window + self._side * self._extractor.hop

    def feed(self, samples: Tensor, last: bool = False) -> Tensor:
        """The frames (T, D) that these samples (N,) complete; ``last``: nothing follows."""
        extractor = self._extractor
        self._samples = torch.cat([self._samples, samples.float().cpu()])
        size = len(self._samples)
        whole = max(0, 1 + (size - extractor.window) // extractor.hop)
        known = extractor.frames(size) if last and self._first == 0 else self._first + whole  # a recording shorter than a window has a frame
        stop = known if last else known - self._side
        if stop <= self._done:
            return torch.empty(0, extractor.dim, device=extractor.mean.device)
        inputs = self._samples[None].to(extractor.mean.device)
        features = extractor(inputs, torch.tensor([size], device=inputs.device))[0][0, self._done - self._first : stop - self._first]
        keep = max(0, stop - self._side)
        self._samples = self._samples[(keep - self._first) * extractor.hop :]
        self._first, self._done = keep, stop
        return features
