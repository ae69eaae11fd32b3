"""Make the pictures of docs/explorer.md: python examples/make_explorer_pictures.py STUDY docs/pictures --label digit

Starts `mfcl explore` on a study, labels a few clips as the true labels say, and takes the page in several states. Takes
a Chromium on the PATH, and playwright and matplotlib (both in the dependency group `dev`).
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright

ARGUMENTS = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--mute-audio"]
LABELS = 20
WIDE, SMALL = {"width": 1440, "height": 860}, {"width": 390, "height": 844}
TRUTH = """async (label) => {
  const { state } = await import("/page/state.js");
  const column = state.columns["column\\u0000" + label];
  const text = column.values[column.codes[state.current]];
  return [text, state.classes.indexOf(text)];
}"""


def main() -> None:
    """Take the pictures."""
    given = argparse.ArgumentParser(description=__doc__)
    given.add_argument("study", type=Path, help="a study's folder")
    given.add_argument("out", type=Path, help="where the pictures are written")
    given.add_argument("--label", required=True, help="column of the true labels")
    told = given.parse_args()
    told.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        words = [sys.executable, "-m", "mfcl", "explore", str(told.study), "--port", "0"]
        words += ["--labels", str(Path(folder) / "labels.db")]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as server, sync_playwright() as running:
            assert server.stdout is not None
            address = next(found[0] for line in server.stdout if (found := re.search(r"http://\S+", line)))
            browser = running.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
            light = opened(browser, address, WIDE, "light")
            labelled(light, told.label)
            taken(light, told.out / "explorer.webp")
            dark = opened(browser, address, WIDE, "dark")
            dark.keyboard.press("ArrowRight")
            if dark.locator("#colour option[value$=speaker]").count():
                dark.select_option("#colour", label="speaker")
            dark.wait_for_timeout(2500)
            taken(dark, told.out / "explorer-dark.webp")
            small = opened(browser, address, SMALL, "light")
            small.keyboard.press("ArrowRight")
            small.wait_for_timeout(2500)
            taken(small, told.out / "explorer-small.webp")
            browser.close()
            server.terminate()


def opened(browser: Any, address: str, size: dict[str, int], scheme: str) -> Any:
    """Open the page and wait for its maps."""
    page = browser.new_context(viewport=size, color_scheme=scheme).new_page()
    page.set_default_timeout(120_000)
    page.goto(address)
    page.wait_for_selector("body.ready")
    page.evaluate(
        "async () => { while (document.body.dataset.waiting !== '')"
        " await new Promise((done) => setTimeout(done, 200)); }"
    )
    page.wait_for_timeout(1200)
    return page


def labelled(page: Any, label: str) -> None:
    """Label what is suggested, then some held-out clips, and begin to accept guesses."""
    page.fill("#new-column", "heard")
    page.press("#new-column", "Enter")
    page.wait_for_timeout(1000)
    for order in ("What to label next", "Draw 20 clips"):
        page.get_by_role("button", name=order).click()
        page.wait_for_timeout(3000)
        for _ in range(LABELS):
            text, place = page.evaluate(TRUTH, label)
            if 0 <= place < 9:
                page.keyboard.press(str(place + 1))
            else:
                page.fill("#new-label", text)
                page.press("#new-label", "Enter")
            page.wait_for_timeout(500)
        page.wait_for_timeout(2500)
    page.get_by_role("button", name="Accept guesses").click()
    page.wait_for_timeout(3000)


def taken(page: Any, path: Path) -> None:
    """Take the page as a small picture."""
    whole = path.with_suffix(".png")
    page.screenshot(path=whole)
    Image.open(whole).convert("RGB").save(path, quality=82, method=6)
    whole.unlink()
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
