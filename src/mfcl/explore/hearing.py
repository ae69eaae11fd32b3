"""Embed one file that was dropped on the page, in a process of its own with limits on time and memory.

python -m mfcl.explore.hearing MODEL FILE OUT: the vector goes to OUT, or one line to standard error.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from mfcl.audio.io import read_audio
from mfcl.core.processes import limit_process
from mfcl.errors import MfclError

LONGEST = 60.0
"""Seconds of a dropped file that are heard."""
WALL_SECONDS = 120.0
CPU_SECONDS = 90
MEMORY = 12 * 2**30
"""Bytes of address space: torch maps far more than it uses."""
LARGEST_FILE = 64 * 2**20
"""Bytes that the process may write to one file."""


def hear(model: Path, content: bytes, *, seconds: float = WALL_SECONDS) -> Float32[np.ndarray, "1 dim"]:
    """Return the vector of a file's bytes.

    Raises:
        MfclError: it is no sound, or takes too long.
    """
    with tempfile.TemporaryDirectory(prefix="mfcl-") as folder:
        given, made = Path(folder) / "dropped", Path(folder) / "vector.npy"
        given.write_bytes(content)
        words = [sys.executable, "-m", "mfcl.explore.hearing", str(model), str(given), str(made)]
        try:
            done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds, check=False)
        except subprocess.TimeoutExpired:
            raise MfclError(f"the file took more than {seconds:.0f} s; drop a shorter one") from None
        if done.returncode or not made.is_file():
            said = done.stderr.decode("utf-8", "replace").strip().splitlines()
            line = said[-1] if done.returncode == 2 and said else "it needed too much time or memory, or is damaged"
            raise MfclError(f"the file cannot be heard: {line.replace(str(given), 'the file')}")
        vector: Float32[np.ndarray, "1 dim"] = np.load(made, allow_pickle=False)
        return vector


def main() -> int:
    """Hear a file with the limits set."""
    limit_process(cpu_seconds=CPU_SECONDS, memory=MEMORY, largest_file=LARGEST_FILE)
    model, given, made = (Path(word) for word in sys.argv[1:4])
    try:
        samples, rate = read_audio(given, end=LONGEST)  # decoded before torch is loaded: a bad file is refused at once
        from mfcl.embedder import load

        vector = load(model, device="cpu").encode(samples, sample_rate=rate)
    except MfclError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    with made.open("wb") as file:
        np.save(file, vector)
    return 0


if __name__ == "__main__":
    sys.exit(main())
