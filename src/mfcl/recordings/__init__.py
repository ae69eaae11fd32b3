"""What is known of a recording, and lists of them as CSV files."""

from mfcl.recordings.manifest import PARTS, Manifest, Recording, default_id
from mfcl.recordings.tables import read_manifest, write_manifest

__all__ = ["PARTS", "Manifest", "Recording", "default_id", "read_manifest", "write_manifest"]
