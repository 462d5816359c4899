"""Random numbers of one item in one epoch, the same wherever and whenever they are drawn."""

from __future__ import annotations

import hashlib
import json

import numpy as np


def item_rng(seed: int, epoch: int, item_id: str, purpose: str = "") -> np.random.Generator:
    """A generator that depends on its four arguments and on nothing else.

    Worker processes, the order of batches and ``PYTHONHASHSEED`` do not enter, so an augmented item is the same after a
    resume and with any number of workers. Different purposes (waveform, masks) give independent streams.
    """
    # JSON keeps the parts apart: ("a", "bc") and ("ab", "c") must differ.
    key = json.dumps([seed, epoch, item_id, purpose]).encode()
    return np.random.default_rng(int.from_bytes(hashlib.blake2b(key, digest_size=16).digest(), "little"))
