"""Every command in the documents of use is one that the parser takes, and what they link to is there."""

import importlib.util
import re
import shlex
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
