"""What a study has left in its folder: made into a report."""

import re
from collections.abc import Iterator
from pathlib import Path
from random import Random

from mfcl.report import make_report
from tests.fuzz.kinds import Kind
from tests.fuzz.mutations import spoil_json
from tests.report_data import write_study

NONE = r"[-\u2212]?(nan|inf|NaN|Infinity)"
"""How a number that is none is printed."""


def write(folder: Path) -> None:
    """Write the files of a study of one seed."""
    write_study(folder, seeds=1, speakers=4, takes=1)


def spoil(folder: Path, chance: Random) -> None:
    """Spoil one of its JSON files."""
    path = folder / chance.choice(("results.json", "about.json", "pictures.json"))
    path.write_bytes(spoil_json(chance, path.read_text(encoding="utf-8")))


def use(folder: Path) -> Iterator[object]:
    """Make the report; no figure in it may be called NaN."""
    page = make_report(folder).read_text(encoding="utf-8")
    texts = "".join(path.read_text(encoding="utf-8") for path in folder.glob("*.json"))
    if re.search(rf">\s*{NONE}\s*[<%]", page) and not re.search(rf'"\s*{NONE}\s*"', texts):  # a name may be so
        yield float("nan")


KIND = Kind(write, spoil, use)
