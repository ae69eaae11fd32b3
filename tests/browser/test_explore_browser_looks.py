"""The explorer's page in a real browser: that it fits, goes by the keyboard, is read out, and shows names as text."""

from dataclasses import replace

import numpy as np
import pytest

from mfcl.embeddings.blocks import load_embeddings
from tests.small_browser import CHROMIUM, Page, redrawn, until
from tests.small_explore import PER_PITCH, serving, write_collection

pytest.importorskip("playwright.sync_api", reason="playwright is not installed (pip install playwright)")
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on the PATH (apt-get install chromium)"),
    pytest.mark.slow,
]
COUNT = 3 * PER_PITCH


@pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (1600, "dark")])
def test_nothing_is_cut_off_on_any_screen(browser, address, width, scheme):
    with Page(browser, address, width, scheme) as own:
        assert own.page.evaluate("document.documentElement.scrollWidth") <= width
        dark = own.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(18, 21, 25)"
        assert dark == (scheme == "dark")
        assert own.page.locator("#help").is_visible()
        own.column(f"width {width}")
        for clip, name in ((0, "low"), (20, "middle")):
            own.label(clip, name)
        own.wait_for("state.guesses !== null")
        own.page.click("#view-list")
        cut = own.page.evaluate(
            "[...document.querySelectorAll('#list .row > :not(:first-child)')]"
            ".filter((one) => one.getClientRects().length && one.scrollWidth > one.clientWidth)"
            ".map((one) => one.textContent)"
        )
        assert cut == []
        own.page.click("#view-map")
        for name in ("label", "clip", "check", "search"):
            own.tab(name)
            wide = own.page.evaluate(
                "[...document.querySelectorAll('button, select, input')].filter((one) => one.getClientRects().length"
                " && !one.closest('.unseen, #maps') && !one.matches('.unseen')"
                " && one.getBoundingClientRect().right > innerWidth + 1).map((one) => one.textContent)"
            )
            assert wide == [], name
        unnamed = own.page.evaluate(
            "[...document.querySelectorAll('button, select, input, textarea, canvas.over')].filter((one) => !("
            "one.textContent.trim() || one.getAttribute('aria-label') || one.labels?.length))"
            ".map((one) => one.outerHTML)"
        )
        assert unnamed == []
        assert own.wrong == []


def test_hostile_names_are_text(browser, tmp_path):
    write_collection(tmp_path, hostile=True)
    with (
        serving(tmp_path / "clips.npz", "--audio", str(tmp_path / "manifest.csv")) as (address, _),
        Page(browser, address) as own,
    ):
        own.column("a <b>column</b>")
        own.label(0, "<script>alert(1)</script>")
        own.label(1, "'; DROP TABLE steps; --")
        own.tab("clip")
        own.page.wait_for_selector(".near li")
        own.page.click("#view-list")
        assert own.page.locator("#list img, #list script, .panel img, .panel script").count() == 0
        assert "<img src=x onerror=alert(1)>" in own.page.text_content("#panel-clip")
        assert own.wrong == []


def test_the_filter_that_is_left_by_escape_stays_and_is_seen(browser, address):
    with Page(browser, address) as own:
        page = own.page
        page.fill("#filter", "pitch=high")
        page.keyboard.press("Escape")
        redrawn(page)
        assert own.focused() != "filter"
        assert page.input_value("#filter") == "pitch=high"
        assert page.text_content("#tally") == "16 of 48 clips"
        page.keyboard.press("m")  # keys are keys again
        page.select_option("#colour", label="clusters of voices")
        head = page.locator("#list [role=columnheader]").last
        until(page, "document.querySelector('#list .row:not(.head)').lastChild.textContent.startsWith('cluster')")
        assert head.inner_text() == "clusters of voices"
        assert own.wrong == []


def test_a_value_that_is_called_none_is_told_from_none_at_all(browser, address):
    with Page(browser, address) as own:
        own.column("disturbed by")
        own.select(*range(10))
        own.page.fill("#new-label", "none")
        own.page.press("#new-label", "Enter")
        own.wait_for("state.codes.filter((code) => code === 0).length === 10")
        entries = own.page.locator("#legend button")
        assert [" ".join(one.split()) for one in entries.all_inner_texts()] == ["none 10", "no value 38"]
        for name, count in (("none", 10), ("no value", 38)):
            entry = own.page.locator(f"#legend button[title='{name}']")
            entry.click()
            assert own.page.text_content("#tally") == f"{count} of 48 clips"
            assert own.page.locator("#legend [aria-pressed=true]").count() == 1
            entry.click()
        assert own.wrong == []


def test_a_drawing_of_the_panel_leaves_the_field_and_its_focus(browser, address):
    with Page(browser, address) as own:
        own.column("unhurried")
        own.page.focus("#new-label")
        again = "async () => { const { emit } = await import('/page/state.js'); emit('guesses');"
        frames = " await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))); }"
        own.page.evaluate(again + frames)
        own.page.keyboard.type("1 ow")  # a number would be a key that gives a label, were the field not in focus
        own.page.evaluate(again + frames)
        own.page.keyboard.type("l")
        assert own.page.input_value("#new-label") == "1 owl"
        assert own.wrong == []


def test_the_keyboard_stays_where_it_is(browser, address):
    with Page(browser, address) as own:
        page = own.page
        own.labelled("keys")
        button = page.get_by_role("button", name="Accept guesses")
        button.focus()
        page.keyboard.press("Enter")
        own.wait_for("state.queue.clips.length > 0")
        redrawn(page)
        assert page.evaluate("document.activeElement.matches('.queue')")  # where Enter accepts
        said = own.state("[state.ids[state.current], state.guesses.values[state.guesses.codes[state.current]]]")
        assert page.text_content("#said").startswith(", guess ".join(said))  # for who does not see the page
        own.choose(5)
        page.locator(".label").first.focus()
        page.keyboard.press("Enter")
        own.wait_for("state.codes[5] === 0")
        assert page.text_content("#said") == f"{own.state('state.ids[5]')}, label low"
        redrawn(page)
        assert own.focused().startswith("1low")
        own.tab("clip")
        page.wait_for_selector("#panel-clip .near li")
        page.locator("#panel-clip .to").first.focus()
        page.keyboard.press("Enter")
        own.wait_for("state.current !== 5")
        page.wait_for_selector("#panel-clip .near li")
        assert page.evaluate("document.getElementById('panel-clip').contains(document.activeElement)")
        # a colour that is chosen by a pointer leaves the arrows to the clips
        page.focus("#colour")
        page.evaluate("document.getElementById('colour').dispatchEvent(new Event('pointerdown', { bubbles: true }))")
        page.select_option("#colour", label="maker")
        before = own.state("state.current")
        page.keyboard.press("ArrowRight")
        after = own.state("state.current")
        page.keyboard.press("ArrowLeft")
        assert {before, after, own.state("state.current")} != {before}  # one of them is not at the map's edge
        assert own.state("state.colour").endswith("maker")
        # the list: a stretch, all of it, and capitals
        page.keyboard.press("Shift+M")
        assert page.locator("#list").is_visible()
        own.choose(3)
        for key in ("Shift+ArrowDown", "Shift+ArrowDown", "Shift+ArrowUp"):
            page.keyboard.press(key)
        assert own.state("[...state.selection]") == [3, 4]
        page.fill("#filter", "low")
        page.keyboard.press("Escape")
        page.keyboard.press("Control+a")
        assert own.state("state.selection.size") == PER_PITCH
        assert own.wrong == []


def test_labelled_clips_of_every_shape_keep_their_colour(browser, address):
    """A labelled clip is drawn larger and with an edge; of no shape may the edge leave less than of a plain clip."""
    with Page(browser, address) as own:
        shares = own.page.evaluate(
            """async () => {
              const { makePoints } = await import('/page/points.js');
              const { palette } = await import('/page/palette.js');
              const [canvas, copy] = [document.createElement('canvas'), document.createElement('canvas')];
              for (const one of [canvas, copy]) { one.width = 320; one.height = 40; }
              const [points, colours, brush] = [makePoints(canvas), palette(), copy.getContext('2d')];
              points.setColours(colours);
              points.setPlaces(Float32Array.from({ length: 16 }, (_, at) => (at % 2 ? 0 : 20 + 40 * (at / 2))));
              return [0, 2].map((flag) => {
                points.setLooks(Uint8Array.from({ length: 16 }, (_, at) => (at % 2 ? flag : at / 2)));
                points.draw({ scale: 1, x: 0, y: 20, width: 320, height: 40, ratio: 1, dot: 12 });
                brush.clearRect(0, 0, 320, 40);
                brush.drawImage(canvas, 0, 0);
                return colours.slice(0, 8).map((colour, at) => {
                  const { data } = brush.getImageData(40 * at, 0, 40, 40);
                  let sum = 0;
                  for (let one = 0; one < data.length; one += 4) {
                    const off = colour.map((value, part) => Math.abs(255 * value - data[one + part]));
                    if (data[one + 3] > 200 && Math.max(...off) < 40) sum++;
                  }
                  return sum;
                });
              });
            }"""
        )
        plain, labelled = shares
        assert min(plain) > 10
        assert all(one > other for one, other in zip(labelled, plain, strict=True)), shares


def test_points_are_drawn_anew_only_where_they_or_the_view_of_them_change(browser, address):
    with Page(browser, address) as own:
        page = own.page
        page.evaluate(
            "() => { window.drawn = 0; const plain = WebGL2RenderingContext.prototype.drawArrays;"
            " WebGL2RenderingContext.prototype.drawArrays = function (...given) {"
            " window.drawn += 1; return plain.apply(this, given); }; }"
        )

        def drawn() -> int:
            redrawn(page)
            count = page.evaluate("window.drawn")
            page.evaluate("() => { window.drawn = 0; }")
            return int(count)

        box = page.locator(".map[data-part=words] .over").bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        drawn()
        for step in range(5):
            page.mouse.move(x + 9 * step, y + 7 * step)
        own.choose(3)
        assert drawn() == 0  # rings, and what is told of the clip under the pointer
        page.mouse.wheel(0, -60)
        assert drawn() >= 1
        page.mouse.down()
        page.mouse.move(x + 60, y + 60)
        page.mouse.up()
        assert drawn() >= 1
        before = own.state("state.selection.size")
        page.mouse.dblclick(box["x"] + 4, box["y"] + 4)  # the whole map again
        drawn()
        page.keyboard.down("Shift")
        page.mouse.move(box["x"] + 3, box["y"] + 3)
        page.mouse.down()
        for across, along in ((0.99, 0.01), (0.99, 0.99), (0.01, 0.99)):
            page.mouse.move(box["x"] + across * box["width"], box["y"] + along * box["height"])
        assert drawn() == 0  # the lasso alone
        page.mouse.up()
        page.keyboard.up("Shift")
        assert drawn() >= 2  # on both maps
        assert (before, own.state("state.selection.size")) == (0, COUNT)
        page.select_option("#colour", label="maker")
        assert drawn() >= 2
        assert own.wrong == []


def test_the_end_of_a_long_name_is_seen_in_the_list(browser, folder, tmp_path):
    """Windows of one recording, and clips of one folder, differ at the end of their names."""
    clips = load_embeddings(folder / "clips.npz")
    names = np.array([f"2026/may/by the river/recorder 7/{at // 8}.wav@{at % 8}.5" for at in range(COUNT)])
    replace(clips, ids=names).save(tmp_path / "clips.npz")
    with serving(tmp_path / "clips.npz") as (address, _), Page(browser, address, width=390) as own:
        own.page.click("#view-list")
        first = own.page.locator("#list [role=gridcell]").first
        left, right, cell, end = first.evaluate(
            "(one) => { const name = one.firstChild; const range = document.createRange();"
            " range.selectNodeContents(name); const box = range.getBoundingClientRect();"
            " const cell = one.getBoundingClientRect(); return [box.left, box.right, cell.left, cell.right]; }"
        )
        assert first.text_content() == names[0]
        assert left < cell  # it is longer than its cell
        assert cell < right <= end
        assert own.wrong == []
