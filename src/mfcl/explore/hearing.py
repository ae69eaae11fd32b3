"""Embed one file that was dropped on the page, in a process of its own with limits on time and memory.

python -m mfcl.explore.hearing MODEL FILE OUT MEMORY [voice]: the vector goes to OUT, with `voice` what a gallery needs
too; or one line goes to standard error. MEMORY is in bytes.
"""

import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from mfcl.audio.io import read_audio
from mfcl.audio.preparation import SILENCE_DB, swing_db
from mfcl.core.processes import limit_process, own_process
from mfcl.errors import MfclError

LONGEST = 60.0
"""Seconds of a dropped file that are heard."""
WALL_SECONDS = 120.0
CPU_SECONDS = 90
MEMORY = 12 * 2**30
"""Bytes of address space: torch maps far more than it uses."""
LARGEST_FILE = 64 * 2**20
"""Bytes that the process may write to one file."""


@dataclass(frozen=True, eq=False)
class Dropped:
    """What was heard of a file.

    Attributes:
        vector: Its embedding.
        digest: The model's.
        voice: Its vector as a gallery has them; None, like what follows, if that was not asked for.
        seconds: Seconds of sound in it.
        level: Level of its sound in dB.
    """

    vector: Float32[np.ndarray, "1 dim"]
    digest: str
    voice: Float32[np.ndarray, "1 _"] | None = None
    seconds: float = 0.0
    level: float = 0.0


def hear(
    model: Path, content: bytes, *, voice: bool = False, seconds: float = WALL_SECONDS, memory: int = MEMORY
) -> Dropped:
    """Return what is heard of a file's bytes.

    Args:
        model: Folder of the model.
        content: The file.
        voice: Hear it as a gallery of voices does, too.
        seconds: How long that may take.
        memory: Bytes of address space that it may take.

    Raises:
        MfclError: it is no sound, or takes too long.
    """
    with tempfile.TemporaryDirectory(prefix="mfcl-") as folder:
        given, made = Path(folder) / "dropped", Path(folder) / "heard.npz"
        given.write_bytes(content)
        words = own_process("mfcl.explore.hearing", model, given, made, memory, *(["voice"] if voice else []))
        try:
            done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds, check=False)
        except subprocess.TimeoutExpired:
            raise MfclError(f"the file took more than {seconds:.0f} s; drop a shorter one") from None
        if done.returncode or not made.is_file():
            said = done.stderr.decode("utf-8", "replace").strip().splitlines()
            line = said[-1] if done.returncode == 2 and said else "it needed too much time or memory, or is damaged"
            raise MfclError(f"the file cannot be heard: {line.replace(str(given), 'the file')}")
        with np.load(made, allow_pickle=False) as found:
            vector, digest = found["vector"], str(found["digest"])
            if not voice:
                return Dropped(vector, digest)
            return Dropped(vector, digest, found["voice"], float(found["seconds"][0]), float(found["levels"][0]))


def main() -> int:
    """Hear a file with the limits set."""
    limit_process(cpu_seconds=CPU_SECONDS, memory=int(sys.argv[4]), largest_file=LARGEST_FILE)
    model, given, made = (Path(word) for word in sys.argv[1:4])
    try:
        samples, rate = read_audio(given, end=LONGEST)  # decoded before torch is loaded: a bad file is refused at once
        from mfcl.checkpoint import model_digest
        from mfcl.embedder import load

        loaded = load(model, device="cpu")
        level = swing_db(samples)
        if level < SILENCE_DB:  # its vector would have nearest clips as any other
            raise MfclError(f"{given}: silent: {level:.0f} dB in its first {LONGEST:.0f} s; drop a sound")
        found: dict[str, Any] = {"vector": loaded.encode(samples, sample_rate=rate)}
        found["digest"] = model_digest(loaded.checkpoint)
        if sys.argv[5:] == ["voice"]:
            from mfcl.voices.hearing import ModelListener

            one = ModelListener(loaded).arrays([samples], rate)
            found |= {"voice": one.vectors, "seconds": one.seconds, "levels": one.levels}
    except MfclError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    with made.open("wb") as file:
        np.savez(file, **found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
