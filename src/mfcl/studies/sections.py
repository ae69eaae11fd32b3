"""Sections and presets of a study."""

from dataclasses import dataclass

from mfcl.errors import MfclError, one_of

SECTIONS = {
    "labels": "the label from frozen embeddings: linear probe, few labels, kNN; every control beside",
    "voices": "the speaker of unseen speakers: kNN, words kept apart, verification",
    "traits": "what is the same in all recordings of a speaker, such as gender",
    "efficiency": "1 to 50 labels a class, 10 to 200 in all, and all: frozen, spread, trained, controls",
    "robustness": "the label under white noise of 20, 10 and 0 dB, pink noise, babble and other levels",
    "geometry": "how embeddings lie: alignment, uniformity, RankMe, CKA, retrieval across formats",
    "maps": "t-SNE of the test recordings",
    "cost": "seconds, parameters, multiply-adds, clips a second",
    "formats": "one format alone at equal budget: what the second one buys",
    "augmentation": "the four settings: none, wave, mel, both",
    "crops": "clip lengths: 30, 40, 45, 50 % disjoint, 60 % overlapping, 80-100 % free",
    "ablation": "choices of the recipe, each combination trained in full (--ablate)",
}
"""Section name -> what it evaluates, in the order in which they run."""
SWEEPS = ("formats", "augmentation", "crops")
"""Sections that train encoders of their own, each for `sweep_epochs`."""
ABLATION = "ablation"
"""The section of user-given recipe settings."""
OF_LITERATURE = ("labels", "robustness", "cost")
"""Sections that ask a network of the literature."""
UNLABELLED = ("geometry", "maps", "cost")
"""Sections that need no label."""


@dataclass(frozen=True)
class Preset:
    """Size of a study.

    Attributes:
        seeds: Number of seeds.
        sections: Names from `SECTIONS`.
        sweep_epochs: Epochs of every training of a sweep, fewer than the main training's.
        tuned: Labels per class of the fine-tuned and from-scratch trainings; 0 means all.
        joint: Labels per class of the joint trainings on labels and all recordings.
        literature: Whether a supervised network of the literature is a control.
    """

    seeds: int
    sections: tuple[str, ...]
    sweep_epochs: int
    tuned: tuple[int, ...]
    joint: tuple[int, ...] = ()
    literature: bool = False


ALWAYS = tuple(name for name in SECTIONS if name != ABLATION)
PRESETS = {
    "quick": Preset(1, tuple(name for name in ALWAYS if name not in SWEEPS), 4, (10, 0)),
    "default": Preset(3, ALWAYS, 6, (1, 5, 10, 50, 0), (1, 10), literature=True),
    "reference": Preset(3, ALWAYS, 10, (1, 5, 10, 50, 0)),
}
"""Preset name -> its size; each uses the recipe of the same name."""


def chosen_sections(preset: str, only: list[str] | None, skip: list[str] | None) -> tuple[str, ...]:
    """Return the sections to run in their order: those of `only`, else of the preset, without those of `skip`.

    Raises:
        MfclError: a section or the preset does not exist, or no section is left.

    Example:
        >>> chosen_sections("quick", ["crops", "labels"], None)
        ('labels', 'crops')
    """
    if preset not in PRESETS:
        raise MfclError(one_of("preset", preset, PRESETS))
    for name in (*(only or ()), *(skip or ())):
        if name not in SECTIONS:
            raise MfclError(one_of("section", name, SECTIONS))
    wanted = only or PRESETS[preset].sections
    left = tuple(name for name in SECTIONS if name in wanted and name not in (skip or ()))
    if not left:
        raise MfclError("only and skip leave nothing to do; name a section that is not skipped")
    return left
