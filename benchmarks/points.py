"""Which layer draws the explorer's map: plotly's scattergl or points.js: python -m benchmarks.points [COUNT ...]

In headless Chromium with software rendering, the slowest case: milliseconds to the first picture, for a frame of a pan,
and for new colours of all points. Needs playwright, a Chromium and, for plotly's figures, plotly.
"""

import importlib.util
import json
import shutil
import sys
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

PAGE = Path(__file__).parent.parent / "src" / "mfcl" / "explore" / "page"
COUNTS = (30_000, 100_000)
FRAMES = 20
HOST = "http://bench.invalid"
ARGUMENTS = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
ON_A_GPU = [
    "--no-sandbox", "--use-gl=angle", "--use-angle=vulkan", "--enable-features=Vulkan", "--disable-vulkan-surface",
    "--ignore-gpu-blocklist",
]  # fmt: skip
"""Without a display: the surface of a window is left out."""
HEAD = "<!doctype html><style>:root{--ink:#000;--card:#fff;--dot-blue:#07a}body{margin:0}</style>"
PREPARE = """
const random = () => Math.random() + Math.random() - 1;
const places = Float32Array.from({ length: 2 * count }, random);
const classes = Array.from({ length: count }, (_, at) => at % 10);
const next = () => new Promise(requestAnimationFrame);
"""
OWN = """
import { makePoints } from "/points.js";
import { palette } from "/palette.js";
window.measure = async (count) => {
  @PREPARE@
  const canvas = document.querySelector("canvas");
  const gl = () => canvas.getContext("webgl2").readPixels(0, 0, 1, 1, 6408, 5121, new Uint8Array(4));  // waits for it
  let start = performance.now();
  const points = makePoints(canvas);
  const view = { scale: 350, x: 400, y: 400, width: 800, height: 800, ratio: 1, dot: 4 };
  points.setColours(palette());
  points.setPlaces(places);
  points.setLooks(Uint8Array.from({ length: 2 * count }, (_, at) => (at % 2 ? 0 : classes[at >> 1])));
  points.draw(view);
  gl();
  const first = performance.now() - start;
  start = performance.now();
  for (let frame = 0; frame < @FRAMES@; frame++) { view.x += 2; points.draw(view); gl(); }
  const pan = (performance.now() - start) / @FRAMES@;
  start = performance.now();
  points.setLooks(Uint8Array.from({ length: 2 * count }, (_, at) => (at % 2 ? 0 : 9 - classes[at >> 1])));
  points.draw(view);
  gl();
  return { first, pan, recolour: performance.now() - start };
};
window.loaded = true;
""".replace("@PREPARE@", PREPARE).replace("@FRAMES@", str(FRAMES))
PLOTLY = """
window.measure = async (count) => {
  @PREPARE@
  const box = document.querySelector("div");
  const x = places.filter((_, at) => at % 2 === 0), y = places.filter((_, at) => at % 2);
  const marker = (sign) => ({ size: 4, color: classes.map((one) => sign * one) });
  let start = performance.now();
  await Plotly.newPlot(box, [{ type: "scattergl", mode: "markers", x, y, marker: marker(1) }],
    { width: 800, height: 800, dragmode: "lasso", margin: { l: 0, r: 0, t: 0, b: 0 } });
  await next();
  const first = performance.now() - start;
  start = performance.now();
  for (let frame = 0; frame < @FRAMES@; frame++) {
    await Plotly.relayout(box, { "xaxis.range": [-1 + frame / 200, 1 + frame / 200] });
    await next();
  }
  const pan = (performance.now() - start) / @FRAMES@;
  start = performance.now();
  await Plotly.restyle(box, { marker: [marker(-1)] });
  await next();
  return { first, pan, recolour: performance.now() - start };
};
window.loaded = true;
""".replace("@PREPARE@", PREPARE).replace("@FRAMES@", str(FRAMES))


def main() -> None:
    """Print a row for each layer and count."""
    counts = [int(word) for word in sys.argv[1:]] or list(COUNTS)
    with sync_playwright() as running:
        browser = running.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
        for name, body in _layers().items():
            for count in counts:
                found = _measured(browser, body, count)
                print(
                    f"{name:<10} {count:>7} points  "
                    + "  ".join(f"{key} {value:.0f} ms" for key, value in found.items())
                )
        browser.close()


def _layers() -> dict[str, str]:
    canvas = '<canvas width="800" height="800"></canvas>'
    found = {"points.js": f'{HEAD}{canvas}<script type="module">{OWN}</script>'}
    if importlib.util.find_spec("plotly"):
        found["plotly"] = f'{HEAD}<div></div><script src="/plotly.min.js"></script><script>{PLOTLY}</script>'
    return found


def _measured(browser: Any, body: str, count: int) -> dict[str, float]:
    page = browser.new_page(viewport={"width": 820, "height": 820})

    def answer(route: Any) -> None:
        name = route.request.url.removeprefix(f"{HOST}/")
        if not name:
            route.fulfill(body=body, content_type="text/html")
        elif name == "plotly.min.js":
            import plotly

            route.fulfill(path=Path(plotly.__file__).parent / "package_data" / name, content_type="text/javascript")
        else:
            route.fulfill(path=PAGE / name, content_type="text/javascript")

    page.route("**/*", answer)
    page.goto(f"{HOST}/")
    page.wait_for_function("window.loaded", timeout=60_000)
    found = page.evaluate(f"window.measure({json.dumps(count)})")
    page.close()
    return dict(found)


if __name__ == "__main__":
    main()
