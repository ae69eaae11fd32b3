"""Open a data set from a folder or by its id on the hub, and its splits by mfcl's names."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mfcl.core.extras import need
from mfcl.core.urls import UrlPath, as_path, safe_text
from mfcl.data.manifest import SPLITS
from mfcl.errors import ManifestError, MfclError, one_of, shown

EXTRA = "datasets"
REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+", re.ASCII)
SAVED = ("dataset_dict.json", "state.json")
"""Files by which a folder of `save_to_disk` is known."""
NAMES = {"train": "train", "valid": "valid", "validation": "valid", "val": "valid", "dev": "valid", "test": "test"}
"""Usual name of a split -> its name in a manifest."""


@dataclass(frozen=True)
class Part:
    """Rows of a data set that belong together.

    Attributes:
        name: Its name in the data set; empty if the data set has no parts.
        split: `train`, `valid`, `test` or empty.
        rows: A `datasets.Dataset`.
    """

    name: str
    split: str
    rows: Any


def open_source(source: str | Path, *, config: str | None = None, revision: str | None = None) -> Any:
    """Open a data set: a folder of `save_to_disk`, a folder of Parquet or audio files, or an id on the hub.

    No code of a data set is run: one that needs its own script is refused.

    Args:
        source: A folder, or an id such as `someone/birds`; a folder of that name comes first.
        config: Which of the configurations of a data set that has several.
        revision: Branch, tag or commit on the hub; None: its main branch.

    Returns:
        A `datasets.Dataset` or `datasets.DatasetDict`.

    Raises:
        ManifestError: there is no such folder and no such id, or it cannot be loaded.
        MissingExtraError: `datasets` is not installed.
    """
    datasets, folder = need("datasets", EXTRA), as_path(source)
    local = not isinstance(folder, UrlPath) and folder.is_dir()
    if not local and not REPOSITORY.fullmatch(str(source)):
        raise ManifestError(f"{source}: no such folder, and no id of a data set on the hub (someone/birds); give one")
    if local and any((folder / name).is_file() for name in SAVED):
        if config is not None or revision is not None:
            raise ManifestError(f"{source}: a folder of save_to_disk has no configurations or revisions; name none")
        return _loaded(source, datasets.load_from_disk, str(folder.absolute()))
    place = str(folder.absolute()) if local else str(source)
    # said out loud: before version 4 the package would ask whoever sits at the terminal
    safe = {"trust_remote_code": False}
    return _loaded(source, datasets.load_dataset, place, name=config, revision=revision, **safe)


def _loaded(source: str | Path, load: Any, place: str, **options: Any) -> Any:
    try:
        return load(place, **options)
    except MfclError:
        raise
    except Exception as error:  # the exceptions of datasets, pyarrow, fsspec and the hub share no class
        told = safe_text(next((line for line in str(error).splitlines() if line.strip()), type(error).__name__))
        raise ManifestError(f"{source}: cannot be loaded as a data set ({told}); check the name and the network") from (
            error
        )


def parts_of(dataset: Any, splits: Mapping[str, str] | None) -> list[Part]:
    """Return the parts of a data set with their splits.

    Args:
        dataset: A `datasets.Dataset` or `datasets.DatasetDict`.
        splits: Name of each part to take -> `train`, `valid`, `test` or ""; None: all parts, by their usual names.

    Raises:
        ManifestError: another kind of object, or a part whose name is not a usual one.
    """
    datasets = need("datasets", EXTRA)
    if isinstance(dataset, datasets.Dataset):
        if splits is not None:
            raise ManifestError("splits: a Dataset has none; give a DatasetDict, or leave `splits` out")
        return [Part("", "", dataset)]
    if not isinstance(dataset, datasets.DatasetDict):
        raise ManifestError(
            f"wanted a datasets.Dataset or DatasetDict, got {type(dataset).__name__}; a streamed one has to be loaded "
            "whole (without streaming=True)"
        )
    if splits is None:
        strange = [name for name in dataset if name not in NAMES]
        if strange:
            raise ManifestError(
                f"the data set has a split {shown(strange[0])}, none of {', '.join(NAMES)}; name those to take "
                f"(Python: splits={{{shown(strange[0])}: 'train'}}; mfcl import: --split {strange[0]}=train)"
            )
        alone = len(dataset) == 1
        return [Part(name, "" if alone else NAMES[name], rows) for name, rows in dataset.items()]
    for name, split in splits.items():
        if name not in dataset:
            raise ManifestError(one_of("split of the data set", name, dataset))
        if split and split not in SPLITS:
            raise ManifestError(f"splits[{shown(name)}]: {one_of('split', split, SPLITS)}")
    if not splits:
        raise ManifestError(f"splits: wanted one of {', '.join(dataset)} or more, got none")
    return [Part(name, split, dataset[name]) for name, split in splits.items()]
