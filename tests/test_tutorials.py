"""Every command and every line of Python of the start page and the tutorials runs, in order, at a smaller size."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from mfcl import cli
from tests.recipes import tiny_recipe
from tests.small_study import shrink
from tests.test_importing import published

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
FENCE = re.compile(r"^```(\w+)\n(.*?)^```", flags=re.DOTALL | re.MULTILINE)
BEFORE = {
    "start": (),
    "tutorials/own-folder": (),
    "tutorials/few-labels": ("start",),
    "tutorials/voices": ("start",),
    "tutorials/long-recordings": ("start",),
    "tutorials/compare": ("start", "tutorials/own-folder"),
    "tutorials/gpu-and-many-machines": ("tutorials/own-folder",),
}
"""Page -> the pages that it says it goes on from."""
LEAVES = {
    "start": ("demo.csv", "runs/demo/model", "demo.npz", "runs/demo-quick/report.html"),
    "tutorials/own-folder": ("list.csv", "runs/mine/model", "mine.npz", "mine.html"),
    "tutorials/few-labels": ("label.csv", "digits", "answers.csv", "folder.csv", "more.csv", "digits-30"),
    "tutorials/voices": ("team.db", "talk.rttm"),
    "tutorials/long-recordings": ("windows.npz", "field", "events.csv", "events.txt", "runs/field/model"),
    "tutorials/compare": ("other.npz", "runs/beside/results.md", "models/resnet18", "resnet18.npz"),
    "tutorials/gpu-and-many-machines": ("runs/gpu/model", "runs/two/model", "runs/cluster/model", "all.npz"),
}
"""Page -> what is there when it was followed."""
SMALLER = {
    "minutes = 10": "minutes = 1",
    "--hop 0.2 ": "--hop 0.4 ",
    "--split valid ": "",  # of twelve voices two are in that part, and five are wanted
}
DIGITS = "0123478"
"""Of the demo corpus, what the pages name."""
INSTALLS = ("pip",)


class Desk:
    """A reader's folder, and the pages that were followed in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.followed: list[str] = []
        self.background: list[subprocess.Popen[bytes]] = []
        self.started: list[subprocess.Popen[bytes]] = []
        self.recipe = str(tiny_recipe(folder))

    def follow(self, page: str) -> None:
        """Do what a page says, after the pages that it goes on from."""
        if page in self.followed:
            return
        for other in BEFORE[page]:
            self.follow(other)
        names: dict[str, object] = {}
        for kind, text in FENCE.findall((DOCS / f"{page}.md").read_text(encoding="utf-8")):
            for long, short in SMALLER.items():
                text = text.replace(long, short)
            if kind == "bash":
                for line in text.splitlines():
                    self.do(shlex.split(line, comments=True))
            elif kind == "python":
                exec(compile(text, f"{page}.md", "exec"), names)
            else:
                assert kind == "text", f"{page}: a block of {kind} is neither run nor shown"
        self.followed.append(page)

    def do(self, words: list[str]) -> None:
        """Run one line; one that ends in & goes on until `wait`."""
        if words == ["wait"]:
            assert [one.wait(timeout=250) for one in self.background] == [0]
        elif words[0] == "torchrun":
            waits = words[-1] != "&"
            started = self.launched(words[1:] if waits else words[1:-1])
            assert not waits or started.wait(timeout=250) == 0, words
            self.background += [] if waits else [started]
        elif words[0] == "mfcl":
            assert cli.main(self.smaller(words[1:])) == 0, words
            if words[1] == "demo":
                for clip in (self.folder / words[2]).rglob("*.wav"):
                    if clip.name[0] not in DIGITS:
                        clip.unlink()
        else:
            assert words[0] in INSTALLS, f"a tutorial has a command that no test runs: {words}"

    def launched(self, words: list[str]) -> "subprocess.Popen[bytes]":
        place = words.index("mfcl") + 1
        words = ["127.0.0.1" if word == "first" else word for word in [*words[:place], *self.smaller(words[place:])]]
        command = [sys.executable, "-m", "torch.distributed.run", *words]
        paths = os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
        self.started.append(subprocess.Popen(command, cwd=self.folder, env={**os.environ, "PYTHONPATH": paths}))
        return self.started[-1]

    def smaller(self, words: list[str]) -> list[str]:
        words = [found for word in words for found in matching(word)]
        if words[0] == "demo":
            return [*words, "--voices", "12", "--takes", "3" if words[1] == "demo" else "2"]
        if words[0] in ("train", "study"):
            words = [*words, "--recipe", self.recipe]
        if words[0] == "study":
            words += ["--seeds", "1", *(() if "--only" in words else ("--only", "labels"))]
        return words


def matching(word: str) -> list[str]:
    """Return what a shell makes of a word: the names that it matches, or the word itself."""
    return sorted(map(str, Path().glob(word))) if set(word) & set("*[") else [word]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    pytest.importorskip("espeakng_loader", reason="the demo corpus needs the extra demo")
    folder = tmp_path_factory.mktemp("desk")
    torch.save(published(), folder / "resnet18-f37072fd.pth")  # made up; the real one is downloaded by the reader
    desk = Desk(folder)
    yield desk
    for one in desk.started:  # where a test gave up waiting
        one.kill()


@pytest.mark.slow
@pytest.mark.timeout(900)  # a minute and a half of one core in all; more where others use it too
@pytest.mark.parametrize("page", BEFORE)
def test_a_reader_who_types_what_the_page_says_gets_what_it_promises(
    page: str, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(desk.folder)
    monkeypatch.setenv("MFCL_CACHE", str(desk.folder / "cache"))
    shrink(monkeypatch)
    desk.follow(page)
    assert [name for name in LEAVES[page] if not (desk.folder / name).exists()] == []


def test_every_tutorial_is_followed() -> None:
    pages = {f"tutorials/{path.stem}" for path in (DOCS / "tutorials").glob("*.md")}
    assert pages | {"start"} == set(BEFORE) == set(LEAVES)
    text = "".join((DOCS / f"{page}.md").read_text(encoding="utf-8") for page in BEFORE)
    assert [long for long in SMALLER if long not in text] == []


def test_the_start_page_says_what_the_readme_says() -> None:
    known = (ROOT / "README.md").read_text(encoding="utf-8") + (ROOT / "Makefile").read_text(encoding="utf-8")
    lines = re.findall(r"^mfcl .+", "".join(text for _, text in FENCE.findall((DOCS / "start.md").read_text())), re.M)
    assert len(lines) >= 8
    assert [line for line in lines if line not in known] == []
