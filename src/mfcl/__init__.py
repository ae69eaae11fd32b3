"""Multi-format contrastive learning of audio representations.

From a folder of recordings, without labels or a GPU: `train` a pair of encoders, `load` them, `embed` a corpus,
and run the whole `study` with its baselines. Names are imported on first use, so `import mfcl` is fast.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mfcl.checkpoint import Checkpoint, load_checkpoint
    from mfcl.classification import classify, classify_windows, fit_on, similar
    from mfcl.core.process import prepare_process
    from mfcl.data.layouts import open_manifest
    from mfcl.data.manifest import Manifest, Recording
    from mfcl.data.scanning import scan
    from mfcl.data.shards.writing import pack
    from mfcl.embedder import Embedder, load
    from mfcl.embedding_lists import embed
    from mfcl.embedding_parts import embed_parts
    from mfcl.embeddings.blocks import load_embeddings
    from mfcl.embeddings.table import Embeddings
    from mfcl.errors import MfclError
    from mfcl.exporting import export_onnx, export_pt2
    from mfcl.hf_datasets import from_dataset, to_dataset, to_dataset_dict
    from mfcl.importing import import_model
    from mfcl.labelling import (
        Collection,
        LabelClassifier,
        draw_held_out,
        estimate,
        fit_classifier,
        load_classifier,
        propagate,
        save_classifier,
        suggest,
    )
    from mfcl.recipe import Recipe, load_recipe
    from mfcl.report import make_report
    from mfcl.studies import study
    from mfcl.studies.comparing import compare
    from mfcl.training.api import train
    from mfcl.transformer import MfclEmbedder
    from mfcl.voices import Gallery

__version__ = "0.2.0"

_MODULES = {
    "Checkpoint": "checkpoint",
    "Collection": "labelling",
    "Embedder": "embedder",
    "Embeddings": "embeddings",
    "Gallery": "voices",
    "LabelClassifier": "labelling",
    "Manifest": "data",
    "MfclEmbedder": "transformer",
    "MfclError": "errors",
    "Recipe": "recipe",
    "Recording": "data",
    "classify": "classification",
    "classify_windows": "classification",
    "compare": "studies.comparing",
    "draw_held_out": "labelling",
    "embed": "embedding_lists",
    "embed_parts": "embedding_parts",
    "estimate": "labelling",
    "fit_classifier": "labelling",
    "fit_on": "classification",
    "export_onnx": "exporting",
    "export_pt2": "exporting",
    "from_dataset": "hf_datasets",
    "import_model": "importing",
    "load": "embedder",
    "load_checkpoint": "checkpoint",
    "load_classifier": "labelling",
    "load_embeddings": "embeddings",
    "load_recipe": "recipe",
    "make_report": "report",
    "open_manifest": "data",
    "pack": "data.shards.writing",
    "prepare_process": "core.process",
    "propagate": "labelling",
    "save_classifier": "labelling",
    "scan": "data.scanning",
    "similar": "classification",
    "study": "studies",
    "suggest": "labelling",
    "to_dataset": "hf_datasets",
    "to_dataset_dict": "hf_datasets",
    "train": "training.api",
}

_PACKAGES = ("models", "views")
"""Packages of building blocks, also imported on first use: `mfcl.models.LogMel`."""

__all__ = [
    "Checkpoint",
    "Collection",
    "Embedder",
    "Embeddings",
    "Gallery",
    "LabelClassifier",
    "Manifest",
    "MfclEmbedder",
    "MfclError",
    "Recipe",
    "Recording",
    "classify",
    "classify_windows",
    "compare",
    "draw_held_out",
    "embed",
    "embed_parts",
    "estimate",
    "export_onnx",
    "export_pt2",
    "fit_classifier",
    "fit_on",
    "from_dataset",
    "import_model",
    "load",
    "load_checkpoint",
    "load_classifier",
    "load_embeddings",
    "load_recipe",
    "make_report",
    "open_manifest",
    "pack",
    "prepare_process",
    "propagate",
    "save_classifier",
    "scan",
    "similar",
    "study",
    "suggest",
    "to_dataset",
    "to_dataset_dict",
    "train",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        value = getattr(importlib.import_module(f"mfcl.{_MODULES[name]}"), name)
        globals()[name] = value  # the import may just have set a submodule of the same name here: replace it
        return value
    if name in _PACKAGES:
        return importlib.import_module(f"mfcl.{name}")
    raise AttributeError(f"module 'mfcl' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_MODULES])
