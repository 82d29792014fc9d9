"""Print the name below results/ of a study's report, or of that of a table of runs: `report_name.py STUDY [RUNS]`."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

from batchscope.study.report_name import name_of  # noqa: E402

if __name__ == "__main__":
    study, *tables = sys.argv[1:]
    print(name_of(tables[0], ROOT / "config" / "studies") if any(tables) else Path(study).stem)
