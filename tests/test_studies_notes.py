"""What a study says of what it could not measure."""

from mfcl.evaluation.result import Question, Representation, Result
from mfcl.studies.evaluators import Answer


def test_a_note_on_what_has_no_label_begins_with_its_section() -> None:
    answer = Answer()
    found = Result(Question("geometry", "alignment"), 1.0, None, None, 1, note="no interval of 2 groups")
    answer.add(Representation("untrained", "", "both"), [found])
    assert answer.notes == ["geometry: no interval of 2 groups"]
