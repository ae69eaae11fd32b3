"""What single choices cost or gain: the default's pre-training step with one of them changed, in turn with it."""

import tempfile
from pathlib import Path
from typing import Any

import torch

from benchmarks.sounds import open_recordings, write_recordings
from benchmarks.step import Trial
from benchmarks.timing import in_turn
from mfcl.recipe import load_recipe

STEPS = 3
"""Steps at a time: short turns and many of them, for what disturbs a machine lasts some seconds."""
CHANGES = {
    "1D encoder in fp32 (default: bf16 where the processor has it)": ["train.wave_precision=fp32"],
    "2D encoder in bf16 (default: fp32)": ["train.mel_precision=bf16"],
    "1D encoder of samples, res1dnet at half width": ["model.wave.name=res1dnet", "model.wave.width=0.5"],
    "one crop in each format: inter alone": ["loss.terms=inter"],
    "crops of 45 % (default: 85 %)": ["crops.length=0.45"],
    "no neighbours": ["loss.neighbours=0"],
    "one part, no neck": ["model.voices=null", "model.neck=null"],
    "no augmentation": ["augment.setting=none"],
    "half of the clips in other rooms": [f"augment.{format}.reverb_probability=0.5" for format in ("wave", "mel")],
    "all clips by other microphones": [f"augment.{format}.filter_db=6.0" for format in ("wave", "mel")],
    "noise of all colours": ["augment.wave.noise_slope_db=6.0"],
}


def measure(*, rounds: int = 5, tiny: bool = False) -> dict[str, Any]:
    """Return the time of a step with each change over that of the default's: above 1 the default is faster."""
    common = ["train.batch=4"] if tiny else []
    changes = dict(list(CHANGES.items())[:1]) if tiny else CHANGES
    with tempfile.TemporaryDirectory() as folder:
        recordings = write_recordings(Path(folder) / "sound", 16 if tiny else 256)
        trials = {}
        for name, change in {"default": [], **changes}.items():
            recipe = load_recipe("default", [*common, *change])
            store = open_recordings(recordings, recipe, Path(folder) / "cache")
            trials[name] = Trial(recipe, store, torch.device("cpu"))
            trials[name].steps = STEPS
        seconds = in_turn({name: trial.some_steps for name, trial in trials.items()}, rounds=rounds)
    rate = trials["default"].steps * trials["default"].batch / seconds["default"]
    return {
        "default_recordings_per_second": rate,
        "ratios": {name: seconds[name] / seconds["default"] for name in changes},
    }


def rows(found: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the lines of the table."""
    ratios = found["ratios"].items()
    return [(f"a step's time over the default's, with: {name}", f"{ratio:.2f}") for name, ratio in ratios]
