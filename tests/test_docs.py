"""Every command in the documents of use is one that the parser takes, and what they link to is there."""

import ast
import importlib.util
import re
import shlex
import tomllib
from pathlib import Path

import pytest

from mfcl import cli

ROOT = Path(__file__).parents[1]
DOCS = ("use-elsewhere.md", "scale.md", "long-recordings.md")


@pytest.mark.parametrize("name", DOCS)
def test_commands_are_understood_and_links_lead_somewhere(name: str) -> None:
    text = (ROOT / "docs" / name).read_text(encoding="utf-8")
    shell = "\n".join(re.findall(r"^```sh\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE))
    lines = [line.removeprefix("$ ").split(" #")[0].strip() for line in shell.splitlines()]
    commands = [shlex.split(line)[1:] for line in lines if line.startswith("mfcl ")]
    assert len(commands) >= 4
    for words in commands:
        assert callable(cli.parser().parse_args(words).run)
    named = set(re.findall(r"`((?:examples|tests|docs|benchmarks)/[\w./-]+)`", text))
    assert named
    for path in named:
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize("name", DOCS)
def test_every_name_of_the_library_exists(name: str) -> None:
    text = (ROOT / "docs" / name).read_text(encoding="utf-8")
    import mfcl

    for attribute in set(re.findall(r"`mfcl\.(\w+)", text)):
        assert hasattr(mfcl, attribute) or importlib.util.find_spec(f"mfcl.{attribute}"), attribute


def test_all_that_the_tests_may_leave_out_is_listed() -> None:
    text = (ROOT / "docs" / "use-elsewhere.md").read_text(encoding="utf-8")
    section = text.partition("\n## What the tests leave out\n")[2].partition("\n## ")[0]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    groups = project["dependency-groups"]
    installed = [*groups["dev"], *groups["docs"], *project["project"]["dependencies"]]
    installed += project["project"]["optional-dependencies"]["demo"]  # see the Makefile's `installed-dev`
    there = {re.split(r"[\[<>=; ]", one)[0] for one in installed}
    brought = set(re.findall(r"`([\w-]+)`", section.partition("bring along")[2].partition(")")[0]))
    named = {}
    for file in sorted((ROOT / "tests").rglob("test_*.py")):
        reasons = set()
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            called = getattr(node.func, "attr", "") if isinstance(node, ast.Call) else ""
            if called == "importorskip":
                package = str(ast.literal_eval(node.args[0])).partition(".")[0]
                reasons |= {package} - {one for one in (package,) if one.replace("_", "-") in there | brought}
            elif called in ("skip", "skipif"):
                reasons.add("")
        if reasons:
            named[file.name] = reasons - {""}
    assert len(named) > 5
    listed = set(re.findall(r"`tests/(?:\w+/)*(test_\w+\.py)`", section))
    assert listed == set(named)
    for file, packages in named.items():
        for package in packages:
            assert any(f"`{package}`" in row and file in row for row in section.splitlines()), (file, package)
