"""The explorer's page in a real browser, for the tests that look at it: what it holds, and what its console minds."""

import contextlib
import shutil
from collections.abc import Iterator
from typing import Any

from tests.small_explore import PER_PITCH, PITCHES

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ARGUMENTS = [
    "--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
    "--autoplay-policy=no-user-gesture-required", "--mute-audio",
]  # fmt: skip
STATE = "async () => { const { state } = await import('/page/state.js'); return (%s); }"


@contextlib.contextmanager
def started(chromium: Any) -> Iterator[Any]:
    """A browser, until it is not needed any more."""
    browser = chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
    yield browser
    browser.close()


def until(page: Any, expression: str) -> None:
    """Wait for an expression to hold; `state` is the page's. Playwright's own way is refused by the content policy."""
    page.evaluate(
        "async () => { const state = window.EXPLORER ? null : (await import('/page/state.js')).state;"
        f" for (const began = Date.now(); !({expression}); await new Promise((done) => setTimeout(done, 30)))"
        f" if (Date.now() - began > 60000) throw new Error('waited in vain for ' + {expression!r}); }}"
    )


class Page:
    """A page that is open, and everything that it should not do; `beside` another one it shares that one's cookies."""

    def __init__(
        self, browser: Any, address: str, width: int = 1280, scheme: str = "light", beside: "Page | None" = None
    ) -> None:
        size = {"width": width, "height": 800}
        self.context = (
            beside.context
            if beside
            else browser.new_context(viewport=size, color_scheme=scheme, reduced_motion="reduce")
        )
        self.page = self.context.new_page()
        self.page.set_default_timeout(60_000)
        self.wrong: list[str] = []
        self.page.on("console", lambda message: self.wrong.append(message.text))
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.goto(address)
        self.page.wait_for_selector("body.ready")
        until(self.page, "!(document.body.dataset.waiting ?? 'nearest').includes('nearest')")

    def __enter__(self) -> "Page":
        return self

    def __exit__(self, *_: object) -> None:
        self.context.close()

    def state(self, expression: str) -> Any:
        return self.page.evaluate(STATE % expression)

    def wait_for(self, expression: str) -> None:
        until(self.page, expression)

    def tab(self, name: str) -> None:
        self.page.click(f"#tab-{name}")

    def column(self, name: str) -> None:
        self.tab("label")
        if self.page.locator("#column").count():
            self.page.select_option("#column", label="New column…")
        self.page.fill("#new-column", name)
        self.page.press("#new-column", "Enter")
        self.wait_for(f"state.column === {name!r}")

    def labelled(self, name: str) -> None:
        """Make a column with a label of each pitch, and wait until it is saved and its guesses are on the page."""
        self.column(name)
        for clip, pitch in enumerate(PITCHES):
            self.label(clip * PER_PITCH, pitch)
        self.guessed()

    def guessed(self) -> None:
        """Wait for guesses of all three pitches, and for the panel that is drawn with them."""
        self.wait_for("state.guesses && state.guesses.values.length === 3")
        redrawn(self.page)

    def choose(self, clip: int) -> None:
        self.page.evaluate("async (clip) => (await import('/page/state.js')).setCurrent(clip, { play: false })", clip)

    def hold(self, path: str) -> None:
        """Keep back what the page asks for at `path` until `go_on`."""
        self.page.evaluate(
            "(held) => { const own = window.fetch; window.fetch = async (path, options) => {"
            " if (held && path.startsWith(held)) await new Promise((done) => {"
            " window.goOn = () => { held = ''; done(); }; });"
            " return own(path, options); }; }",
            path,
        )

    def go_on(self) -> None:
        """Let what was kept back go on, and all that follows."""
        self.page.evaluate("window.goOn()")

    def select(self, *clips: int) -> None:
        self.page.evaluate("async (clips) => (await import('/page/state.js')).setSelection(clips)", list(clips))

    def focused(self) -> str:
        """What has the focus: its text or name."""
        return str(
            self.page.evaluate(
                "(({ textContent, id, tagName }) => textContent.trim() || id || tagName)(document.activeElement)"
            )
        )

    def label(self, clip: int, text: str) -> None:
        self.choose(clip)
        self.page.fill("#new-label", text)
        self.page.press("#new-label", "Enter")
        self.wait_for(f"state.classes[state.codes[{clip}]] === {text!r}")


def redrawn(page: Any) -> None:
    """Wait until the panel is drawn anew."""
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
