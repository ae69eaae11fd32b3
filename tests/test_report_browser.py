"""The report in a real browser: nothing overlaps, nothing is loaded, everything that can be clicked works."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mfcl.report import make_report
from mfcl.report.clip_map import write_map
from tests.report_data import COMMAND, write_study
from tests.small_labels import embeddings
from tests.test_report import split_map
from tests.test_report_size import many

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (pip install playwright)")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on the PATH (apt-get install chromium)"),
    pytest.mark.slow,
]

SCREENS = [(width, scheme) for width in (390, 1280) for scheme in ("light", "dark")]

OVERLAPS = """(selector) => {
  const found = [];
  for (const box of document.querySelectorAll(selector)) {
    const outer = box.getBoundingClientRect();
    if (!outer.width) continue;
    const walker = document.createTreeWalker(box, NodeFilter.SHOW_TEXT);
    const texts = [];
    for (let node; (node = walker.nextNode());) {
      if (!node.textContent.trim() || node.parentElement.closest("title, desc")) continue;
      const range = document.createRange();
      range.selectNodeContents(node);
      for (const r of range.getClientRects()) texts.push([node.textContent, r]);
    }
    for (const [i, [a, p]] of texts.entries()) {
      const name = box.getAttribute("aria-label") || box.className;
      const outside = p.left < outer.left - 1 || p.right > outer.right + 1 || p.bottom > outer.bottom + 1;
      if (outside) found.push(`${a} leaves ${name}`);
      for (const [b, q] of texts.slice(i + 1)) {
        const across = Math.min(p.right, q.right) - Math.max(p.left, q.left);
        const down = Math.min(p.bottom, q.bottom) - Math.max(p.top, q.top);
        if (across > 0.5 && down > 3) found.push(`${a} | ${b} in ${name}`);
      }
    }
  }
  return found;
}"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = write_study(tmp_path_factory.mktemp("study"), speakers=12, takes=1, sounds=True)
    return make_report(folder, with_audio=True).as_uri()


@pytest.fixture(scope="module")
def nasty(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = write_study(tmp_path_factory.mktemp("nasty"), seeds=1, speakers=60, takes=1, nasty=True, done=3)
    return make_report(folder).as_uri()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as running:
        started = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


class Watched:
    """A page and everything that it should not do."""

    def __init__(self, browser: Any, address: str, width: int = 1280, scheme: str = "light") -> None:
        self.context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
        self.page = self.context.new_page()
        self.wrong: list[str] = []
        self.page.on("console", lambda message: self.wrong.append(message.text))
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("request", lambda request: self._asked(request.url, address))
        self.page.on("dialog", lambda dialog: (self.wrong.append(dialog.message), dialog.dismiss()))
        self.page.goto(address)

    def _asked(self, url: str, address: str) -> None:
        if not url.startswith("data:") and url.partition("#")[0] != address:
            self.wrong.append(url)

    def __enter__(self) -> Any:
        return self.page

    def __exit__(self, *_: object) -> None:
        self.context.close()
        assert self.wrong == []


@pytest.mark.parametrize(("width", "scheme"), SCREENS)
@pytest.mark.parametrize("which", ["address", "nasty"])
def test_nothing_overlaps_and_no_page_scrolls_sideways(
    browser: Any, request: pytest.FixtureRequest, which: str, width: int, scheme: str
) -> None:
    with Watched(browser, request.getfixturevalue(which), width, scheme) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(OVERLAPS, ".chart") == []
        assert page.evaluate(OVERLAPS, ".tile") == []
        assert page.evaluate(OVERLAPS, ".field") == []
        assert page.evaluate(OVERLAPS, "header.first .says") == []
        assert page.locator(".chart:visible").count() > 20
        paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (paper == "rgb(20, 23, 27)") == (scheme == "dark")


def test_the_look_for_overlaps_finds_one(browser: Any, address: str) -> None:
    with Watched(browser, address) as page:
        page.evaluate("""() => {
          const [first, second] = document.querySelector(".chart").querySelectorAll("text");
          for (const name of ["x", "y", "text-anchor"]) second.setAttribute(name, first.getAttribute(name));
          document.querySelector(".tile .big span").style.marginLeft = "150px";
        }""")
        assert len(page.evaluate(OVERLAPS, ".chart")) >= 1
        assert len(page.evaluate(OVERLAPS, ".tile")) >= 1


def test_the_smallest_phone_does_not_scroll_sideways(browser: Any, nasty: str) -> None:
    with Watched(browser, nasty, 360) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_the_first_screen_holds_the_tiles_and_the_map(browser: Any, address: str) -> None:
    with Watched(browser, address) as page:
        bottoms = page.evaluate(
            "[...document.querySelectorAll('.tile, .hero')].map(e => e.getBoundingClientRect().bottom)"
        )
        assert len(bottoms) == 5
        assert max(bottoms) <= 800


def test_a_click_on_a_head_sorts_by_the_figure(browser: Any, address: str) -> None:
    with Watched(browser, address) as page:
        head = page.locator("#table-labels thead th").nth(2)
        cells = page.locator("#table-labels tbody tr td:nth-child(3)")

        def values() -> list[float]:
            return [float(one) for one in cells.evaluate_all("all => all.map(cell => cell.dataset.order)")]

        before = values()
        head.locator("button").click()
        assert head.get_attribute("aria-sort") == "descending"
        assert values() == sorted(before, reverse=True) != before
        head.locator("button").focus()
        page.keyboard.press("Enter")
        assert head.get_attribute("aria-sort") == "ascending"
        assert values() == sorted(before)
        page.locator("#table-labels thead th").nth(0).locator("button").click()
        names = page.locator("#table-labels tbody th").all_inner_texts()
        assert names == sorted(names, key=str.lower)
        assert head.get_attribute("aria-sort") == "none"


def test_a_row_gives_its_command(browser: Any, address: str) -> None:
    with Watched(browser, address) as page:
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        button = page.locator("#table-labels tbody .copy").first
        button.click()
        playwright.expect(button).to_have_text("copied")
        assert page.evaluate("navigator.clipboard.readText()") == COMMAND


def place_of(page: Any, panel: int, number: int) -> tuple[float, float]:
    """Return the middle of a mark on the screen."""
    box = page.locator(".panel").nth(panel).locator("path[data-value]").nth(number).bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


@pytest.mark.parametrize("width", [390, 1280])
def test_a_click_on_a_mark_names_its_clip_and_plays_it(browser: Any, address: str, width: int) -> None:
    with Watched(browser, address, width) as page:
        assert page.evaluate("document.getElementById('player').paused")
        page.locator(".panel").nth(1).scroll_into_view_if_needed()
        page.mouse.click(*place_of(page, 1, 5))
        tip = page.locator(".panel").nth(1).locator(".tip")
        playwright.expect(tip).to_be_visible()
        assert "data/" in tip.inner_text()
        assert "digit" in tip.inner_text()
        assert "speaker" in tip.inner_text()
        page.wait_for_function("document.getElementById('player').currentTime > 0")
        assert page.evaluate("document.getElementById('player').error") is None
        rings = page.locator(".ring").evaluate_all("all => all.map(ring => ring.getAttribute('cx'))")
        assert rings[1] == rings[2] != "-99"


def test_the_arrow_keys_go_from_clip_to_clip(browser: Any, address: str) -> None:
    with Watched(browser, address) as page:
        page.locator(".panel svg[tabindex]").nth(1).focus()
        tip = page.locator(".panel").nth(1).locator(".tip")
        seen = set()
        for key in ("ArrowLeft", "ArrowUp", "ArrowRight", "ArrowDown"):
            page.keyboard.press(key)
            seen.add(tip.inner_text())
        assert len(seen) >= 3
        page.keyboard.press("Enter")
        page.wait_for_function("document.getElementById('player').currentTime > 0")
        page.keyboard.press("Escape")
        playwright.expect(tip).to_be_hidden()


def test_the_legend_lights_one_class_and_the_choice_changes_both_maps(browser: Any, address: str) -> None:
    with Watched(browser, address) as page:
        panel = page.locator(".panel").nth(2)
        key = panel.locator(".keys button").nth(3)
        key.click()
        page.mouse.move(0, 0)
        assert key.get_attribute("aria-pressed") == "true"
        lit = panel.locator("path[data-value]:not(.faint)").evaluate_all("all => all.map(one => one.dataset.value)")
        assert set(lit) == {"3"}
        before = page.locator(".panel").evaluate_all(
            "all => all.map(p => p.querySelector('path').getAttribute('transform'))"
        )
        page.select_option("#representation", label="supervised, wave")
        after = page.locator(".panel").evaluate_all(
            "all => all.map(p => p.querySelector('path').getAttribute('transform'))"
        )
        assert before[0] == after[0]
        assert before[1] != after[1]
        assert after[1] == after[2]


def test_no_two_speakers_look_alike(browser: Any, nasty: str) -> None:
    with Watched(browser, nasty) as page:
        looks = (
            page.locator(".panel")
            .nth(2)
            .locator(".keys path")
            .evaluate_all("all => all.map(p => p.getAttribute('d') + p.getAttribute('fill'))")
        )
        assert len(looks) == len(set(looks)) == 60


def contrast(*colours: str) -> float:
    """Return the contrast of two colours as a browser writes them, 1 to 21, by the rule of WCAG 2."""
    shades = []
    for colour in colours:
        parts = [int(part) / 255 for part in re.findall(r"[0-9]+", colour)[:3]]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        shades.append(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2])
    return (max(shades) + 0.05) / (min(shades) + 0.05)


@pytest.mark.parametrize("width", [390, 1280])
def test_the_other_clips_are_shown_on_demand(browser: Any, tmp_path: Path, width: int) -> None:
    split_map(write_study(tmp_path, seeds=1, speakers=4, takes=1))
    with Watched(browser, make_report(tmp_path).as_uri(), width) as page:
        marks = [page.locator(".panel").nth(panel).locator("path[data-value]") for panel in range(3)]
        keys = page.locator(".panel").nth(1).locator(".keys button")
        assert [one.count() for one in marks] == [40, 40, 40]
        assert keys.count() == 10
        page.select_option("#clips", "all")
        assert [one.count() for one in marks] == [40, 60, 60]  # the first screen stays as it is
        assert page.locator(".panel").nth(1).locator("path.other").count() == 20
        assert keys.all_inner_texts() == [*map(str, range(10)), "zz"]
        playwright.expect(page.locator("#alone")).to_be_hidden()
        page.select_option("#representation", label="pre-trained, wave")
        assert [one.count() for one in marks] == [40, 40, 40]
        playwright.expect(page.locator("#alone")).to_be_visible()
        page.select_option("#clips", "test")
        playwright.expect(page.locator("#alone")).to_be_hidden()
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_name_in_a_tip_can_be_read_on_every_map(browser: Any, address: str) -> None:
    for scheme in ("light", "dark"):
        with Watched(browser, address, 1280, scheme) as page:
            for panel in range(3):
                page.locator(".panel").nth(panel).scroll_into_view_if_needed()
                page.mouse.click(*place_of(page, panel, 5))
                ink, ground = (
                    page.locator(".panel")
                    .nth(panel)
                    .locator(".tip")
                    .evaluate(
                        "tip => [getComputedStyle(tip.querySelector('b')).color, getComputedStyle(tip).backgroundColor]"
                    )
                )
                assert contrast(ink, ground) >= 7


@pytest.mark.parametrize("width", [390, 1280])
def test_a_legend_of_many_values_is_cut_and_counted(browser: Any, tmp_path: Path, width: int) -> None:
    many(tmp_path, 300, long=True)
    with Watched(browser, make_report(tmp_path).as_uri(), width) as page:
        for panel in range(page.locator(".panel").count()):
            keys = page.locator(".panel").nth(panel).locator(".keys")
            shown = 10 if panel == 0 else 30
            assert keys.locator("button").count() == shown
            assert keys.locator(".more").inner_text() == f"and {300 - shown} more"
            assert max(map(len, keys.locator("button").all_inner_texts())) <= 40
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(OVERLAPS, ".chart") == []


def test_print_has_whole_tables_and_no_buttons(browser: Any, address: str, tmp_path: Path) -> None:
    with Watched(browser, address, 688) as page:
        page.emulate_media(media="print")
        assert (
            page.evaluate(
                "Math.max(...[...document.querySelectorAll('table')].map(t => t.getBoundingClientRect().right))"
            )
            <= 690
        )
        assert page.locator(".copy:visible").count() == 0
        assert page.locator("tbody tr:visible").count() == page.locator("tbody tr").count()
        page.pdf(path=tmp_path / "report.pdf", format="A4")
        assert (tmp_path / "report.pdf").stat().st_size > 50_000


def test_a_map_of_any_clips_is_coloured_by_any_label_and_names_a_clip(browser: Any, tmp_path: Path) -> None:
    write_map(embeddings(each=12), tmp_path / "map.html")
    for width, scheme in SCREENS:
        with Watched(browser, (tmp_path / "map.html").as_uri(), width, scheme) as page:
            assert page.locator(".field path").count() == 36
            assert page.locator(".keys button").all_inner_texts() == ["dog", "owl", "wren"]
            page.select_option("#label", label="speaker")
            assert page.locator(".keys button").count() == 5
            page.locator(".panel svg").first.focus()
            page.keyboard.press("ArrowRight")
            assert ".wav" in page.locator(".tip").inner_text()
            assert page.evaluate("document.documentElement.scrollWidth") <= width
