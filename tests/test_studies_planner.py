"""What is planned of which recordings, and about how long it takes."""

import dataclasses
import itertools

import pytest

from mfcl.data.dataset import open_data
from mfcl.evaluation.result import Representation
from mfcl.models.landmarks import LandmarkSettings
from mfcl.recipe import load_recipe
from mfcl.studies.cache import slug
from mfcl.studies.estimates import Rates, measured_rates
from mfcl.studies.evaluators import Answer
from mfcl.studies.planner import left_out, plan_table, seconds_left, steps, to_make
from mfcl.studies.representations import BASELINES, BC_RESNET
from mfcl.studies.sections import PRESETS, SECTIONS, SWEEPS
from mfcl.studies.workspace import Workspace
from tests.recipes import tiny_recipe
from tests.small_study import write_listed

RATES = Rates({"wave": 0.02, "mel": 0.01}, 0.005, 96, 48, 3, 16)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plan")
    recipe = load_recipe(tiny_recipe(folder))
    data = write_listed(folder / "data")
    opened = open_data(data, recipe.preparation, cache=folder / "cache", progress=False)
    return Workspace(opened, folder / "out", progress=False)


@pytest.fixture
def recipe(tmp_path):
    return load_recipe(tiny_recipe(tmp_path))


def planned(workspace, recipe, *, sections=tuple(SECTIONS), preset="default", seed=0, rates=RATES, **data):
    other = Workspace(dataclasses.replace(workspace.data, **data), workspace.folder, progress=False)
    return steps(other, recipe, PRESETS[preset], sections, seed, rates, [["train.batch=7"]])


def test_a_plan_holds_every_section_of_every_source(workspace, recipe):
    found = planned(workspace, recipe)
    assert {step.section for step in found} == set(SECTIONS)
    of_controls = {step.section for step in found if step.source.kind == "baseline"}
    assert of_controls == {"labels", "voices", "traits", "efficiency", "robustness"}
    of_pretrained = {step.section for step in found if step.name == "pre-trained"}
    assert of_pretrained == set(SECTIONS) - {*SWEEPS, "ablation"}
    assert len({step.key for step in found}) == len(found)
    other = planned(workspace, recipe, seed=1)
    assert not {step.key for step in other} & {step.key for step in found}
    assert len({step.workspace.cache.path(step.key, step.basis) for step in found}) == len(found)
    names = [step.source.name for step in found]  # a source's sections come together: it is read once
    assert [names[0], *(b for a, b in itertools.pairwise(names) if a != b)].count("supervised") == 1


def test_learning_frames_takes_time_in_the_estimate(recipe):
    marks = LandmarkSettings(count=4, learned=8, steps=50)
    with_frames, without = (
        dataclasses.replace(
            recipe,
            model=dataclasses.replace(recipe.model, landmarks=dataclasses.replace(marks, learned=learned)),
            loss=dataclasses.replace(recipe.loss, neighbours=2),
        )
        for learned in (8, 0)
    )
    longer = dataclasses.replace(RATES, seconds=2.0)
    more = [rates.pretraining(with_frames, recipe.train) - rates.pretraining(without, recipe.train)
            for rates in (RATES, longer)]  # fmt: skip
    assert 0.1 < more[0] < 10
    assert more[1] == pytest.approx(2 * more[0])


def test_the_network_of_the_literature_is_asked_a_few_questions_in_the_larger_preset(workspace, recipe):
    found = [step for step in planned(workspace, recipe) if step.source.variant == BC_RESNET]
    assert [step.section for step in found] == ["labels", "robustness", "cost"]
    (source,) = {step.source for step in found}
    assert source.name == "supervised, BC-ResNet"
    assert source.representations == (Representation("supervised", BC_RESNET, "mel"),)
    model = source.recipe.model
    assert (model.mel.name, model.mel.width, model.mel_format.bands) == ("bcresnet", 3, 40)
    assert source.recipe.supervised == recipe.supervised
    assert not [step for step in planned(workspace, recipe, preset="quick") if step.source.variant == BC_RESNET]
    assert not [step for step in planned(workspace, recipe, label=None) if step.source.variant == BC_RESNET]


def test_trainings_with_few_labels_depend_on_the_settings_of_training_with_labels(workspace, recipe):
    other = dataclasses.replace(recipe, supervised=dataclasses.replace(recipe.supervised, label_smoothing=0.3))
    bases = [
        {step.key: step.basis for step in planned(workspace, one, sections=("efficiency",)) if "count" in step.settings}
        for one in (recipe, other)
    ]
    assert bases[0].keys() == bases[1].keys()
    assert all(bases[0][key] != bases[1][key] for key in bases[0])


def test_trainings_with_few_labels_are_those_that_the_rarest_class_reaches(workspace, recipe):
    def counts(fewest):
        rates = dataclasses.replace(RATES, fewest=fewest)
        found = planned(workspace, recipe, sections=("efficiency",), rates=rates)
        return {step.settings["count"] for step in found if "count" in step.settings}

    assert counts(16) == {1, 5, 10, 0}
    assert counts(50) == {1, 5, 10, 50, 0}
    assert counts(1) == {1, 0}


def test_answers_of_label_probes_are_made_anew_where_the_probes_changed(workspace, recipe, monkeypatch):
    before = {step.key: step for step in planned(workspace, recipe)}
    bases = {key: step.basis for key, step in before.items()}
    monkeypatch.setattr("mfcl.studies.planner.PROBES_VERSION", 99)
    after = {step.key: step.basis for step in planned(workspace, recipe)}
    changed = [before[key] for key in before if bases[key] != after[key]]
    assert {step.section for step in changed} == {"labels", "efficiency", "robustness", *SWEEPS, "ablation"}
    assert not any("count" in step.settings for step in changed)  # trainings with few labels have no probe
    assert all(bases[key]["source"] == after[key]["source"] for key in before)  # embeddings stay


def test_without_a_label_or_a_voice_what_needs_it_is_not_planned_and_is_named(workspace, recipe):
    def sections(**data):
        return {step.section for step in planned(workspace, recipe, **data)}

    assert sections(label=None, speaker=None) == {"geometry", "maps", "cost"}
    assert sections(speaker=None) == set(SECTIONS) - {"voices", "traits"}
    assert sections(label=None) == set(SECTIONS) - {"labels", "efficiency", "robustness"}
    assert not any(step.source.kind == "supervised" for step in planned(workspace, recipe, label=None))
    every = tuple(SECTIONS)
    assert list(left_out(every, "digit", "speaker")) == []
    (voices,) = left_out(every, "digit", None)
    assert "voices and traits" in voices
    (labels,) = left_out(every, None, "speaker")
    for name in ("labels", "efficiency", "robustness", "supervised", "--label"):
        assert name in labels
    assert not {"crops", "voices"} & set(labels.replace(",", "").split())
    assert len(list(left_out(every, None, None))) == 2
    assert list(left_out(("geometry",), None, None)) == []


def test_a_source_that_several_sections_ask_about_is_counted_once(workspace, recipe):
    found = planned(workspace, recipe)
    made = to_make(found, RATES)
    kinds = [name.split("-seed")[0] for name in made]
    assert [slug(name) for name in BASELINES] == kinds[: len(BASELINES)]
    assert kinds.count("untrained") == 1
    assert kinds.count("supervised") == 2  # the recipe's, and that of the literature
    alone = sum(step.seconds for step in found)
    assert seconds_left(found, RATES) == pytest.approx(alone + sum(made.values()))
    one = planned(workspace, recipe, sections=("labels",))
    assert seconds_left(one, RATES) < seconds_left(found, RATES)
    assert seconds_left([], RATES) == 0


def test_what_is_done_takes_no_time(workspace, recipe):
    found = planned(workspace, recipe, sections=("labels", "maps"), seed=17)
    before = seconds_left(found, RATES)
    first = dataclasses.replace(found[0], ask=lambda *_: Answer(notes=["seen"]))
    assert not found[0].done
    assert first.answered()["notes"] == ["seen"]
    assert found[0].done  # as it is the same question
    assert seconds_left(found, RATES) < before
    lines = {line.split()[0]: line.split() for line in plan_table(found, RATES).splitlines() if line.strip()}
    assert lines["labels"][-4:-2] == ["9", "1"]  # five controls, untrained, pre-trained, supervised, BC-ResNet
    assert lines["all"][1:3] == [str(len(found)), "1"]


def test_longer_trainings_are_expected_to_take_longer(recipe):
    from mfcl.studies.representations import Source

    def seconds(kind, **changed):
        train = dataclasses.replace(recipe.train, **changed)
        return RATES.source(Source(kind, "x", 0, dataclasses.replace(recipe, train=train)))

    assert seconds("pre-trained", epochs=20) > 5 * seconds("pre-trained", epochs=2)
    assert seconds("pre-trained") > seconds("untrained") > 0
    both = dataclasses.replace(recipe.loss, terms="inter+intra")
    inter, intra = (
        Source("pre-trained", "x", 0, recipe),
        Source("pre-trained", "x", 0, dataclasses.replace(recipe, loss=both)),
    )
    assert RATES.source(intra) > RATES.source(inter)


def test_a_step_of_each_encoder_is_timed_on_sound_as_long_as_the_recordings(workspace, recipe):
    import torch

    rates = measured_rates(workspace.data, recipe, torch.device("cpu"))
    assert set(rates.train) == {"wave", "mel"}
    assert all(seconds > 0 for seconds in (*rates.train.values(), rates.embed))
    assert (rates.recordings, rates.trained, rates.classes, rates.fewest) == (144, 48, 3, 16)


def test_the_time_of_embedding_is_that_of_fitted_landmarks():
    from mfcl.models.landmarks import Landmarks, LandmarkSettings
    from mfcl.studies.estimates import fill

    landmarks = Landmarks(30, LandmarkSettings(count=4, frames=40))
    fill(landmarks, 0.5)
    assert landmarks.lengths.tolist() == [25] * 4
    assert bool((landmarks.marks[:, :25] != 0).all())
    fill(landmarks, 5.0)
    assert landmarks.lengths.tolist() == [40] * 4
