"""A study of 300 runs and 20 workloads opens at once: what is folded waits until it is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from batchscope.report.render import render
from unit import fake_report

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (requirements/develop.in)")

WORKLOADS = tuple(f"net-{number:02}" for number in range(20))
DRAWN = 12  # figures that stand open, in whatever number of workloads
# As many vertices as a real figure has.
SVG = fake_report.SVG.replace(
    "</svg>", f'<path fill="none" d="M{" ".join(f"{x / 20} {x % 97}" for x in range(4000))}"/></svg>'
)
TASKS = """
    window.tasks = [];
    const keep = (list) => list.getEntries().forEach((task) => window.tasks.push([task.startTime, task.duration]));
    new PerformanceObserver(keep).observe({ type: "longtask", buffered: true });
"""


@pytest.mark.long
def test_the_first_screen_of_many_workloads_waits_for_no_figure(chromium: playwright.Browser, tmp_path: Path) -> None:
    parameters = fake_report.write(
        tmp_path, sizes=(16, 64, 256), seeds=(1, 2, 3, 4, 5), epochs=3, recipes=WORKLOADS, svg=SVG
    )
    file = tmp_path / "report.html"
    render(fake_report.REPORT, parameters, file, tmp_path / "log.ipynb", "Many workloads")
    assert file.stat().st_size > 12_000_000
    page = chromium.new_page(viewport={"width": 1280, "height": 900})
    page.add_init_script(TASKS)
    page.goto(file.as_uri())
    _say_times(page)
    answers = page.locator("#answer table").first
    playwright.expect(answers).to_be_in_viewport()
    assert answers.locator("tbody tr").count() == len(WORKLOADS)
    assert page.locator(".card").count() == len(WORKLOADS)
    assert not any(card.is_visible() for card in page.locator(".card").all())
    shown = "[...document.images].filter((image) => image.checkVisibility()).length"
    assert page.evaluate(shown) <= DRAWN
    assert page.locator("figure.plot").count() >= 20 * len(WORKLOADS)
    assert page.locator(".spot").count() == 0
    page.locator("details.more", has=page.locator(".card")).first.locator("summary").first.click()
    playwright.expect(page.locator(".card .headline").first).to_be_visible()
    page.close()


def _say_times(page: playwright.Page) -> None:
    """Print what a machine's load changes, so that no test depends on it."""
    first = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? NaN")
    longest = max((length for start, length in page.evaluate("tasks") if start < first), default=0.0)
    print(f"first contentful paint after {first:.0f} ms; the longest task before it took {longest:.0f} ms")
