"""How fast Batchscope is, part by part, beside what it is compared with.

    make benchmark        or: python benchmarks/performance [PART ...] [--quick]

Parts are scripts, updates, trials, starts, growth; all of them by default.
Each part's result is written into docs/performance.json as soon as it is there, and docs/performance.md and its figure
with it; the other parts stay as they are. With --quick all is small, which shows that a part works and not how fast
anything is: the page is printed, and docs/ stays as it is.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(1, str(ROOT / "scripts"))

import machine  # noqa: E402
import page  # noqa: E402
import part  # noqa: E402


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure the parts that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(part.PARTS)}; all by default")
    parser.add_argument("--quick", action="store_true", help="small, to see that it works; print the page")
    options = parser.parse_args(arguments)
    if unknown := [name for name in options.parts if name not in part.PARTS]:
        parser.error(f"{unknown[0]} is no part; valid is {', '.join(part.PARTS)}")
    names = options.parts or part.PARTS
    if not options.quick:
        measure(names, ROOT / "docs", quick=False)
        return
    with tempfile.TemporaryDirectory(prefix="performance-") as folder:
        measure(names, Path(folder), quick=True)
        print((Path(folder) / "performance.md").read_text(encoding="utf-8"))


def measure(names: Sequence[str], folder: Path, *, quick: bool) -> None:
    """Measure one part after another; what is in `folder` is whole after each."""
    for name in names:
        about, start = machine.about(), time.monotonic()
        result = part.load(name).measure(quick)
        about |= {"load_after": machine.load(), "minutes": round((time.monotonic() - start) / 60, 1)}
        page.write(folder, {**page.read(folder), name: {"machine": about, "result": result}})


if __name__ == "__main__":
    main()
