"""How the package lives with the process it runs in: threads, forks, and what a figure's command is called."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import mfcl
from mfcl import cli
from mfcl.checkpoint import save_checkpoint
from mfcl.core import machine, parallel
from mfcl.core.machine import use_machine
from mfcl.core.process import READ_BY_TORCH
from mfcl.errors import MfclError
from mfcl.models.heads import make_heads
from mfcl.models.pair import make_model
from mfcl.studies.provenance import this_command
from tests.small_run import tiny

FORKED = """
import multiprocessing, sys
import numpy as np, mfcl
model = mfcl.load(sys.argv[1])
clips = [np.random.default_rng(place).normal(0, 0.1, 16000).astype("f4") for place in range(8)]
before = model.encode(clips)  # torch's threads are there now
with multiprocessing.get_context("fork").Pool(2) as pool:
    for found in pool.map_async(model.encode, [clips, clips]).get(timeout=60):
        assert np.allclose(found, before, atol=1e-4)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_worker_encodes_after_its_parent_has(tmp_path: Path) -> None:
    save_checkpoint(make_model(tiny().model, seed=0), tiny(), tmp_path / "model")
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}
    command = [sys.executable, "-W", "ignore", "-c", FORKED, str(tmp_path / "model")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=200)
    assert (done.returncode, done.stderr) == (0, "")


PREPARED = """
import os, sys
import mfcl
first, = sys.argv[1:]
if first == "torch":
    import torch
try:
    threads = mfcl.prepare_process(2)
except mfcl.MfclError as error:
    sys.exit(str(error))
import torch
assert threads == torch.get_num_threads() == 2
print(os.environ["OMP_WAIT_POLICY"], os.environ["THP_MEM_ALLOC_ENABLE"], mfcl.prepare_process(1))
"""


@pytest.mark.parametrize("first", ["mfcl", "torch"])
def test_a_program_gets_the_commands_settings_before_torch_is_loaded_and_not_after(first: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in READ_BY_TORCH}
    command = [sys.executable, "-c", PREPARED, first]
    own = {**environment, "THP_MEM_ALLOC_ENABLE": "0"}  # what the user has set stays
    done = subprocess.run(command, env=own, capture_output=True, text=True, check=False, timeout=200)
    if first == "mfcl":
        assert (done.stdout, done.stderr, done.returncode) == ("PASSIVE 0 1\n", "", 0)
    else:
        assert done.stderr.startswith(
            "prepare_process: torch is loaded and no longer reads OMP_WAIT_POLICY, ONEDNN_PRIMITIVE_CACHE_CAPACITY; "
        )
        assert done.returncode == 1


@pytest.mark.parametrize("threads", [0, -1, 10**9])
def test_threads_out_of_range_are_refused(threads: int) -> None:
    with pytest.raises(MfclError, match="threads: wanted a whole number from 1 to 1024"):
        use_machine(threads)


@pytest.mark.parametrize("told", ["99999999999999999999", "²", "-1", "", "2,3"])
def test_an_odd_number_of_threads_in_the_environment_is_no_trouble(told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", told)
    asked: list[int] = []
    monkeypatch.setattr("torch.set_num_threads", asked.append)
    assert 1 <= use_machine(None) <= 1024
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["/usr/bin/mfcl", "study", "my clips"], "mfcl study 'my clips'"),
        (["/site-packages/ipykernel_launcher.py", "-f", "kernel-1.json"], "mfcl.study(...)  # in a notebook"),
        ([""], "mfcl.study(...)  # in a Python session"),
        (["-c"], "mfcl.study(...)  # in a Python session"),
        (["paper.py", "--fast"], "paper.py --fast"),
    ],
)
def test_the_command_beside_a_figure_is_what_a_person_can_run(
    words: list[str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", words)
    assert this_command() == said


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
    with pytest.raises(MfclError, match=r"^threads: wanted a whole number from 1 to 1024, got 0"):
        verb(tmp_path / "nowhere", tmp_path / "out", threads=0)


@pytest.mark.parametrize("verb", ["train", "study", "embed", "compare"])
def test_the_command_uses_the_threads_that_are_allowed(
    verb: str, told: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "5,2")
    paths = [tmp_path / "nowhere", *([tmp_path / "nothing"] if verb in ("embed", "compare") else [])]
    words = [verb, *map(str, paths), *([] if verb == "compare" else ["--out", str(tmp_path / "out.npz")])]
    assert cli.main(words) == 2
    assert cli.main([*words, "--threads", "2"]) == 2
    assert told == [5, 2]
    with pytest.raises(SystemExit, match="2"):
        cli.main([*words, "--threads", "0"])
    assert told == [5, 2]


def test_without_any_word_there_are_as_many_threads_as_cores(told: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "many")
    monkeypatch.setattr(machine, "core_count", lambda: 7)
    assert machine.use_machine(None) == 7
    assert told == [7]


@pytest.mark.parametrize(
    ("new", "old", "cores"),
    [
        ("150000 100000", None, 2), ("50000 100000", None, 1), ("max 100000", None, 8), ("9900000 100000", None, 8),
        (None, ("200000", "100000"), 2), (None, ("-1", "100000"), 8), (None, None, 8), ("nonsense", None, 8),
    ],
)  # fmt: skip
def test_a_container_with_a_share_of_the_processor_has_no_more_cores_than_that(
    new: str | None, old: tuple[str, str] | None, cores: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = [tmp_path / name for name in ("cpu.max", "quota", "period")]
    for place, text in zip(places, (new, *(old or (None, None))), strict=True):
        if text is not None:
            place.write_text(f"{text}\n")
    monkeypatch.setattr(parallel, "QUOTA", places[0])
    monkeypatch.setattr(parallel, "QUOTAS", tuple(places[1:]))
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert parallel.core_count() == cores


def test_random_weights_change_no_generator_of_torch_those_of_gpus_included(monkeypatch: pytest.MonkeyPatch) -> None:
    seeds: list[int] = []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeds.append)
    before = torch.get_rng_state()
    one, other = (make_model(tiny().model, seed=3).state_dict() for _ in range(2))
    make_heads({"wave": 8, "mel": 8}, tiny().head, seed=3)
    assert all(torch.equal(value, other[name]) for name, value in one.items())
    assert torch.equal(torch.get_rng_state(), before)
    assert not seeds
