"""The pre-training step on a GPU, and what twenty thousand clips would take; without one, the same on the processor."""

from typing import Any

import torch

from benchmarks import step

CLIPS, EPOCHS = 20_000, 10


def measure(*, rounds: int = 3, tiny: bool = False) -> dict[str, Any]:
    """Return the figures of `step` on the GPU, and the seconds that `CLIPS` times `EPOCHS` would take at that pace.

    Without a GPU the same is done on the processor with next to nothing, to see that it works; the table says so.
    """
    here = torch.cuda.is_available()
    found = step.measure(rounds=rounds, tiny=tiny or not here, device="cuda" if here else "cpu")
    found["gpu"] = torch.cuda.get_device_name() if here else False
    rate = found["default"]["recordings_per_second"]
    found["seconds_for_all_epochs"] = CLIPS * EPOCHS / rate
    data = found["default"]["profile"]["data"] / rate
    found["recordings_per_second_of_the_data_path"] = 1 / data
    return found


def rows(found: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the lines of the table."""
    if not found["gpu"]:
        return [("GPU", "none is here; what is measured on one works (done on the processor with 4 recordings)")]
    return [
        ("GPU", str(found["gpu"])),
        *step.rows(found),
        (f"seconds for {CLIPS} clips x {EPOCHS} epochs, at this pace", f"{found['seconds_for_all_epochs']:.0f}"),
        ("recordings a second that crops alone would allow", f"{found['recordings_per_second_of_the_data_path']:.0f}"),
    ]
