"""The command or Python call that reproduces a result."""

import shlex
import sys
from pathlib import Path

CALL = "mfcl.study("
"""Beginning of a command that is a Python call."""


def this_command() -> str:
    """Return the running command line; in a notebook or a Python session, the Python call."""
    program = Path(sys.argv[0]).name if sys.argv else ""
    if "ipykernel" in program or "ipython" in program.lower():
        return f"{CALL}...)  # in a notebook"
    if program in ("", "-c"):
        return f"{CALL}...)  # in a Python session"
    return shlex.join(["mfcl" if program in ("mfcl", "__main__.py") else program, *sys.argv[1:]])


def with_only(command: str, section: str) -> str:
    """Return the command, or the call, restricted to one section.

    Example:
        >>> with_only("mfcl study clips --out a --only voices --seed 1", "crops")
        'mfcl study clips --out a --seed 1 --only crops'
        >>> with_only("mfcl.study(...)  # in a notebook", "crops")
        "mfcl.study(..., only=['crops'])  # in a notebook"
    """
    if command.startswith(CALL):
        return command.replace("...)", f"..., only=['{section}'])", 1)
    words, kept, after = shlex.split(command), [], False
    for word in words:
        after = word in ("--only", "--skip") or (after and not word.startswith("-"))
        if not after:
            kept.append(word)
    return shlex.join([*kept, "--only", section])
