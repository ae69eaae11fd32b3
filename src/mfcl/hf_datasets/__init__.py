"""Data sets of the Hugging Face package `datasets`, in and out; sound is never decoded by that package."""

from mfcl.hf_datasets.incoming import from_dataset
from mfcl.hf_datasets.outgoing import to_dataset, to_dataset_dict
from mfcl.hf_datasets.sources import open_source

__all__ = ["from_dataset", "open_source", "to_dataset", "to_dataset_dict"]
