"""Print how many cores this process may use, or MB (a million bytes) of memory: `machine.py cores|memory`."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))

from batchscope.jobs import machine

if __name__ == "__main__":
    print({"cores": machine.usable_cores(), "memory": machine.memory_bytes() // 1_000_000}[sys.argv[1]])
