"""Place vectors by t-SNE in a process of its own, so that the page stays quick.

python -m mfcl.explore.placing IN OUT
"""

import os
import sys
from pathlib import Path

import numpy as np

from mfcl.embeddings.projection import project_2d


def main() -> None:
    """Read vectors from the first path, and write their places to the second."""
    given, made = Path(sys.argv[1]), Path(sys.argv[2])
    os.nice(5)
    placed = project_2d(np.load(given, allow_pickle=False), seed=0)
    with made.open("wb") as file:
        np.save(file, placed)


if __name__ == "__main__":
    main()
