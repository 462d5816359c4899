"""The models of a service: one recognizer for each kind of source and lane, and how it reads a batch of requests."""

from __future__ import annotations

import copy
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recognizer.bundle.registry import DEFAULTS, find_bundle, shipped_bundles
from recognizer.config import Modality
from recognizer.errors import ConfigError, RecognizerError
from recognizer.serve.batcher import Job, Options
from recognizer.serve.settings import ServeSettings

if TYPE_CHECKING:
    from recognizer.inference.recognizer import Recognizer

MAX_VARIANTS = 8  # decoders with hotwords that are kept; each takes a second to make


@dataclass(frozen=True)
class Model:
    """A bundle in use: the name under which clients see it, its folder and its recognizer."""

    name: str
    folder: Path
    recognizer: Recognizer


class Models:
    """The recognizers of one lane; each is used by the lane's thread only.

    Args:
        settings: of the service.
        names: names or folders of bundles by kind of source, as a project has them; those of the settings come first.

    Raises:
        ConfigError: two models for the same kind of source.
        BundleError: one that is missing or damaged.
    """

    def __init__(self, settings: ServeSettings, names: dict[Modality, str | Path] | None = None) -> None:
        self._settings = settings
        self._models: dict[Modality, Model] = {}
        self._variants: OrderedDict[tuple[Modality, tuple[tuple[str, float], ...]], Recognizer] = OrderedDict()
        self._lock = threading.Lock()
        for name in settings.models:
            model = self.open(name)
            modality = model.recognizer.config.modality
            if modality in self._models:
                raise ConfigError(f"-m {name}: reads the same kind of source as {self._models[modality].name}; name one of the two")
            self._models[modality] = model
        for modality, wanted in {**DEFAULTS, **(names or {})}.items():
            if modality not in self._models and (wanted != DEFAULTS.get(modality) or str(wanted) in shipped_bundles()):
                self._models[modality] = self.open(wanted)

    @classmethod
    def of(cls, settings: ServeSettings, others: Models) -> Models:
        """Recognizers of their own for another lane, of the same bundles."""
        models = cls.__new__(cls)
        models._settings, models._variants, models._lock = settings, OrderedDict(), threading.Lock()
        models._models = {}
        for modality, model in others._models.items():
            models._models[modality] = models.open(model.folder)
        return models

    def open(self, name: str | Path) -> Model:
        """Load a bundle; raises BundleError if it is missing or damaged."""
        from recognizer.inference.recognizer import Recognizer

        settings = self._settings
        recognizer = Recognizer.load(name, settings.device, settings.precision, settings.threads)
        return Model(Path(name).name, find_bundle(name), recognizer)

    def use(self, model: Model) -> None:
        """Put a model in the place of that which read the same kind of source."""
        modality = model.recognizer.config.modality
        with self._lock:
            self._models[modality] = model
            for key in [key for key in self._variants if key[0] == modality]:
                del self._variants[key]

    def get(self, modality: Modality) -> Model | None:
        """The model for a kind of source, if there is one."""
        return self._models.get(modality)

    def all(self) -> list[Model]:
        """The models in use."""
        return list(self._models.values())

    def recognizer(self, options: Options) -> Recognizer:
        """The recognizer for a kind of source, its decoder preferring the hotwords of a request.

        Raises:
            ConfigError: no model for this kind of source.
            InputError: a hotword that the model cannot write.
        """
        model = self._models.get(options.modality)
        if model is None:
            raise ConfigError(f"no model here reads {options.modality}s")
        if not options.hotwords:
            return model.recognizer
        key = (options.modality, options.hotwords)
        with self._lock:
            found = self._variants.get(key)
            if found is not None:
                self._variants.move_to_end(key)
                return found
        variant = _prefer(model.recognizer, dict(options.hotwords))
        with self._lock:
            self._variants[key] = variant
            while len(self._variants) > MAX_VARIANTS:
                self._variants.popitem(last=False)
        return variant

    def read(self, jobs: Sequence[Job], done: Callable[[Job, Any], None]) -> None:
        """Recognize jobs of the same options; ``done`` is called with each result as it comes."""
        options = jobs[0].options
        recognizer = self.recognizer(options)
        if options.log_probs:
            for job in jobs:
                done(job, list(recognizer.emissions([job.source], job.sample_rate)))
            return
        if options.page:
            from recognizer.serve.pages import read_page

            for job in jobs:
                done(job, read_page(recognizer, job))
            return
        first, sources = jobs[0], [job.source for job in jobs]
        on_segment = first.hand_on if len(jobs) == 1 else None  # long recordings, which alone have stretches, come one at a time
        transcripts = recognizer.transcribe(sources, options.n_best, options.times, first.sample_rate, on_segment)
        for job, transcript in zip(jobs, transcripts, strict=True):
            done(job, transcript)


def _prefer(recognizer: Recognizer, hotwords: dict[str, float]) -> Recognizer:
    """A recognizer that shares everything with another but prefers some phrases."""
    from recognizer.config.overrides import override_decoder

    variant = copy.copy(recognizer)
    if variant.decoding.kind == "greedy":
        variant.decoding = override_decoder(variant.decoding, ["decoder=beam"])
    try:
        variant.decoder = variant.load_decoder(variant.decoding, hotwords)
    except RecognizerError as error:
        raise ConfigError(str(error)) from None
    return variant
