"""The explorer's page in a real browser, as somebody meets it who has clips and no labels, and then a few of them."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from mfcl.embeddings.blocks import load_embeddings
from tests.small_browser import CHROMIUM, Page, redrawn, until
from tests.small_explore import serving

pytest.importorskip("playwright.sync_api", reason="playwright is not installed (pip install playwright)")
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on the PATH (apt-get install chromium)"),
    pytest.mark.slow,
]


@pytest.fixture(scope="module")
def plain(folder, tmp_path_factory):
    """The address of clips with a split and nothing else, as a run of a folder without labels has."""
    own = tmp_path_factory.mktemp("plain")
    table = load_embeddings(folder / "clips.npz")
    splits = np.resize(np.array(["train", "train", "valid", "test"]), len(table))
    replace(table, labels={}, splits=splits).save(own / "clips.npz")
    with serving(own / "clips.npz") as (address, _):
        yield address


def test_the_parts_of_a_split_are_not_named_on_the_map(browser, plain):
    """They are drawn at random: where their middles lie, other clips lie as well."""
    names = "async () => (await import('/page/map-marks.js')).namesOf(Float32Array.from({ length: 2 * %d }, () => 0))"
    with Page(browser, plain) as own:
        count = own.state("state.about.count")
        assert own.state("state.colour") == "column\0split"
        assert own.page.evaluate(names % count) == []
        own.labelled("call")
        own.page.select_option("#colour", label="call: labels")
        assert len(own.page.evaluate(names % count)) == 3
        assert own.wrong == []


def test_one_label_is_one_label(browser, plain):
    with Page(browser, plain) as own:
        own.column("one")
        own.label(0, "low")
        redrawn(own.page)
        assert "1 label so far." in own.page.text_content(".estimate")


def test_a_filter_may_name_a_column_of_labels_that_is_not_shown(browser, plain):
    with Page(browser, plain) as own:
        own.labelled("kind")
        own.label(1, "low")
        own.page.fill("#filter", "Kind=low")
        own.wait_for("state.shown === 2")
        own.column("site")  # the filter stays
        own.wait_for("state.column === 'site' && state.shown === 2")
        own.label(1, "pond")
        own.page.fill("#filter", "site=pond")
        own.wait_for("state.shown === 1")
        own.page.fill("#filter", "kind=middle")
        own.wait_for("state.shown === 1 && state.visible[16] === 1")
        own.page.select_option("#column", "kind")
        own.label(17, "middle")
        own.wait_for("state.shown === 2")
        own.page.select_option("#column", "site")
        own.wait_for("state.column === 'site' && state.shown === 2")
        assert own.wrong == []


def test_the_list_has_each_column_once(browser, plain):
    with Page(browser, plain) as own:
        own.labelled("listed")
        own.page.click("#view-list")
        for colour, shown in (("listed: labels", False), ("listed: guesses", False), ("split", True)):
            own.page.select_option("#colour", label=colour)
            until(
                own.page,
                f"document.querySelector('.scroller').classList.contains('plain') === {'false' if shown else 'true'}",
            )
            assert own.page.locator("[role=columnheader]").last.is_visible() is shown
            assert own.page.locator(".rows .row").first.locator("[role=gridcell]").last.is_visible() is shown


def test_the_nearest_clips_of_one_that_is_labelled_blind_tell_no_label(browser, plain):
    with Page(browser, plain) as own:
        own.labelled("heard")
        own.page.evaluate("async () => (await import('/page/labelling.js')).drawHeldOut(6)")
        own.wait_for("state.queue.order === 'held'")
        held = own.state("state.held.indexOf(1)")
        told = "[...document.querySelectorAll('#panel-clip .near em')].filter((one) => one.textContent).length"
        own.tab("clip")
        own.choose(held)
        own.page.wait_for_selector("#panel-clip .near li")
        until(own.page, "document.querySelectorAll('#panel-clip .near li').length === 24")
        assert own.page.evaluate(told) == 0
        own.page.evaluate("async (clip) => (await import('/page/labelling.js')).label([clip], 'low', 'picked')", held)
        until(own.page, f"{told} > 0")


def test_colour_and_choice_stand_side_by_side_on_a_phone(browser, plain):
    with Page(browser, plain, 390) as own:
        tops = own.page.evaluate(
            "['colour', 'only'].map((id) => document.getElementById(id).getBoundingClientRect().top)"
        )
        assert tops[0] == tops[1]
        assert own.page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_site_shows_all_guesses_and_only_keys_that_do_something(browser, folder, tmp_path):
    from mfcl.cli import main
    from mfcl.explore.cells import HELD, LABEL, Cell
    from mfcl.explore.collection import open_collection
    from mfcl.explore.session import Session

    shutil.copy(folder / "clips.npz", tmp_path / "clips.npz")
    session = Session(open_collection(tmp_path / "clips.npz"), who="ada")
    session.step("call", "drawn", [Cell(5, HELD, "1"), Cell(21, HELD, "1")])
    session.step(
        "call", "picked", [Cell(clip, LABEL, name) for clip, name in ((0, "low"), (16, "middle"), (32, "high"))]
    )
    session.close()
    assert main(["explore", str(tmp_path / "clips.npz"), "--export", str(tmp_path / "site"), "--quiet"]) == 0
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    page.goto((tmp_path / "site" / "index.html").as_uri())
    page.wait_for_selector("body.ready")
    page.select_option("#colour", label="call: guesses")
    page.locator("#legend .key", has_text="low").wait_for()
    assert "none" not in page.text_content("#legend")  # nobody labels here, so the held-out set hides nothing
    page.click("#help")
    keys = page.text_content("#dialog")
    assert "Space" in keys
    assert "accept the guess" not in keys
    context.close()
