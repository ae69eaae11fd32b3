"""Write a manifest to choose a recipe by: no test recording is in it, and some of the train speakers stand for them.

python examples/choosing_split.py manifest.csv choosing.csv
mfcl study choosing.csv --preset default --out runs/choosing --ablate loss.neighbours=0,20 --seeds 1
"""

import argparse
import csv
import random
from pathlib import Path

SPEAKERS = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("choosing", type=Path)
    given = parser.parse_args()
    with given.manifest.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] != "test"]
    speakers = sorted({row["speaker"] for row in rows})
    random.Random(7).shuffle(speakers)  # noqa: S311
    asked = set(speakers[:SPEAKERS])
    with given.choosing.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        for row in rows:
            path = str((given.manifest.parent / row["path"]).resolve())
            writer.writerow({**row, "path": path, "split": "test" if row["speaker"] in asked else "train"})


if __name__ == "__main__":
    main()
