"""Send the figures of a run to other programs, beside `metrics.jsonl`: TensorBoard, Weights & Biases, MLflow.

A package is imported when its tracker begins. Figures that a resumed run computes again are sent again.
"""

import importlib
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from mfcl.errors import MissingExtraError


@runtime_checkable
class Tracker(Protocol):
    """What is told of a run; only the main process tells.

    A tracker that raises an error when the run has begun is left out from then on, with a warning: training goes on.
    """

    def begin(self, run: Path, config: Mapping[str, Any]) -> None:
        """Take the run's folder and all settings, before the first step."""
        ...

    def record(self, step: int, figures: Mapping[str, float]) -> None:
        """Take finite figures after a step, each by its name in `metrics.jsonl`."""
        ...

    def end(self) -> None:
        """Finish: the run is over, or was stopped."""
        ...


class TensorBoard:
    """Writes event files for TensorBoard (package `tensorboard`).

    Args:
        folder: Where to write; default: `tensorboard` in the run's folder.
    """

    def __init__(self, folder: str | Path | None = None) -> None:
        self._folder = folder
        self._writer: Any = None

    def begin(self, run: Path, config: Mapping[str, Any]) -> None:
        """Open the event file and write the settings as text."""
        _needed("tensorboard")
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(self._folder or run / "tensorboard"))
        lines = [f"    {name}: {value}" for name, value in flat(config)]
        self._writer.add_text("settings", "\n".join(lines))

    def record(self, step: int, figures: Mapping[str, float]) -> None:
        """Write figures as scalars."""
        for name, value in figures.items():
            self._writer.add_scalar(name, value, step)

    def end(self) -> None:
        """Close the file."""
        self._writer.close()


class Wandb:
    """Sends figures to Weights & Biases (package `wandb`).

    Args:
        project: Name of the project.
        mode: `offline` writes files for `wandb sync`; `online` sends what is recorded to its servers.
    """

    def __init__(self, project: str = "mfcl", *, mode: str = "offline") -> None:
        self._project, self._mode = project, mode
        self._run: Any = None

    def begin(self, run: Path, config: Mapping[str, Any]) -> None:
        """Begin a run there; its files lie in `wandb` in the run's folder."""
        wandb = _needed("wandb")
        self._run = wandb.init(
            project=self._project, name=run.name, dir=str(run), mode=self._mode, config=dict(flat(config)),
            reinit="create_new",
        )  # fmt: skip

    def record(self, step: int, figures: Mapping[str, float]) -> None:
        """Send figures."""
        self._run.log({**figures, "step": step})

    def end(self) -> None:
        """Finish the run there."""
        self._run.finish()


class Mlflow:
    """Writes figures for MLflow (package `mlflow`).

    Args:
        uri: Where it keeps runs: a database, or a server; default: the SQLite file `mlflow.db` in the run's folder.
        experiment: Name of the experiment.
    """

    def __init__(self, uri: str | None = None, *, experiment: str = "mfcl") -> None:
        self._uri, self._experiment = uri, experiment
        self._client: Any = None
        self._id = ""

    def begin(self, run: Path, config: Mapping[str, Any]) -> None:
        """Begin a run there, with the settings as parameters."""
        place = run.resolve()
        client = _needed("mlflow.tracking", "mlflow").MlflowClient(self._uri or f"sqlite:///{place / 'mlflow.db'}")
        found = client.get_experiment_by_name(self._experiment)
        # without a place of its own for files, a local one makes a folder wherever the program was started
        files = None if self._uri else (place / "mlartifacts").as_uri()
        experiment = found.experiment_id if found else client.create_experiment(self._experiment, files)
        self._client, self._id = client, client.create_run(experiment, run_name=run.name).info.run_id
        for name, value in flat(config):
            client.log_param(self._id, name, str(value)[:500])

    def record(self, step: int, figures: Mapping[str, float]) -> None:
        """Write figures."""
        now = round(1000 * time.time())
        for name, value in figures.items():
            self._client.log_metric(self._id, name, value, now, step)

    def end(self) -> None:
        """Mark the run as finished."""
        self._client.set_terminated(self._id)


def flat(config: Mapping[str, Any], group: str = "") -> Iterator[tuple[str, Any]]:
    """Yield settings by their dotted names.

    Example:
        >>> list(flat({"seed": 0, "recipe": {"train": {"batch": 64}}}))
        [('seed', 0), ('recipe.train.batch', 64)]
    """
    for name, value in config.items():
        key = f"{group}.{name}" if group else str(name)
        if isinstance(value, Mapping):
            yield from flat(value, key)
        else:
            yield key, value


def _needed(module: str, package: str | None = None) -> Any:
    name = package or module
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != name:  # it is there, and lacks a package of its own
            raise
        raise MissingExtraError(
            f"trackers: wanted the package {name}, it is not installed; pip install {name}"
        ) from None
