"""Options that several commands share, and how the command reads numbers and paths."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from mfcl.core.limits import LARGEST_SEED, MOST_THREADS
from mfcl.core.urls import UrlPath, as_path
from mfcl.errors import MfclError, check_number

Command = Callable[[str, Any, str], argparse.ArgumentParser]
"""Adds a command: its name, the function that runs it, and a line of help."""
DATA = "a folder of recordings (sub-folders are labels), a list of them (CSV, Parquet, Raven), a corpus, or a file"
"""Help of the recordings that most commands begin with."""


class OneLineParser(argparse.ArgumentParser):
    """A parser whose error messages are one line."""

    def error(self, message: str) -> NoReturn:
        """Print what is wrong and exit with 2."""
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Refuse unknown options here: a sub-command would hand them to the parser above, whose help lacks its own."""
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return found, unknown


def number(low: int, high: int) -> Callable[[str], int]:
    """Return a reader of whole numbers within bounds for the parser."""

    def read(text: str) -> int:
        plain = len(text) < 30 and text.isascii() and text.removeprefix("-").isdecimal()
        value: object = int(text) if plain else text
        try:
            check_number("this option", value, low, high, whole=True)
        except MfclError as error:
            raise argparse.ArgumentTypeError(str(error).removeprefix("this option: ")) from None
        return int(text)

    return read


def path(text: str) -> Path:
    """Read a local path for the parser; an empty one is a variable that was not set."""
    found = source(text)
    if isinstance(found, UrlPath):
        raise argparse.ArgumentTypeError(f"wanted a local path, got the URL {found}")
    return found


def source(text: str) -> Path:
    """Read the path or URL of recordings, or of a list of them, for the parser."""
    if not text:
        raise argparse.ArgumentTypeError("wanted a path, got nothing")
    try:
        return as_path(text)
    except MfclError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def data_root(command: argparse._ActionsContainer) -> None:
    """Add the option for recordings that were moved."""
    command.add_argument("--data-root", type=path, help="folder where a manifest's recordings are now, if moved")


def seed(command: argparse._ActionsContainer) -> None:
    """Add the option for the seed."""
    command.add_argument("--seed", type=number(0, LARGEST_SEED), default=0, help="seed of every random draw")


def machine(command: argparse._ActionsContainer) -> None:
    """Add the options for device and threads."""
    command.add_argument("--device", default="auto", help="auto, cpu, cuda")
    command.add_argument(
        "--threads", type=number(1, MOST_THREADS), help="processor threads; all that this process may use if left out"
    )


def quiet(command: argparse.ArgumentParser) -> None:
    """Add the option that hides progress."""
    command.add_argument("--quiet", action="store_true", help="show no progress")


def data(command: argparse.ArgumentParser) -> None:
    """Add the options for labels, splits and the cache."""
    group = command.add_argument_group("data")
    group.add_argument(
        "--label",
        help="label column to predict; if left out, one called digit, label, word, species, class or call",
    )
    group.add_argument(
        "--speaker",
        help="column that names the speaker or animal; if left out, one called speaker, individual, ...",
    )
    group.add_argument(
        "--split-by", help="keep recordings with the same value of this column in one split; none: split by recording"
    )
    group.add_argument("--protocol", help="how to split: manifest, label, recording, reference, becker-0 ... becker-4")
    group.add_argument("--strict", action="store_true", help="stop at the first file that cannot be read")
    group.add_argument("--cache", type=path, help="folder for decoded sound (default: MFCL_CACHE, else ~/.cache/mfcl)")
    data_root(group)


def work(command: argparse.ArgumentParser) -> None:
    """Add the options for recipe settings, seed, device and progress."""
    group = command.add_argument_group("work")
    group.add_argument(
        "--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE",
        help="change settings of the recipe, such as train.epochs=5; mfcl info --recipe lists them",
    )  # fmt: skip
    seed(group)
    machine(group)
    quiet(command)
