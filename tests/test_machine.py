"""Who says how the machine is used: the command, or whoever gives a number of threads; never the library by itself."""

from pathlib import Path

import pytest
import torch

import mfcl
from mfcl import cli
from mfcl.core import machine
from mfcl.errors import MfclError


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    found: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", found.append)
    return found


@pytest.mark.parametrize("verb", [mfcl.train, mfcl.study])
def test_a_function_leaves_the_threads_alone_unless_told(verb, told: list[int], tmp_path: Path) -> None:
    for threads, set_to in ((None, []), (3, [3])):
        with pytest.raises(MfclError, match="nowhere"):
            verb(tmp_path / "nowhere", tmp_path / "out", threads=threads)
        assert told == set_to
    with pytest.raises(MfclError, match=r"^threads: wanted 1 or more, got 0"):
        verb(tmp_path / "nowhere", tmp_path / "out", threads=0)


@pytest.mark.parametrize("verb", ["train", "study", "embed", "compare"])
def test_the_command_uses_the_threads_that_are_allowed(
    verb: str, told: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "5,2")
    paths = [tmp_path / "nowhere", *([tmp_path / "nothing"] if verb in ("embed", "compare") else [])]
    words = [verb, *map(str, paths), *([] if verb == "compare" else ["--out", str(tmp_path / "out")])]
    assert cli.main(words) == 2
    assert cli.main([*words, "--threads", "2"]) == 2
    assert told == [5, 2]
    assert cli.main([*words, "--threads", "0"]) == 2
    assert told == [5, 2]


def test_without_any_word_there_are_as_many_threads_as_cores(told: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "many")
    monkeypatch.setattr(machine, "core_count", lambda: 7)
    assert machine.use_machine(None) == 7
    assert told == [7]
