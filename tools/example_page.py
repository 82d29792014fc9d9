"""Make the example page and the pictures of README.md from a study that has run: `tools/example_page.py [STUDY]`.

Writes docs/example-report.html, the page without its links to files beside it, and docs/report-answer.png and
docs/report-curves.png, its first screen and its learning curves. Needs playwright and a Chromium, as the browser tests.
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
sys.path.insert(0, str(ROOT / "scripts"))

from batchscope.identity.digests import sealed_markup  # noqa: E402

MOST_BYTES = {".html": 2_000_000, ".png": 300_000}
_SEAL = re.compile(r"<!-- sha256 \w+ -->\s*$")
_LINK_TO_FILE = re.compile(r'<a href="(?!#)[^"]*">(.*?)</a>', re.DOTALL)


def main(study: str = "quickstart") -> None:
    """Write the three files; ends with a sentence if the report is missing, names this machine or is too large."""
    report = ROOT / "results" / study / "report.html"
    if not report.is_file():
        sys.exit(f"results/{study}/report.html is missing: run `make report STUDY={study}` first")
    page = DOCS / "example-report.html"
    html = _SEAL.sub("", report.read_text(encoding="utf-8"))
    if any(str(folder) in html for folder in (ROOT, Path.home())):
        sys.exit(
            f"results/{study}/report.html names a folder of this machine; valid is one of `make report STUDY={study}`"
        )
    page.write_text(sealed_markup(_LINK_TO_FILE.sub(r"\1", html)), encoding="utf-8")
    for made in (page, *pictures(page)):
        if made.stat().st_size > MOST_BYTES[made.suffix]:
            sys.exit(f"{made.relative_to(ROOT)} has {made.stat().st_size:,} bytes; at most {MOST_BYTES[made.suffix]:,}")


def pictures(page: Path) -> list[Path]:
    """The first screen, and the learning curves with their switches."""
    browser_file = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=browser_file, args=["--no-sandbox"])
        opened = browser.new_page(viewport={"width": 1280, "height": 900})
        opened.goto(page.as_uri())
        found = [_shot(opened, "report-answer.png")]
        opened.locator(".switches").first.evaluate("box => scrollTo(0, box.getBoundingClientRect().top + scrollY - 70)")
        opened.set_viewport_size({"width": 1280, "height": 520})
        found.append(_shot(opened, "report-curves.png"))
        browser.close()
    return found


def _shot(page: Page, name: str) -> Path:
    page.wait_for_timeout(500)  # until smooth scrolling has come to rest
    page.screenshot(path=DOCS / name)
    return DOCS / name


if __name__ == "__main__":
    main(*sys.argv[1:])
