"""The explorer's page in a real browser: what it gives away, and what it says of it."""

import shutil

import numpy as np
import pytest
import soundfile

from tests.small_browser import CHROMIUM, Page
from tests.small_explore import serving, write_collection

pytest.importorskip("playwright.sync_api", reason="playwright is not installed (pip install playwright)")
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on the PATH (apt-get install chromium)"),
    pytest.mark.slow,
]


def test_a_list_with_guesses_says_how_many_silent_clips_it_leaves_out(browser, tmp_path):
    write_collection(tmp_path)
    for take in range(4, 7):
        soundfile.write(tmp_path / "sounds" / f"low-{take:02d}.wav", np.zeros(4800), 8000)
    given = ("--audio", str(tmp_path / "manifest.csv"))
    with serving(tmp_path / "clips.npz", *given) as (address, _), Page(browser, address) as own:
        own.labelled("call")
        own.page.click("#export")
        own.page.check("#spread")
        with own.page.expect_download() as saved:
            own.page.click("[data-kind=csv]")
        own.page.locator(".toast", has_text="Left out: 3 silent clips have no guess.").wait_for()
        assert "low-05" not in saved.value.path().read_text()
        assert own.wrong == []


def test_nothing_is_listened_to_where_there_is_no_sound(browser, folder, tmp_path):
    shutil.copy(folder / "clips.npz", tmp_path / "clips.npz")
    with serving(tmp_path / "clips.npz") as (address, _), Page(browser, address) as own:
        own.labelled("call")
        own.page.click("#export")
        own.page.check("#spread")
        with own.page.expect_download() as saved:
            own.page.click("[data-kind=csv]")
        assert len(saved.value.path().read_text().splitlines()) == 49
        assert own.page.locator(".toast", has_text="Silent").count() == 0
