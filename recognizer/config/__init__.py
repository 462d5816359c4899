"""Typed settings: the dataclasses hold every default, and the files in ``conf/`` only what differs."""

from recognizer.config.augment import AudioAugment, Augment, LineAugment, NoAugment, StrokeAugment
from recognizer.config.decoder import DECODER_FILES, UNITS, Calibration, DecoderConfig, PlattScaling
from recognizer.config.features import AudioFeatures, Features, LineFeatures, Modality, StrokeFeatures, are_compatible
from recognizer.config.model import CellParts, CellSettings, LineCnn, MdLstmFrontend, ModelConfig, NoFrontend, SpeechCnn, Stack, cell_names
from recognizer.config.objective import Attention, Ctc, Joint, MinimumRisk, Objective, Transducer
from recognizer.config.settings import CorpusConfig, RecognizerConfig, TextConfig, TrainConfig, TrainerConfig

__all__ = [
    "DECODER_FILES", "UNITS",
    "Attention", "AudioAugment", "AudioFeatures", "Augment", "Calibration", "CellParts", "CellSettings", "CorpusConfig", "Ctc",
    "DecoderConfig",
    "Features", "Joint", "LineAugment", "LineCnn", "LineFeatures", "MdLstmFrontend", "MinimumRisk", "Modality", "ModelConfig", "NoAugment",
    "NoFrontend", "Objective", "PlattScaling", "RecognizerConfig", "SpeechCnn", "Stack", "StrokeAugment", "StrokeFeatures", "TextConfig",
    "TrainConfig", "TrainerConfig", "Transducer", "are_compatible", "cell_names",
]  # fmt: skip
