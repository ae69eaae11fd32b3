"""Make the README's pictures from a study's report: python examples/make_pictures.py runs/demo-quick docs/pictures

Takes a Chromium on the PATH, and playwright and matplotlib (both in the dependency group `dev`).
"""

import argparse
import shutil
from pathlib import Path

import matplotlib.image
import numpy as np
from playwright.sync_api import sync_playwright

WIDTH, HEIGHT = 1180, 980
SHADES = 24
"""Levels of each colour that are kept: a picture of text and dots needs no more, and is half as large."""


def main() -> None:
    """Take the report's first screen and its map."""
    given = argparse.ArgumentParser(description=__doc__)
    given.add_argument("study", type=Path, help="a study's folder, with its report.html")
    given.add_argument("out", type=Path, help="where report.png and map.png are written")
    told = given.parse_args()
    told.out.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as running:
        browser = running.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        page.goto((told.study / "report.html").resolve().as_uri())
        page.screenshot(path=told.out / "report.png")
        page.locator("#maps").screenshot(path=told.out / "map.png")
        browser.close()
    for name in ("report.png", "map.png"):
        shrink(told.out / name)
        print(f"{told.out / name}: {(told.out / name).stat().st_size / 1000:.0f} kB")


def shrink(path: Path) -> None:
    """Write a picture again with fewer shades."""
    pixels = matplotlib.image.imread(path)[..., :3]
    kept = np.round(pixels * (SHADES - 1)) / (SHADES - 1)
    matplotlib.image.imsave(path, kept, pil_kwargs={"optimize": True})


if __name__ == "__main__":
    main()
