"""What the words of the field mean: shown on hover over heads and names, and as a list at the end of the page."""

from mfcl.evaluation.result import (
    BASELINE,
    ELSEWHERE,
    ENROLLED,
    FINE_TUNED,
    FROM_SCRATCH,
    IDENTIFY,
    IDENTIFY_APART,
    JOINT,
    KNN,
    LINEAR,
    PAIRS,
    PRETRAINED,
    SUPERVISED,
    UNTRAINED,
    Question,
    Representation,
)
from mfcl.evaluation.wording import NEIGHBOURS

METRICS: dict[str, tuple[str, str]] = {
    "eer": ("EER, equal error rate",
            "The share of wrong decisions at the threshold where as many impostors are accepted as true speakers are "
            "rejected. Less is better; guessing has 50 %."),
    "min_dcf": ("minDCF",
                "The lowest detection cost over all thresholds, with true speakers taken to be rare. "
                "Less is better; 1 is the cost of always saying no."),
    "r_at_1": ("Found first, R@1", "How often a waveform's vector is nearest to that of its own log-mel spectrogram."),
    "r_at_5": ("Found among five, R@5", "How often a waveform's own log-mel spectrogram is among its five nearest."),
    "alignment": ("Alignment of the formats", "The mean squared distance between the two formats of a clip, scaled "
                  "to length 1: 0 together, 4 opposite."),
    "uniformity": ("Uniformity", "How evenly vectors cover the unit sphere: 0 where all are one, about \u22124 where "
                   "they are spread."),
    "rankme": ("RankMe, effective rank", "How many directions the vectors use: the exponential of the entropy of their "
               "singular values."),
    "cka": ("CKA, centred kernel alignment", "How alike the vectors of the two formats are: 0 not at all, 1 equal up "
            "to rotation and scale."),
}  # fmt: skip
"""Metric -> its term and what it means."""
PROBES: dict[str, tuple[str, str]] = {
    LINEAR: ("Linear probe", "Logistic regression from frozen vectors to labels: encoders are not trained further."),
    KNN: ("kNN, nearest neighbours", f"The label that most of the {NEIGHBOURS} nearest training clips have. Nothing is "
          "trained."),
    IDENTIFY: ("Half of each enrolled", "Half of a speaker's test clips are known by name. Each other clip gets the "
               "name of the nearest known ones."),
    IDENTIFY_APART: ("Enrolment and test apart", "As with half of each enrolled, but known clips and tested clips say "
                     "different things. Only the voice can help."),
    PAIRS: ("All pairs", "Every two test clips are compared: are they of one speaker?"),
    "spread": ("Labels spread", "The few known labels are passed on over a graph of nearest clips: clips without a "
               "label take the label of those around them, and a test clip that of its nearest. No weight is trained."),
    ENROLLED: ("Clips enrolled", "A speaker is known by the mean vector of so many clips. Other clips are accepted or "
               "rejected as this speaker."),
}  # fmt: skip
"""How a figure is read from vectors -> its term and what it means."""
BASELINES: dict[str, tuple[str, str]] = {
    "MFCC statistics": ("MFCC statistics", "Mean and deviation over time of mel-frequency cepstral coefficients and of "
                        "their slopes. Nothing is learned."),
    "log-mel picture": ("Log-mel picture", "The log-mel spectrogram itself, resized in time. Nothing is learned."),
    "Hydra-like features": ("Hydra-like features", "How often each of many random convolution kernels answers "
                            "strongest. They are like Hydra, not Hydra itself. Nothing is learned."),
    "average spectrum": ("Average spectrum", "The mean log-mel of a clip's loud frames. It holds the voice, and the "
                         "microphone, and little of what is said. Nothing is learned."),
    "alignment landmarks": ("Alignment landmarks", "How near a clip is to each of some clips drawn from the training "
                            "part, and how well pieces of these are found in it, by DTW of their log-mel frames: a "
                            "value a landmark. Nothing is learned."),
    "alignment": ("Alignment of clips", "The distance by DTW between two clips' log-mel frames. It is no vector, so "
                  "only what needs nearest clips can use it. Nothing is learned."),
}  # fmt: skip
"""Name of a baseline -> its term and what it means."""
KINDS: dict[str, tuple[str, str]] = {
    PRETRAINED: ("Pre-trained", "Encoders trained without labels by contrastive learning, then frozen."),
    UNTRAINED: ("Untrained", "The same encoders with their random first weights."),
    SUPERVISED: ("Supervised", "The same encoders trained on all labels of the training part, then frozen."),
    FINE_TUNED: ("Fine-tuned", "Pre-trained encoders that are trained further with the labels."),
    FROM_SCRATCH: ("From scratch", "The same encoders trained with the same labels from random weights."),
    JOINT: ("Joint", "Encoders trained with a few labels and with all recordings at once."),
    ELSEWHERE: ("Made elsewhere", "Vectors of another program, measured like the others. What they were trained on is "
                "not known here."),
}  # fmt: skip
"""Kind of representation -> its term and what it means."""


OTHERS: dict[str, tuple[str, str]] = {
    "DTW": ("DTW, dynamic time warping", "Two sounds are laid over one another, one stretched here and squeezed there, "
            "so that they fit best. Their distance is what still differs."),
    "chosen": ("Chosen labels", "The clips to label were suggested by how well they cover the graph of nearest clips, "
               "instead of drawn at random. Their labels were not looked at."),
    "frozen": ("Frozen", "The encoder is not trained further: only a probe on its vectors is."),
    "t-SNE": ("t-SNE", "A way to lay vectors out on a plane so that neighbours stay neighbours. Large distances, the "
              "size and the place of a cluster say nothing."),
    "interval": ("95 % interval", "Speakers, or recordings where no column names speakers, are drawn again and again "
                 "with replacement, and seeds too. 95 % of the figures lie within."),
    "open": ("Better, worse, open", "Said of a difference on the same test clips: its 95 % interval lies above 0, "
             "below 0, or holds 0."),
    "matched noise": ("Matched noise", "Noise of the kind that the encoders were trained with: white, whose power is "
                      "the same at all frequencies."),
    "pink noise": ("Pink noise", "Noise whose power falls by 3 dB an octave, as that of many rooms and streets does."),
    "babble": ("Babble", "Training clips of four other speakers at once, of equal power; any other clips where no "
               "column names speakers."),
}  # fmt: skip
"""Other words -> their term and what it means."""
SPOKEN: dict[str, str] = {
    **{word: METRICS[key][1] for word, key in (
        ("equal error rate", "eer"), ("minDCF", "min_dcf"), ("effective rank", "rankme"), ("RankMe", "rankme"),
        ("CKA", "cka"), ("EER", "eer"),
    )},
    **{word: PROBES[key][1] for word, key in (
        ("linear probe", LINEAR), (f"{NEIGHBOURS}-NN", KNN), ("validation kNN", KNN),
        ("half of each enrolled", IDENTIFY), ("of enrolment and test apart", IDENTIFY_APART), ("all pairs", PAIRS),
        ("clip enrolled", ENROLLED),
        ("clips enrolled", ENROLLED), ("labels spread", "spread"),
    )},
    **{name: meaning for name, (_, meaning) in BASELINES.items() if name != "alignment"},
    **{kind: KINDS[kind][1] for kind in (UNTRAINED, SUPERVISED, FINE_TUNED, FROM_SCRATCH, JOINT)},
    "Supervised": KINDS[SUPERVISED][1], "trained from scratch": KINDS[FROM_SCRATCH][1],
    "labels in all, chosen": OTHERS["chosen"][1],
    **{word: OTHERS[word][1] for word in ("DTW", "t-SNE", "matched noise", "pink noise", "babble")},
}  # fmt: skip
"""Words as sentences and legends have them -> what is shown on hover over them."""


def of_question(question: Question) -> str:
    """Return what is asked, "" where there is nothing to explain."""
    chosen = OTHERS["chosen"][1] if getattr(question, "selection", "") == "chosen" else ""
    return " ".join(text for text in (PROBES.get(question.probe, ("", ""))[1], chosen) if text)


def of_metric(metric: str) -> str:
    """Return what a metric says, "" where its name says it."""
    return METRICS.get(metric, ("", ""))[1]


def of_representation(one: Representation) -> str:
    """Return how a representation is made, "" where that is not known."""
    found = BASELINES.get(one.variant) if one.kind == BASELINE else KINDS.get(one.kind)
    return found[1] if found else ""


def terms() -> list[tuple[str, str]]:
    """Return every term with what it means."""
    return [entry for group in (KINDS, BASELINES, PROBES, METRICS, OTHERS) for entry in group.values()]
