"""Every command and every line of Python in the README runs, on a smaller corpus and a smaller recipe."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from mfcl import cli
from tests.recipes import tiny_recipe
from tests.small_study import shrink
from tests.sounds import write_corpus

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
FENCES = re.findall(r"^```(\w+)\n(.*?)^```", README, flags=re.DOTALL | re.MULTILINE)
LINES = [line.split(" #")[0].strip() for kind, text in FENCES if kind == "sh" for line in text.splitlines()]
COMMANDS = [shlex.split(part) for line in LINES for part in line.removeprefix("$ ").split(" && ") if "mfcl " in part]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the README's reader would have it, with small stand-ins for what is downloaded or long."""
    folder = tmp_path_factory.mktemp("desk")
    write_corpus(folder / "demo", speakers=12, digits=3, takes=3)
    shutil.copytree(folder / "demo", folder / "recordings")
    tiny_recipe(folder)
    rows = ["path,species,individual"]
    for path in sorted((folder / "demo" / "data").rglob("*.wav")):
        digit, speaker, _ = path.stem.split("_")
        rows.append(f"{path.relative_to(folder)},{digit},{speaker}")
    (folder / "list.csv").write_text("\n".join(rows) + "\n")
    return folder


def test_every_command_is_run_at_a_smaller_size(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(desk)
    monkeypatch.setenv("MFCL_CACHE", str(desk / "cache"))
    shrink(monkeypatch)
    ran = set()
    for words in COMMANDS:
        arguments = words[1:]
        cli.parser().parse_args(arguments)
        if arguments[0] in ("demo", "fetch", "explore") or "audiomnist" in arguments:
            continue  # made, downloaded or served: their own tests run them
        if arguments[0] in ("train", "study"):
            arguments += ["--recipe", "tiny.yaml"]
        if arguments[0] == "study":
            arguments += ["--seeds", "1"]
            if "--only" not in arguments:  # the sections have tests of their own
                arguments += ["--skip", "efficiency", "robustness", "traits"]
        assert cli.main(arguments) == 0, words
        ran.add(arguments[0])
    assert ran == {"scan", "train", "embed", "probe", "info", "study", "report", "compare", "voices"}


def test_the_python_runs_after_the_shell(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(desk)
    if not (desk / "runs" / "demo" / "model").is_dir():
        pytest.fail("the shell commands come first: they make runs/demo")
    code = [text for kind, text in FENCES if kind == "python"]
    assert code
    for text in code:
        exec(compile(text, "README.md", "exec"), {})


def test_make_knows_what_the_readme_names() -> None:
    for line in LINES:
        if line.startswith("make "):
            done = subprocess.run(["make", "-n", line.split()[1]], cwd=ROOT, check=False, capture_output=True)
            assert done.returncode == 0


def test_what_the_readme_points_at_is_there() -> None:
    for name in ("docs/results.md", "docs/decisions", "recipes/default.yaml", "CITATION.cff", "constraints.txt"):
        assert (ROOT / name).exists()
        assert name.split("/")[0] in README
