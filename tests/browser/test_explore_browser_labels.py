"""The explorer's page in a real browser: which key gives which label."""

import shutil

import pytest

from tests.small_browser import CHROMIUM, Page, redrawn
from tests.small_explore import serving

pytest.importorskip("playwright.sync_api", reason="playwright is not installed (pip install playwright)")
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on the PATH (apt-get install chromium)"),
    pytest.mark.slow,
]


def keys(own: Page) -> dict[str, str]:
    """The keys that the panel shows, by label."""
    redrawn(own.page)
    return own.page.evaluate(
        "Object.fromEntries([...document.querySelectorAll('.label')].map((one) =>"
        " [one.querySelector('span').textContent, one.querySelector('kbd').textContent]))"
    )


def test_a_label_that_is_a_digit_has_its_own_key(browser, folder, tmp_path):
    shutil.copy(folder / "clips.npz", tmp_path / "clips.npz")
    with serving(tmp_path / "clips.npz") as (address, _), Page(browser, address) as own:
        own.column("digit")
        for clip, name in enumerate(["7", "3", "wren", "0", "1", "owl", "10"]):
            own.label(clip, name)
        # a label that came before keeps its key, and a digit never has another's
        shown = {"7": "7", "3": "3", "wren": "1", "0": "0", "1": "", "owl": "2", "10": "4"}
        assert keys(own) == shown
        own.wait_for("state.about.own.some(({ counts }) => counts['10'])")
        own.page.reload()
        own.page.wait_for_selector("body.ready")
        own.tab("label")
        assert keys(own) == shown
        for clip, (key, name) in enumerate([("3", "3"), ("7", "7"), ("0", "0"), ("1", "wren"), ("2", "owl")], 20):
            own.choose(clip)
            own.page.keyboard.press(key)
            own.wait_for(f"state.classes[state.codes[{clip}]] === {name!r}")
        redrawn(own.page)
        assert own.page.get_by_text("Take the label off (Delete)").is_visible()
        own.page.keyboard.press("Delete")
        own.wait_for("state.codes[24] === -1")
        assert own.wrong == []


def test_a_misspelt_label_that_no_clip_has_is_taken_off_the_list_and_that_is_undone(browser, folder, tmp_path):
    shutil.copy(folder / "clips.npz", tmp_path / "clips.npz")
    with serving(tmp_path / "clips.npz") as (address, _), Page(browser, address) as own:
        own.column("bird")
        for clip, name in enumerate(["wern", "owl"]):
            own.label(clip, name)
        redrawn(own.page)
        assert not own.page.get_by_text("No clip has:").count()
        own.label(0, "wren")
        off = own.page.get_by_role("button", name="Take wern off the list")
        off.wait_for()
        assert keys(own) == {"wern": "1", "owl": "2", "wren": "3"}
        off.click()
        own.wait_for("!state.classes.includes('wern')")
        for _ in range(2):
            assert keys(own) == {"owl": "1", "wren": "2"}
            assert own.state("[0, 1].map((clip) => state.classes[state.codes[clip]])") == ["wren", "owl"]
            own.page.reload()
            own.page.wait_for_selector("body.ready")
            own.tab("label")
        own.page.keyboard.press("Control+z")
        own.page.locator(".toast", has_text="Undone: “wern” taken off the list").wait_for()
        assert keys(own) == {"wern": "1", "owl": "2", "wren": "3"}
        # one that is only added to the list was never given
        own.page.evaluate("async () => (await import('/page/state.js')).setCurrent(-1, {})")
        own.page.fill("#new-label", "gul")
        own.page.press("#new-label", "Enter")
        own.page.get_by_role("button", name="Take gul off the list").click()
        own.wait_for("!state.classes.includes('gul')")
        assert own.wrong == []


def test_labels_stand_in_line_with_a_key_and_without(browser, folder, tmp_path):
    shutil.copy(folder / "clips.npz", tmp_path / "clips.npz")
    with serving(tmp_path / "clips.npz") as (address, _), Page(browser, address) as own:
        own.column("many")
        for clip in range(11):
            own.label(clip, f"a label of which {clip} is one")  # each on a line of its own
        assert [*keys(own).values()] == [*"123456789", "", ""]
        left = (
            "[...document.querySelectorAll('.label span')].map((one) => Math.round(one.getBoundingClientRect().left))"
        )
        assert len(set(own.page.evaluate(left))) == 1
        assert own.wrong == []
