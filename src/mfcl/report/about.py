"""What a study was: `about.json` with its types."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mfcl.evaluation.typed_rows import optional, optional_items, optional_mapping, optional_text


@dataclass(frozen=True)
class Side:
    """How much a part of the split holds.

    Attributes:
        recordings: How many.
        speakers: How many; 0 where that is not known.
    """

    recordings: int
    speakers: int


@dataclass(frozen=True)
class About:
    """What a study was; a text is "" where it was not kept.

    Attributes:
        command: What was typed.
        data: The folder or the list of recordings.
        preset: Name of the preset.
        protocol: Name of the protocol of splits.
        recipe: Name of the recipe.
        label: The label column that is predicted.
        speaker: The label column that names the speaker.
        fingerprint: Of the recordings and their split.
        machine: What it ran on.
        version: Of `mfcl`.
        sides: Part of the split, such as `test`, -> how much it holds.
        seeds: Those that were asked for.
        seconds: Of training and measuring; None where not kept.
        notes: What could not be measured, and what else is to be known.
        done: Parts that are done; None where not kept.
        planned: Parts that were planned; None where not kept.
    """

    command: str = ""
    data: str = ""
    preset: str = ""
    protocol: str = ""
    recipe: str = ""
    label: str = ""
    speaker: str = ""
    fingerprint: str = ""
    machine: str = ""
    version: str = ""
    sides: Mapping[str, Side] = field(default_factory=dict)
    seeds: tuple[int, ...] = ()
    seconds: float | None = None
    notes: tuple[str, ...] = ()
    done: int | None = None
    planned: int | None = None


TEXTS = (
    "command", "data", "preset", "protocol", "recipe", "label", "speaker", "fingerprint", "machine", "version",
)  # fmt: skip


def about_from(row: Mapping[str, Any], where: str) -> About:
    """Return what a study was.

    Args:
        row: What `about.json` held.
        where: The file, to name in a message.

    Raises:
        MfclError: a value of the wrong kind; the message names file and key.
    """
    sides = {}
    for name, side in optional_mapping(row, "parts", where).items():
        here = f"{where}, parts"
        own = optional_mapping({name: side}, name, here)
        counts = [_whole(own, key, f"{here}, {name!r}") or 0 for key in ("recordings", "speakers")]
        sides[name] = Side(*counts)
    return About(
        **{key: optional_text(row, key, where) for key in TEXTS},
        sides=sides,
        seeds=tuple(optional_items(row, "seeds", int, where)),
        seconds=optional(row, "seconds", where),
        notes=tuple(optional_items(row, "notes", str, where)),
        done=_whole(row, "done", where),
        planned=_whole(row, "planned", where),
    )


def _whole(row: Mapping[str, Any], key: str, where: str) -> int | None:
    value = optional(row, key, where)
    return None if value is None else int(value)
