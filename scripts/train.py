"""`recognizer train`, runnable by name from a checkout: ``python scripts/train.py experiment=... trainer.epochs=5``."""

from __future__ import annotations

import sys

from recognizer.cli import main

if __name__ == "__main__":
    sys.exit(main(["train", *sys.argv[1:]]))
