"""The settings of the whole suite."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import settings

from tests.conftest import LONG, pytest_collection_modifyitems


def test_no_example_has_a_time_limit() -> None:
    assert settings().deadline is None


def test_the_files_to_begin_with_are_there() -> None:
    there = [path.stem for path in Path(__file__).parent.rglob("test_*.py")]
    assert [there.count(name) for name in LONG] == [1] * len(LONG)


def test_processes_share_the_long_files_first(pytestconfig: pytest.Config) -> None:
    items = [
        SimpleNamespace(path=Path(f"tests/{name}.py")) for name in ("test_a", "test_b", LONG[1], LONG[0], "test_a")
    ]
    one, other = list(items), list(items)
    pytest_collection_modifyitems(SimpleNamespace(workerinput={}), one)  # type: ignore[arg-type]
    pytest_collection_modifyitems(SimpleNamespace(), other)  # type: ignore[arg-type]
    assert [item.path.stem for item in one] == [LONG[0], LONG[1], "test_a", "test_b", "test_a"]
    assert other == items
    assert pytestconfig.getoption("loadscopereorder", default=False) is False


def test_processes_keep_the_bytecode_that_they_compile() -> None:
    said = subprocess.run([sys.executable, "-c", "import sys; print(sys.dont_write_bytecode)"], capture_output=True)
    assert said.stdout.split() == [b"False"]
