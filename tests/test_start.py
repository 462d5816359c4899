"""The collector rests while libraries are imported, and only then."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import gc, sys, types
from recognizer.start import quick_imports

before = gc.get_freeze_count()
try:
    with quick_imports():
        assert not gc.isenabled()
        kept = [[n] for n in range(5000)]
        import no_such_module
except ImportError:
    pass
frozen = gc.get_freeze_count()
assert gc.isenabled() and frozen >= before + 5000
loop = []
loop.append(loop)
del loop
assert gc.collect() >= 1  # what comes later is looked at as ever
sys.modules["torch"] = types.ModuleType("torch")
with quick_imports():
    assert gc.isenabled()
assert gc.get_freeze_count() <= frozen
del sys.modules["torch"]
gc.disable()
with quick_imports():
    pass
assert not gc.isenabled() and gc.get_freeze_count() <= frozen  # whoever had put it to rest finds it so
"""


def test_the_collector_rests_while_libraries_come_in() -> None:
    subprocess.run([sys.executable, "-c", SCRIPT], check=True)
