"""Find recordings that were moved after their manifest was written."""

import os
from dataclasses import replace
from pathlib import Path

from mfcl.core.console import worded
from mfcl.core.files import is_there
from mfcl.core.urls import UrlPath
from mfcl.data.manifest import Manifest
from mfcl.errors import ManifestError


def relocated(manifest: Manifest, data_root: Path) -> Manifest:
    """Return the same recordings with paths below another folder.

    The shortest common prefix is removed from all paths such that a file exists below `data_root`. Ids, labels and
    splits stay, so that embeddings and checkpoints still match.

    Args:
        manifest: Recordings with their old paths.
        data_root: Folder to which they were moved.

    Raises:
        ManifestError: none of them exists there.
    """
    if isinstance(data_root, UrlPath) or any(isinstance(recording.path, UrlPath) for recording in manifest):
        raise ManifestError(
            f"{data_root}: only local files are found again below another folder, and the list or this names URLs; "
            "write the list with their new URLs"
        )
    root = Path(os.path.abspath(data_root))  # noqa: PTH100
    paths = [Path(os.path.normpath(recording.path)) for recording in manifest]
    common = Path(os.path.commonpath([path.parent for path in paths]))
    for taken in range(1, len(common.parts) + 1):  # part 0 is the root of the file system
        moved = [root.joinpath(*path.parts[taken:]) for path in paths]
        if any(is_there(path) for path in moved):
            pairs = zip(manifest, moved, strict=True)
            return replace(manifest, recordings=tuple(replace(recording, path=path) for recording, path in pairs))
    raise ManifestError(
        f"{data_root}: none of the {worded(len(paths), 'recording')} is below it, such as {paths[0]}; "
        "give the folder to which they were moved"
    )
