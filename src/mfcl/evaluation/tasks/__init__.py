"""Evaluation tasks, the same for an encoder's embeddings and for every baseline."""

from mfcl.evaluation.tasks.geometry import measure_geometry
from mfcl.evaluation.tasks.labels import LabelProbes, measure_efficiency, measure_labels, measure_under
from mfcl.evaluation.tasks.labels_in_all import measure_labels_in_all, measure_nearest, with_answers
from mfcl.evaluation.tasks.pictures import by_group, confusion, det, placed, unplaced
from mfcl.evaluation.tasks.traits import measure_traits, traits
from mfcl.evaluation.tasks.voices import measure_voices

__all__ = [
    "LabelProbes",
    "by_group",
    "confusion",
    "det",
    "measure_efficiency",
    "measure_geometry",
    "measure_labels",
    "measure_labels_in_all",
    "measure_nearest",
    "measure_traits",
    "measure_under",
    "measure_voices",
    "placed",
    "traits",
    "unplaced",
    "with_answers",
]
