"""What the tests of the explorer's page share: a browser, a collection, and its server, once for each file of tests.

Nothing of the package is imported before a fixture is asked for: that would be before its types are checked.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """Playwright's Chromium, to start browsers of other arguments."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as running:
        yield running.chromium


@pytest.fixture(scope="module")
def browser(chromium: Any) -> Iterator[Any]:
    """A browser."""
    from tests.small_browser import started

    with started(chromium) as found:
        yield found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with sounds, their list and their embeddings."""
    from tests.small_explore import write_collection

    found = tmp_path_factory.mktemp("explore")
    write_collection(found)
    return found


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    """The address of the explorer's page of that folder."""
    from tests.small_explore import serving

    with serving(folder / "clips.npz", "--audio", str(folder / "manifest.csv")) as (found, _):
        yield found
