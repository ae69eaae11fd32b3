"""What trackers are told is what `metrics.jsonl` holds; a tracker that fails does not end a run."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from mfcl.errors import MfclError, MissingExtraError
from mfcl.training.api import train
from mfcl.training.run_log import read_metrics, read_warnings
from mfcl.training.trackers import Mlflow, TensorBoard, Tracker, Wandb, flat
from tests.recipes import tiny_recipe
from tests.sounds import write_corpus


class Told:
    """Keeps what it is told; fails at a step if asked to."""

    def __init__(self, fails_at: int = -1) -> None:
        self.config: Mapping = {}
        self.figures: list[tuple[int, dict]] = []
        self.ends, self._fails_at = 0, fails_at

    def begin(self, run: Path, config: Mapping) -> None:
        self.config = config

    def record(self, step: int, figures: Mapping[str, float]) -> None:
        if step >= self._fails_at >= 0:
            raise OSError("the network\nis gone")
        self.figures.append((step, dict(figures)))

    def end(self) -> None:
        self.ends += 1


def run(folder: Path, **asked: object) -> Path:
    if not (folder / "corpus").exists():
        write_corpus(folder / "corpus")
    given = {"recipe": tiny_recipe(folder), "cache": folder / "cache", "device": "cpu", "progress": False, **asked}
    train(folder / "corpus", folder / "run", **given)
    return folder / "run"


def written(folder: Path) -> list[tuple[int, dict]]:
    return [
        (one["step"], {name: value for name, value in one.items() if name != "step" and value is not None})
        for one in read_metrics(folder)
    ]


def test_a_tracker_is_told_what_the_file_holds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told, failing = Told(), Told(fails_at=0)
    assert isinstance(told, Tracker)
    folder = run(tmp_path, trackers=[failing, told], seed=3)
    assert told.figures == written(folder)
    assert len(told.figures) >= 4
    assert told.config["seed"] == 3
    assert dict(flat(told.config))["recipe.train.epochs"] == 2
    assert told.ends == 1
    (line,) = [one for one in read_warnings(folder) if "tracker" in one]
    assert line == "tracker Told: it failed (OSError: the network is gone); metrics.jsonl goes on without it"
    assert failing.ends == 0
    assert "tracker Told: it failed" in capsys.readouterr().err


def test_a_tracker_that_cannot_begin_ends_the_others_and_nothing_is_trained(tmp_path: Path) -> None:
    told = Told()

    class Absent(Told):
        def begin(self, run: Path, config: Mapping) -> None:
            raise MissingExtraError("trackers: wanted the package x")

    with pytest.raises(MfclError, match="wanted the package x"):
        run(tmp_path, trackers=[told, Absent()])
    assert (told.ends, told.figures) == (1, [])

    class Broken(Told):
        def begin(self, run: Path, config: Mapping) -> None:
            raise RuntimeError("no such\nplace")

    with pytest.raises(MfclError, match=r"tracker Broken: it cannot begin \(RuntimeError: no such place\)"):
        run(tmp_path, trackers=[Broken()], overwrite=True)


@pytest.mark.parametrize("kind", [TensorBoard, Wandb, Mlflow])
def test_a_package_that_is_not_there_is_one_line(kind: type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("tensorboard", "wandb", "mlflow", "mlflow.tracking"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.setattr(sys, "meta_path", [one for one in sys.meta_path if isinstance(one, type)])
    with pytest.raises(MissingExtraError, match=r"it is not installed; pip install \w+$"):
        kind().begin(tmp_path, {})


def test_wandb_is_told_through_its_api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list = []
    own = SimpleNamespace(log=seen.append, finish=lambda: seen.append("finished"))
    monkeypatch.setitem(sys.modules, "wandb", _module(init=lambda **given: seen.append(given) or own))
    folder = run(tmp_path, trackers=[Wandb("calls")])
    begun, *lines, last = seen
    assert (begun["project"], begun["mode"], begun["dir"], begun["name"]) == ("calls", "offline", str(folder), "run")
    assert begun["config"]["recipe.train.epochs"] == 2
    assert [(one.pop("step"), one) for one in lines] == written(folder)
    assert last == "finished"


def test_mlflow_is_told_through_its_api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, list] = {"param": [], "metric": [], "end": []}

    class Client:
        def __init__(self, uri: str) -> None:
            seen["uri"] = [uri]

        def get_experiment_by_name(self, name: str) -> None:
            return None

        def create_experiment(self, name: str, artifact_location: str) -> str:
            assert artifact_location.endswith("/run/mlartifacts")
            return f"<{name}>"

        def create_run(self, experiment: str, run_name: str) -> SimpleNamespace:
            return SimpleNamespace(info=SimpleNamespace(run_id=f"{experiment} {run_name}"))

        def log_param(self, *given: object) -> None:
            seen["param"].append(given)

        def log_metric(self, *given: object) -> None:
            seen["metric"].append(given)

        def set_terminated(self, run: str) -> None:
            seen["end"].append(run)

    monkeypatch.setitem(sys.modules, "mlflow", _module())
    monkeypatch.setitem(sys.modules, "mlflow.tracking", _module(MlflowClient=Client))
    folder = run(tmp_path, trackers=[Mlflow()])
    assert seen["uri"] == [f"sqlite:///{(folder / 'mlflow.db').resolve()}"]
    assert ("<mfcl> run", "recipe.train.epochs", "2") in seen["param"]
    found = [(step, name, value) for _, name, value, _, step in seen["metric"]]
    assert found == [(step, name, value) for step, figures in written(folder) for name, value in figures.items()]
    assert seen["end"] == ["<mfcl> run"]


@pytest.mark.filterwarnings("ignore")  # of the packages that it needs
def test_tensorboard_itself_reads_the_figures(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="the package tensorboard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder = run(tmp_path, trackers=[TensorBoard()])
    read = EventAccumulator(str(folder / "tensorboard"))
    read.Reload()
    wanted = [(step, figures["loss"]) for step, figures in written(folder) if "loss" in figures]
    assert [(one.step, pytest.approx(one.value, rel=1e-5)) for one in read.Scalars("loss")] == wanted


@pytest.mark.filterwarnings("ignore")  # of the packages that it needs
def test_mlflow_itself_reads_the_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tracking = pytest.importorskip("mlflow.tracking", reason="the package mlflow is not installed")
    folder = run(tmp_path, trackers=[Mlflow()])
    client = tracking.MlflowClient(f"sqlite:///{(folder / 'mlflow.db').resolve()}")
    (one,) = client.search_runs([client.get_experiment_by_name("mfcl").experiment_id])
    wanted = [(step, figures["loss"]) for step, figures in written(folder) if "loss" in figures]
    assert [(point.step, point.value) for point in client.get_metric_history(one.info.run_id, "loss")] == wanted
    assert one.info.status == "FINISHED"


@pytest.mark.filterwarnings("ignore")  # of the packages that it needs
def test_wandb_itself_writes_a_run_offline(tmp_path: Path) -> None:
    pytest.importorskip("wandb", reason="the package wandb is not installed")
    folder = run(tmp_path, trackers=[Wandb()])
    (made,) = (folder / "wandb").glob("offline-run-*")
    assert [one.stat().st_size > 0 for one in made.glob("run-*.wandb")] == [True]
    assert not [one for one in read_warnings(folder) if "tracker" in one]


def _module(**names: object) -> ModuleType:
    made = ModuleType("stand-in")
    for name, value in names.items():
        setattr(made, name, value)
    return made


def test_figures_are_json(tmp_path: Path) -> None:
    told = Told()
    run(tmp_path, trackers=[told])
    json.dumps(told.figures, allow_nan=False)
