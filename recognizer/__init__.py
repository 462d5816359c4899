"""Speech and handwriting recognition with stacked bidirectional LSTMs and CTC."""

__version__ = "0.1.0"
