"""Crops of recordings, batches of crops, and augmentations. Modules load on first use, so crops need no torch."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mfcl.views.augment import AugmentSettings, augment_mel, augment_wave
    from mfcl.views.crops import CropSettings, crop_pair
    from mfcl.views.responses import channel_responses, room_responses
    from mfcl.views.transforms import (
        amplified,
        convolved,
        faded,
        hidden,
        mixed,
        noisy,
        resized,
        shifted,
        silenced,
        tilted,
        white_noise,
    )

_HOMES = {
    "augment": ("AugmentSettings", "augment_mel", "augment_wave"),
    "crops": ("CropSettings", "crop_pair"),
    "responses": ("channel_responses", "room_responses"),
    "transforms": (
        *("amplified", "convolved", "faded", "hidden", "mixed", "noisy"),
        *("resized", "shifted", "silenced", "tilted", "white_noise"),
    ),
}

__all__ = [
    "AugmentSettings",
    "CropSettings",
    "amplified",
    "augment_mel",
    "augment_wave",
    "channel_responses",
    "convolved",
    "crop_pair",
    "faded",
    "hidden",
    "mixed",
    "noisy",
    "resized",
    "room_responses",
    "shifted",
    "silenced",
    "tilted",
    "white_noise",
]


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(f"mfcl.views.{home}"), name)
    raise AttributeError(f"module 'mfcl.views' has no attribute {name!r}")
