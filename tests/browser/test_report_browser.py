"""The rendered page: whole by itself, and usable in a browser, on a phone and on paper."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote

import pytest
from bs4 import BeautifulSoup
from matplotlib.image import imread

from batchscope.probes.registry import STUDY_FIGURES
from batchscope.report.render import render
from unit import fake_report

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (requirements/develop.in)")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("page")
    parameters = fake_report.write(root, outcomes={("full", 3): "diverged"})
    page = parameters["study"].parent / "report.html"
    render(fake_report.REPORT, parameters, page, root / "log.ipynb", fake_report.HOSTILE)
    return page


@pytest.fixture(scope="module")
def source(file: Path) -> BeautifulSoup:
    return BeautifulSoup(file.read_text(encoding="utf-8"), "html.parser")


@pytest.fixture
def requests() -> list[str]:
    return []


@pytest.fixture
def complaints() -> list[str]:
    return []


@pytest.fixture
def page(
    chromium: playwright.Browser, file: Path, requests: list[str], complaints: list[str]
) -> Iterator[playwright.Page]:
    opened = chromium.new_page(viewport={"width": 1280, "height": 900})
    opened.on("request", lambda request: requests.append(request.url))
    opened.on("console", lambda message: complaints.append(message.text))
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.goto(file.as_uri())
    yield opened
    opened.close()


# The file


def test_the_page_refers_to_nothing_outside_itself(source: BeautifulSoup, file: Path) -> None:
    loaded = [str(tag.get("src") or tag.get("href")) for tag in source.select("[src], link[href]")]
    assert all(url.startswith("data:") for url in loaded)
    assert not source.select("script[src], iframe, object, embed")
    styles = " ".join(style.get_text() for style in source.select("style"))
    assert "@import" not in styles
    assert "url(" not in styles
    links = {str(link["href"]) for link in source.select("a[href]")}
    outside = {link for link in links if not link.startswith("#")}
    assert outside
    assert all((file.parent / link).is_file() for link in outside)


def test_ids_are_unique_and_links_inside_the_page_resolve(source: BeautifulSoup) -> None:
    ids = [str(tag["id"]) for tag in source.select("[id]")]
    assert len(ids) == len(set(ids))
    links = {str(link["href"])[1:] for link in source.select("a[href^='#']")}
    assert links <= set(ids)
    bar = [str(link["href"])[1:] for link in source.select("nav a[href]")]
    assert bar == ["content", "answer", *(str(tag["id"]) for tag in source.select(".chapter > h2"))]
    named = {name for tag in source.select("[aria-labelledby]") for name in str(tag["aria-labelledby"]).split()}
    assert named <= set(ids)


def test_headings_come_in_order(source: BeautifulSoup) -> None:
    levels = [int(tag.name[1]) for tag in source.select("h1, h2, h3, h4, h5, h6")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_every_figure_is_there_with_an_alternative_text(source: BeautifulSoup) -> None:
    images = source.select("img")
    groups = ("answer", "losses", "accuracies", "runs", "targets", "times")
    shown = [name for name, figure in STUDY_FIGURES.items() if figure.group in groups and name != "answer_narrow"]
    assert len(images) == len(shown) - 1  # nothing is tuned, and no fit gave a critical size
    assert all(len(str(image["alt"])) > 20 for image in images)


def test_the_head_says_what_browsers_and_readers_need(source: BeautifulSoup) -> None:
    assert source.html["lang"] == "en"  # type: ignore[index]
    assert source.title.get_text() == fake_report.HOSTILE  # type: ignore[union-attr]
    assert "width=device-width" in str(source.select_one("meta[name=viewport]"))


def test_paths_of_the_machine_do_not_reach_the_page(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert str(file.parent) not in text
    assert "injected-parameters" not in text


def test_the_page_stays_small_beside_its_figures(file: Path) -> None:
    assert file.stat().st_size < 500_000


# The page in a browser


def test_no_request_leaves_the_page_and_nothing_complains(
    page: playwright.Page, file: Path, requests: list[str], complaints: list[str]
) -> None:
    page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
    page.wait_for_load_state("networkidle")
    assert {url for url in requests if not url.startswith("data:")} == {file.as_uri()}
    assert complaints == []
    assert page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")


def test_the_policy_stops_what_would_leave_the_page(page: playwright.Page, complaints: list[str]) -> None:
    blocked = page.evaluate("fetch('http://127.0.0.1:9/').then(() => false, () => true)")
    assert blocked
    assert any("Content Security Policy" in text for text in complaints)


def test_a_hostile_title_stays_text(page: playwright.Page) -> None:
    assert page.title() == fake_report.HOSTILE
    assert page.locator("h1").inner_text() == fake_report.HOSTILE


@pytest.fixture
def unfolded(page: playwright.Page) -> playwright.Page:
    page.get_by_role("button", name="Expand all").click()
    return page


def test_all_folded_pieces_open_and_close_at_once(page: playwright.Page) -> None:
    summary = page.locator("[id='table-summary:digits:task08-mlp']")
    assert not summary.is_visible()
    page.get_by_role("button", name="Expand all").click()
    assert summary.is_visible()
    page.get_by_role("button", name="Fold all").click()
    assert not summary.is_visible()


def test_the_first_screen_holds_the_answer(page: playwright.Page) -> None:
    playwright.expect(page.locator(".headline strong").first).to_be_in_viewport(ratio=1)
    playwright.expect(page.locator(".card .facts").first).to_be_in_viewport(ratio=1)
    playwright.expect(page.locator(".card img").first).to_be_in_viewport(ratio=0.9)


@pytest.mark.parametrize("width", [360, 390])
def test_the_figure_of_the_answer_is_whole_on_a_phone(page: playwright.Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    hidden = page.locator(".card figure.plot .scroll").first.evaluate("box => box.scrollWidth - box.clientWidth")
    assert hidden == 0
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_a_phone_shows_the_drawing_of_the_answer_that_was_made_for_it(page: playwright.Page) -> None:
    image = page.locator(".card figure.plot img").first
    widths, words = [], []
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 800})
        image.scroll_into_view_if_needed()
        page.wait_for_function("image => image.complete", arg=image.element_handle())
        widths.append(image.evaluate("image => image.naturalWidth"))
        with page.expect_download() as waiting:
            page.locator(".card figure.plot").first.get_by_role("button", name="SVG").click()
        words.append(Path(waiting.value.path()).read_text(encoding="utf-8").replace("'", '"'))
    assert widths == [576, 336]
    assert words == [fake_report.SVG, fake_report.NARROW]


def test_words_over_the_points_of_a_figure_lie_on_them_on_a_phone(page: playwright.Page) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    for figure in (".card figure.plot", "figure[id^='figure-curves_loss:']"):
        page.locator(figure).first.scroll_into_view_if_needed()
        spot, image = (page.locator(f"{figure} {part}").first for part in (".spot", "img"))
        spot.wait_for()
        (point, drawing) = (found.bounding_box() for found in (spot, image))
        assert point is not None
        assert drawing is not None
        across = (point["x"] + point["width"] / 2 - drawing["x"]) / drawing["width"]
        down = (point["y"] + point["height"] / 2 - drawing["y"]) / drawing["height"]
        assert (across, down) == (pytest.approx(0.5, abs=0.01), pytest.approx(0.25, abs=0.01))


def test_other_figures_scroll_on_a_phone_so_that_their_type_can_be_read(unfolded: playwright.Page) -> None:
    unfolded.set_viewport_size({"width": 390, "height": 800})
    widths = unfolded.locator("figure.plot:not(:has(picture)) img").evaluate_all("all => all.map(img => img.width)")
    assert {*widths} == {464}
    assert unfolded.evaluate("document.documentElement.scrollWidth") == 390


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_shadow_shows_on_a_phone_where_a_figure_goes_on(page: playwright.Page, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.set_viewport_size({"width": 390, "height": 800})
    box = page.locator("figure[id^='figure-accuracy_vs_batch:'] .scroll")

    def shadows() -> tuple[bool, bool]:
        shown = imread(io.BytesIO(box.screenshot()), format="png")[..., :3].mean(axis=2)
        middle = shown[60:-60].mean(axis=0)  # of columns of pixels, but for those with round corners or a dot
        return abs(middle[1] - middle[100]) > 0.08, abs(middle[-2] - middle[-100]) > 0.08

    assert shadows() == (False, True)
    box.evaluate("box => { box.scrollLeft = box.scrollWidth; }")
    assert shadows() == (True, False)


def test_figures_and_tables_are_saved_as_files(unfolded: playwright.Page) -> None:
    kinds = {}
    for kind, figure in {"SVG": ".card figure.plot", "PNG": ".card figure.plot", "CSV": "figure.table"}.items():
        with unfolded.expect_download() as waiting:
            unfolded.locator(figure).first.get_by_role("button", name=kind).click()
        kinds[kind] = Path(waiting.value.path()).read_bytes()
    assert kinds["SVG"].decode().replace("'", '"') == fake_report.SVG
    assert kinds["PNG"].startswith(b"\x89PNG")
    header, *rows = kinds["CSV"].decode().splitlines()
    assert header.startswith('"Batch size')
    assert len(rows) == 3


def _seen(page: playwright.Page, figure: str = "curves_loss") -> tuple[str, list[str]]:
    """The part of learning curves that is in sight, and the words that stand over it."""
    curves = page.locator(f"figure[data-views][id^='figure-{figure}:']")
    box = re.search("viewBox='([^']+)'", unquote(str(curves.locator("img").get_attribute("src"))))
    words = curves.locator(".spot").evaluate_all("spots => spots.map(spot => spot.dataset.words)")
    return box[1] if box else "", words


def test_learning_curves_change_their_axis_and_scale_with_the_keyboard(page: playwright.Page) -> None:
    axis, scale = (page.get_by_role("group", name=name, exact=True).first for name in ("Against", "Losses"))
    axis.get_by_label("epochs").focus()
    page.locator("figure[data-views] .spot").first.wait_for()
    assert _seen(page) == (fake_report.VIEWS["epochs-log"], ["at 54"])
    page.keyboard.press("ArrowRight")
    assert axis.get_by_label("seconds").is_checked()
    assert _seen(page) == (fake_report.VIEWS["seconds-log"], ["at 486"])
    page.keyboard.press("ArrowLeft")
    scale.get_by_label("linear").check()
    assert _seen(page) == (fake_report.VIEWS["epochs-linear"], ["at 270"])


def test_single_runs_follow_the_scale_of_the_learning_curves(unfolded: playwright.Page) -> None:
    first, second = unfolded.get_by_role("group", name="Losses", exact=True).all()
    assert unfolded.get_by_role("group", name="Against", exact=True).count() == 1
    first.get_by_label("linear").check()
    assert second.get_by_label("linear").is_checked()
    assert _seen(unfolded, "curves_article")[0] == fake_report.SCALES["linear"]
    second.get_by_label("log").check()
    assert [_seen(unfolded, name)[0] for name in ("curves_loss", "curves_article")] == ["0 0 432 216"] * 2


def _column(page: playwright.Page, table: str, number: int) -> list[str]:
    values: list[str] = page.locator(f"[id='{table}'] tbody tr > :nth-child({number})").evaluate_all(
        "cells => cells.map(cell => cell.dataset.value)"
    )
    return values


def test_tables_sort_by_number_both_ways_with_the_missing_last(unfolded: playwright.Page) -> None:
    page = unfolded
    table = "table-comparison:digits:task08-mlp"
    heading = page.locator(f"[id='{table}'] thead th").nth(2)
    heading.locator("button").click()
    ascending = _column(page, table, 3)
    assert heading.get_attribute("aria-sort") == "ascending"
    heading.locator("button").click()
    descending = _column(page, table, 3)
    assert heading.get_attribute("aria-sort") == "descending"
    known = sorted((float(value) for value in ascending if value), key=float)
    assert len(known) < len(ascending)
    assert [float(value) for value in ascending if value] == known
    assert [float(value) for value in descending if value] == known[::-1]
    assert ascending[len(known) :] == descending[len(known) :] == [""] * (len(ascending) - len(known))


def test_batch_sizes_sort_as_numbers_with_the_keyboard(unfolded: playwright.Page) -> None:
    page = unfolded
    table = "table-summary:digits:task08-mlp"
    heading = page.locator(f"[id='{table}'] thead th").first
    heading.locator("button").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    assert _column(page, table, 1) == ["1168.0", "32.0", "1.0"]
    other = page.locator(f"[id='{table}'] thead th").nth(1)
    other.locator("button").click()
    assert other.get_attribute("aria-sort") == "ascending"
    assert heading.get_attribute("aria-sort") is None


def test_code_is_hidden_until_asked_for(page: playwright.Page) -> None:
    code = page.locator("details.code pre")
    toggle = page.get_by_role("button", name="Show code")
    assert code.count() > 5
    assert not any(piece.is_visible() for piece in code.all())
    toggle.click()
    assert all(piece.is_visible() for piece in code.all())
    hide = page.get_by_role("button", name="Hide code")
    assert hide.get_attribute("aria-pressed") == "true"
    hide.click()
    assert not any(piece.is_visible() for piece in code.all())


def test_without_scripts_the_page_still_holds_everything(chromium: playwright.Browser, file: Path) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(file.as_uri())
    assert page.locator(".bar nav a").last.is_visible()
    assert page.locator("table.sortable button").count() == 0
    assert not page.locator(".toggle-code").is_visible()
    assert not page.locator(".expand").is_visible()
    page.locator("details.more summary").first.click()
    page.locator("details.code summary").first.click()
    assert page.locator("details.code pre").first.is_visible()
    context.close()


@pytest.mark.parametrize("width", [320, 380, 768, 1280])
def test_nothing_sticks_out_sideways(page: playwright.Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_on_a_phone_tables_scroll_in_their_own_box(unfolded: playwright.Page) -> None:
    page = unfolded
    page.set_viewport_size({"width": 380, "height": 800})
    scrolls = page.locator("[id='table-summary:digits:task08-mlp'] .scroll").evaluate(
        "box => box.scrollWidth > box.clientWidth && getComputedStyle(box).overflowX === 'auto' && box.tabIndex === 0"
    )
    assert scrolls


@pytest.mark.parametrize("chapter", ["Speed", "Claims"])
def test_the_bar_leads_to_a_chapter_and_marks_where_the_reader_is(page: playwright.Page, chapter: str) -> None:
    page.locator(".bar nav a", has_text=chapter).click()
    playwright.expect(page.locator(f"#{chapter.lower()}")).to_be_in_viewport()
    playwright.expect(page.locator(".bar [aria-current]")).to_have_text(chapter)


def test_on_paper_there_is_no_navigation_no_code_and_no_box_to_scroll(page: playwright.Page) -> None:
    page.get_by_role("button", name="Show code").click()
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 688, "height": 1000})  # A4 less its margins
    assert not page.locator(".bar").is_visible()
    assert not page.locator("details.code").first.is_visible()
    boxes = page.locator(".scroll").evaluate_all("all => all.map(box => getComputedStyle(box).overflowX)")
    assert set(boxes) == {"visible"}
    assert page.evaluate("document.documentElement.scrollWidth") == 688
    for figure in page.locator("figure.plot").all()[:2]:
        assert figure.evaluate("element => getComputedStyle(element).breakInside") == "avoid"


def test_the_answer_fits_on_a_sheet_of_paper_and_its_figure_can_be_read(page: playwright.Page) -> None:
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 688, "height": 1000})
    card, image = (page.locator(part).first.bounding_box() for part in (".card", ".card img"))
    assert card is not None
    assert image is not None
    assert card["height"] < 700
    assert 8.5 * image["width"] / 576 > 6.5  # points of its smallest type


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_axe_finds_nothing(chromium: playwright.Browser, file: Path, scheme: str, width: int) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="requirements/develop.in has axe")
    size = {"width": width, "height": 900}
    # The checker is a script of its own, which the page's policy would stop.
    with chromium.new_context(viewport=size, color_scheme=scheme, bypass_csp=True) as context:  # type: ignore[arg-type]
        page = context.new_page()
        page.goto(file.as_uri())
        for switch in (None, ".expand", ".toggle-code"):
            if switch:
                page.locator(switch).dispatch_event("click")
            found = axe.Axe().run(page).response
            assert len(found["passes"]) > 20
            assert [(each["id"], each["nodes"][0]["html"]) for each in found["violations"]] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_enough_contrast(page: playwright.Page, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.get_by_role("button", name="Show code").click()
    colours = page.evaluate(
        """() => {
            const opaque = element => {
                for (; element; element = element.parentElement) {
                    const colour = getComputedStyle(element).backgroundColor;
                    if (!/^rgba\\(.*, 0\\)$|transparent/.test(colour)) return colour;
                }
                return getComputedStyle(document.body).backgroundColor;
            };
            const found = new Set();
            for (const element of document.querySelectorAll("body *:not(script)")) {
                const text = [...element.childNodes].some(node => node.nodeType === 3 && node.data.trim());
                if (text) found.add(getComputedStyle(element).color + "|" + opaque(element));
            }
            return [...found];
        }"""
    )
    assert len(colours) > 3
    for pair in colours:
        text, ground = (_luminance(colour) for colour in pair.split("|"))
        assert (max(text, ground) + 0.05) / (min(text, ground) + 0.05) >= 4.5, pair


def _luminance(colour: str) -> float:
    """Relative luminance of an `rgb(...)` colour (WCAG 2.2)."""
    channels = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
