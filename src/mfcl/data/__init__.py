"""Recordings: manifests, folder layouts, scans, splits, stores of decoded audio, corpora. Nothing here loads torch."""

from mfcl.data.dataset import LABEL_NAMES, SPEAKER_NAMES, Data, open_data
from mfcl.data.ids import readable
from mfcl.data.layouts import open_manifest
from mfcl.data.manifest import SPLITS, Manifest, Recording
from mfcl.data.manifest_csv import read_manifest, write_manifest

__all__ = [
    "LABEL_NAMES",
    "SPEAKER_NAMES",
    "SPLITS",
    "Data",
    "Manifest",
    "Recording",
    "open_data",
    "open_manifest",
    "read_manifest",
    "readable",
    "write_manifest",
]
