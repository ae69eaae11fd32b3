"""Work on the explorer's page in a real browser: labels that are given, refused, taken back and counted."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mfcl.embeddings.table import load_embeddings
from tests.small_browser import CHROMIUM, Page, started
from tests.small_explore import PER_PITCH, serving, write_collection

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (pip install playwright)")
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on the PATH (apt-get install chromium)"),
    pytest.mark.slow,
]
COUNT = 3 * PER_PITCH


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as running, started(running.chromium) as found:
        yield found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("explore")
    write_collection(found)
    return found


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    with serving(folder / "clips.npz", "--audio", str(folder / "manifest.csv")) as (found, _):
        yield found


def test_an_old_tab_labels_nothing_in_another_collection(browser, folder, tmp_path):
    shutil.copy(folder / "clips.npz", tmp_path / "clips.npz")
    clips = load_embeddings(tmp_path / "clips.npz")
    clips.select(np.arange(COUNT)[::-1].copy()).save(tmp_path / "reversed.npz")
    with serving(tmp_path / "clips.npz") as (address, process):
        old = Page(browser, address)
        old.column("heard")
        old.label(0, "low")
        process.terminate()
        process.wait()
    port = address.split(":")[2].split("/")[0]
    with serving(tmp_path / "reversed.npz", "--port", port) as (again, _), Page(browser, again, beside=old) as new:
        old.choose(1)
        old.page.keyboard.press("1")
        old.page.wait_for_selector(".toast.bad:has-text('Not saved: This page shows another collection')")
        old.wait_for("state.codes[1] < 0")
        old.page.wait_for_selector("#notes .bad:has-text('reload it')")  # it stays
        assert new.page.evaluate("fetch('/api/history').then((answer) => answer.json())") == {"steps": []}
        assert new.wrong == []
