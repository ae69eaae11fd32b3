"""How long a person waits for the first word: imports and help."""

import subprocess
import sys
from typing import Any

from benchmarks.timing import in_turn

COMMANDS = {
    "python alone": ["-c", "pass"],
    "import mfcl": ["-c", "import mfcl"],
    "mfcl --help": ["-m", "mfcl", "--help"],
    "mfcl scan --help": ["-m", "mfcl", "scan", "--help"],
    "mfcl train --help": ["-m", "mfcl", "train", "--help"],
}


def measure(*, rounds: int = 5, tiny: bool = False) -> dict[str, Any]:
    """Return the median seconds of a fresh process for each."""

    def started(arguments: list[str]) -> None:
        subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)

    names = list(COMMANDS)[:3] if tiny else list(COMMANDS)
    found = in_turn({name: lambda name=name: started(COMMANDS[name]) for name in names}, rounds=rounds)  # type: ignore[misc]
    return {"seconds": found}


def rows(found: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the lines of the table."""
    return [(f"{name}: seconds", f"{seconds:.2f}") for name, seconds in found["seconds"].items()]
