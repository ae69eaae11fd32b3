import json
import math
from ast import parse, walk
from pathlib import Path

import pytest
import torch

from benchmarks.__main__ import ALL, main
from benchmarks.models import model_to_time
from benchmarks.paper import on_paper
from benchmarks.sounds import open_recordings, write_recordings
from benchmarks.step import Trial
from benchmarks.timing import in_turn
from mfcl.models.pair import make_model
from mfcl.recipe import load_recipe

KEYS = {
    "step": {"ratio_default_over_reference", "ratio_default_over_quick", "default", "quick", "reference"},
    "choices": {"default_recordings_per_second", "ratios"},
    "embedding": {"recordings_per_second", "ratio_default_over_reference_both"},
    "logmel": {"threads_1", "threads_2", "ratio_over_librosa_threads_2"},
    "store": {"clips", "first_seconds", "next_seconds"},
    "neighbours": {"seconds", "ratio_over_scikit_learn"},
    "alignment": {"seconds", "ratios"},
    "growth": {"works", "loss"},
    "memory": {"peaks"},
    "parts": {"works", "a_part"},
    "ann": {"works", "ratios"},
    "paper": {"rates", "machines", "machines_at_which"},
    "packs": {"works", "batch", "batches"},
    "searches": {"busiest_process_seconds", "all_processes_seconds"},
    "starts": {"seconds"},
    "voices": {"seconds_a_query", "enrolments_a_second"},
    "explore": {"start", "label", "load", "memory_mb"},
    "events": {"seconds_of_sound", "labels_a_class", "events"},
    "serving": {"seconds_of_sound", "clients"},
    "day": {"window_seconds", "lengths"},
    "accuracy": {"said"},
}


def numbers(value):
    """All numbers in plain values."""
    if isinstance(value, dict):
        return [number for inside in value.values() for number in numbers(inside)]
    return [value] if isinstance(value, int | float) and not isinstance(value, bool) else []


@pytest.mark.parametrize("name", [name for name in ALL if name not in ("step", "gpu", "onnx")])
def test_each_benchmark_gives_its_figures(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if name == "ann":
        pytest.importorskip("usearch", reason="usearch (extra ann) is not installed")
    out = tmp_path / "deep" / "bench.json"
    threads = torch.get_num_threads()
    assert main([name, "--tiny", "--rounds", "1", "--threads", str(threads), "--json", str(out)]) == 0
    found = json.loads(out.read_text())
    assert KEYS[name] <= found.keys()
    assert found["machine"]["torch"] == torch.__version__
    assert name in found["command"]
    figures = {key: value for key, value in found.items() if key not in ("machine", "seconds_of_measuring")}
    assert all(math.isfinite(number) for number in numbers(figures))
    # a classifier of four labels may find no call of a class
    assert all(number > 0 or (name == "events" and number == 0) for number in numbers(figures))
    assert "figure" in capsys.readouterr().out
    assert torch.get_num_threads() == threads


def test_the_step_is_measured_for_three_recipes(tmp_path: Path) -> None:
    out = tmp_path / "bench.json"
    assert main(["step", "--tiny", "--rounds", "1", "--threads", "1", "--json", str(out)]) == 0
    found = json.loads(out.read_text())
    assert KEYS["step"] <= found.keys()
    for name in ("default", "quick", "reference"):
        assert sum(found[name]["profile"].values()) == pytest.approx(1)
        assert min(found[name]["profile"].values()) > -0.01  # no time counts twice
        assert 0 < found[name]["data_share"] < 1
    ratio = found["default"]["recordings_per_second"] / found["reference"]["recordings_per_second"]
    assert found["ratio_default_over_reference"] == pytest.approx(ratio)


def test_multiply_adds_are_those_of_the_layers(tmp_path: Path) -> None:
    recipe = load_recipe("quick", ["train.batch=4", "loss.terms=mel-mel"])
    store = open_recordings(write_recordings(tmp_path / "sound", 6), recipe, tmp_path / "cache")
    trial = Trial(recipe, store, torch.device("cpu"))
    seen = []
    hooks = [
        layer.register_forward_hook(lambda own, _, made: seen.append(own.weight[0].numel() * made.numel()))
        for layer in trial.task.model.mel.encoder.modules()
        if isinstance(layer, torch.nn.Conv2d | torch.nn.Linear)
    ]
    with torch.no_grad():
        trial.task(trial.task.see(trial.task.batch(trial.plan.recordings(0), 0)))
    for hook in hooks:
        hook.remove()
    assert seen
    assert trial.multiply_adds() == {"mel": pytest.approx(3 * sum(seen) / 4)}
    assert trial.sound_seconds == pytest.approx(2 * 0.85 * 0.64)


@pytest.mark.parametrize("name", ["default", "quick"])
def test_a_model_to_time_has_all_its_landmarks(name: str) -> None:
    recipe = load_recipe(name)
    model = model_to_time(recipe)
    assert not model.training
    for encoder in (model.wave, model.mel):
        clips, pieces = encoder.landmarks.lengths.split(encoder.landmarks.counts)
        assert (clips >= 30).all()  # 0.61 s and more, in frames of 20 ms
        assert pieces.tolist() == ([8] * 64 + [16] * 64 if name == "default" else [])
        aligned = encoder.landmarks(encoder.spectrum(*encoder.front(torch.randn(1, 16000))))
        assert aligned.min() > 0
        assert aligned.std() > 0.01


def test_a_recipe_without_landmarks_is_timed_as_it_is() -> None:
    recipe = load_recipe("reference")
    made, wanted = model_to_time(recipe).state_dict(), make_model(recipe.model, seed=0).state_dict()
    assert made.keys() == wanted.keys()
    assert all(torch.equal(made[key], wanted[key]) for key in wanted)


def test_no_benchmark_times_a_model_without_its_landmarks() -> None:
    own = {
        file.name
        for file in (Path(__file__).parents[1] / "benchmarks").glob("*.py")
        if any(
            "make_model" in (getattr(node, "id", ""), getattr(node, "attr", ""))
            for node in walk(parse(file.read_text()))
        )
    }
    assert own == {"models.py", "step.py"}  # steps of training have none: they are fitted after the last one


def test_times_are_medians_of_rounds_in_turn() -> None:
    done: list[str] = []
    times = iter([0, 1, 1, 11, 20, 23, 23, 33, 40, 42, 42, 52])  # a: 1, 3, 2; b: 10, 10, 10
    found = in_turn(
        {"a": lambda: done.append("a"), "b": lambda: done.append("b")}, rounds=3, clock=lambda: float(next(times))
    )
    assert done == ["a", "b"] * 4  # all once to warm up
    assert found == {"a": 2.0, "b": 10.0}


def test_an_unknown_name_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stpe"]) == 2
    assert "did you mean 'step'" in capsys.readouterr().err


def test_what_there_is_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == 0
    said = capsys.readouterr().out
    assert all(name in said for name in ALL)


def test_hours_on_paper_follow_from_the_rates() -> None:
    rates = {
        "embed_seconds": 0.01,
        "list_seconds": 2e-5,
        "survey_seconds": 1e-5,
        "bytes_read": 32_000.0,
        "bytes_written": 4_000.0,
    }
    found = on_paper(rates)
    assert found["machines"][1]["embed_hours"] == pytest.approx(100_000_000 * 0.01 / 16 / 3600)
    assert found["machines"][1]["limit"] == "embedding"
    assert found["list_hours"] == pytest.approx(2000 / 3600)
    assert found["storage_hours"] == pytest.approx(3200 / 3600)
    assert found["machines"][256]["limit"] == "storage"
    assert found["machines"][256]["ray_hours"] == pytest.approx(found["storage_hours"] + 1000 / 3600)
    assert found["machines_at_which"]["storage gives no more"] == 20  # 1,000,000 core seconds in 3,200 s: 312.5 cores
    assert found["machines"][16]["share_hours"] == pytest.approx(found["machines"][16]["embed_hours"] + 2000 / 3600)
