"""What made a figure: the command line that is running."""

import shlex
import sys
from pathlib import Path


def this_command() -> str:
    """Return the command line that is running, to print beside the figures it makes."""
    program = Path(sys.argv[0]).name
    return shlex.join(["mfcl" if program in ("mfcl", "__main__.py") else program, *sys.argv[1:]])
