"""What a study asks, section by section, and how much of it each preset does."""

from dataclasses import dataclass

from mfcl.errors import MfclError, one_of

SECTIONS = {
    "labels": "the label from frozen embeddings: linear probe, few labels, kNN; every control beside",
    "voices": "the speaker of unseen speakers: kNN, words kept apart, verification",
    "traits": "what is the same in all recordings of a speaker, such as gender",
    "efficiency": "1, 5, 10, 50 labels a class and all: frozen, fine-tuned, joint, from scratch, controls",
    "robustness": "the label under noise of 20, 10 and 0 dB and other levels",
    "geometry": "how embeddings lie: alignment, uniformity, RankMe, CKA, retrieval across formats",
    "maps": "t-SNE of the test recordings",
    "cost": "seconds, parameters, multiply-adds, clips a second",
    "formats": "one format alone at equal budget: what the second one buys",
    "augmentation": "the four settings: none, wave, mel, both",
    "crops": "clip lengths: 30, 40, 45, 50 % disjoint, 60 % overlapping, 80-100 % free",
    "ablation": "choices of the recipe, each combination trained in full (--ablate)",
}
"""Name -> what it asks, in the order in which they are done."""
SWEEPS = ("formats", "augmentation", "crops")
"""Sections that train encoders of their own, each for `sweep_epochs`."""
ABLATION = "ablation"
"""The section that a person asks for choice by choice."""
UNLABELLED = ("geometry", "maps", "cost")
"""Sections that need no label at all."""


@dataclass(frozen=True)
class Preset:
    """How much of a study is done.

    Attributes:
        seeds: How many.
        sections: Which of `SECTIONS`.
        sweep_epochs: Epochs of each training of a sweep: fewer than the main one's, and equal among themselves.
        tuned: Labels a class of the trainings with few labels; 0 is all.
        joint: Labels a class of the joint trainings, by them and by all recordings.
    """

    seeds: int
    sections: tuple[str, ...]
    sweep_epochs: int
    tuned: tuple[int, ...]
    joint: tuple[int, ...] = ()


ALWAYS = tuple(name for name in SECTIONS if name != ABLATION)
PRESETS = {
    "quick": Preset(1, tuple(name for name in ALWAYS if name not in SWEEPS), 4, (10, 0)),
    "default": Preset(3, ALWAYS, 6, (1, 5, 10, 50, 0), (1, 10)),
    "reference": Preset(3, ALWAYS, 10, (1, 5, 10, 50, 0)),
}
"""Each uses the recipe of its name."""


def chosen_sections(preset: str, only: list[str] | None, skip: list[str] | None) -> tuple[str, ...]:
    """Return the sections to do, in their order: the preset's, or those asked for, without those to skip.

    Raises:
        MfclError: a section that does not exist, or none is left.

    Example:
        >>> chosen_sections("quick", ["crops", "labels"], None)
        ('labels', 'crops')
    """
    for name in (*(only or ()), *(skip or ())):
        if name not in SECTIONS:
            raise MfclError(one_of("section", name, SECTIONS))
    wanted = only or PRESETS[preset].sections
    left = tuple(name for name in SECTIONS if name in wanted and name not in (skip or ()))
    if not left:
        raise MfclError("--only and --skip leave nothing to do; name a section that is not skipped")
    return left
