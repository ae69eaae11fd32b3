"""Whiten the voices' part of embeddings as a gallery has it, by the model, in a process of its own.

python -m mfcl.explore.voicing MODEL DIGEST EMBEDDINGS OUT
"""

import os
import sys
from pathlib import Path

import numpy as np

from mfcl.embeddings.blocks import load_embeddings
from mfcl.errors import MfclError


def main() -> int:
    """Write the vectors to the last path, or one line to standard error."""
    model, digest, given, made = sys.argv[1:5]
    os.nice(5)
    try:
        from mfcl.voices.hearing import ModelListener

        listener = ModelListener(model, device="cpu")
        if listener.digest != digest:
            raise MfclError(
                f"{model}: wanted the model {digest[:12]}, it is {listener.digest[:12]}; give that by --model"
            )
        table = load_embeddings(Path(given))
        chosen = (table.only(listener.part) if listener.part else table).whiten(listener.model.whitening)
    except MfclError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    with Path(made).open("wb") as file:
        np.save(file, chosen.vectors)
    return 0


if __name__ == "__main__":
    sys.exit(main())
