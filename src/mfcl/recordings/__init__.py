"""What is known of a recording, and lists of them as CSV files."""

from mfcl.recordings.manifest import PARTS, Manifest, Recording, readable
from mfcl.recordings.tables import read_manifest, write_manifest

__all__ = ["PARTS", "Manifest", "Recording", "read_manifest", "readable", "write_manifest"]
