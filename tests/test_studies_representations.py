import dataclasses
import itertools

import numpy as np
import pytest

from mfcl.core.plain_values import to_dict
from mfcl.errors import RecipeError
from mfcl.evaluation.result import Representation
from mfcl.evaluation.wording import PART_WORDS, name
from mfcl.recipe import LIMITS, changed, load_recipe
from mfcl.studies.representations import AUGMENTED, BASELINES, CROPS, Source, Training, ablated, main_sources, swept
from tests.recipes import tiny_recipe

EPOCHS = 3
CHOICES = {"formats": "loss.terms", "augmentation": "augment.setting", "crops": "crops"}


@pytest.fixture(params=["default", "quick", "reference", "tiny"])
def recipe(request, tmp_path):
    return load_recipe(tiny_recipe(tmp_path) if request.param == "tiny" else request.param)


def differences(one, other, name=""):
    """The dotted names of what differs between two plain values."""
    if isinstance(one, dict) and isinstance(other, dict):
        assert one.keys() == other.keys()
        inside = (differences(one[key], other[key], f"{name}.{key}" if name else key) for key in one)
        return set(itertools.chain.from_iterable(inside))
    return set() if one == other else {name}


def views(source):
    """What is measured of a source, as the tables call it."""
    return tuple(PART_WORDS[one.part] or one.format for one in source.representations)


@pytest.mark.parametrize("section", CHOICES)
def test_a_sweep_differs_from_the_main_training_in_its_epochs_and_the_choice_that_it_is_named_for(section, recipe):
    main = to_dict(recipe)
    found = list(swept(section, recipe, 5, EPOCHS))
    for source in found:
        moved = differences(main, to_dict(source.recipe)) - {"train.epochs", *(f"train.{name}" for name in LIMITS)}
        assert all(name == CHOICES[section] or name.startswith(f"{CHOICES[section]}.") for name in moved), moved
        assert source.recipe.train.epochs == EPOCHS
        assert (source.kind, source.seed) == ("pre-trained", 5)
    bases = [source.basis("f", None) for source in found]
    assert all(one != other for one, other in itertools.combinations(bases, 2))  # each is another training
    assert len({source.name for source in found}) == len(found)


def test_the_trainings_of_a_sweep_are_those_they_are_called(recipe):
    parts = ("words", "voices") if recipe.model.voices else ()
    formats = {source.name: source for source in swept("formats", recipe, 0, EPOCHS)}
    assert {name: (source.recipe.loss.terms, views(source)) for name, source in formats.items()} == {
        "pre-trained, wave-wave": ("wave-wave", ("wave", *parts)),
        "pre-trained, mel-mel": ("mel-mel", ("mel", *parts)),
        "pre-trained, wave-mel": ("inter", ("wave", "mel", "both", *parts)),
    }
    augmented = {source.name: source.recipe.augment.setting for source in swept("augmentation", recipe, 0, EPOCHS)}
    assert augmented == {f"pre-trained, augmented {setting}": setting for setting in AUGMENTED}
    for source, (low, high, placement) in zip(swept("crops", recipe, 0, EPOCHS), CROPS, strict=True):
        crops = source.recipe.crops
        assert (crops.length, crops.unit, crops.placement) == (low / 100, "fraction", placement)
        assert (crops.longest or crops.length) == high / 100
        percent = str(low) if low == high else f"{low}-{high}"
        assert source.name == f"pre-trained, crops {percent} % {placement}"
        assert low <= source.x <= high
        assert crops.most_seconds == recipe.crops.most_seconds


def test_the_main_sources_are_the_baselines_and_three_kinds_of_the_same_encoders(recipe):
    found = list(main_sources(recipe, 7, labelled=True))
    assert [source.name for source in found] == [*BASELINES, "untrained", "pre-trained", "supervised"]
    assert all(source.recipe == recipe and source.seed == 7 for source in found)
    names = [source.name for source in main_sources(recipe, 7, labelled=False)]
    assert names == [*BASELINES, "untrained", "pre-trained"]


def test_of_a_recipe_of_one_format_no_encoder_of_the_other_is_measured(recipe):
    alone = changed(recipe, ["loss.terms=wave-wave"])
    found = [source for source in main_sources(alone, 0, labelled=True) if source.encodes]
    found += [*swept("augmentation", alone, 0, EPOCHS), *swept("crops", alone, 0, EPOCHS)]
    found.append(next(ablated(alone, 0, [])))
    parts = ("words", "voices") if recipe.model.voices else ()
    assert {views(source) for source in found} == {("wave", *parts)}


def test_a_baseline_is_one_representation_and_a_pair_three():
    recipe = load_recipe("reference")
    baseline, pair = Source("baseline", "MFCC statistics", 0, recipe, ()), Source("pre-trained", "", 0, recipe)
    assert baseline.representations == (Representation("baseline", "MFCC statistics"),)
    assert pair.representations == tuple(Representation("pre-trained", "", view) for view in ("wave", "mel", "both"))
    assert [name(one) for one in baseline.representations] == ["MFCC statistics"]
    assert [name(one) for one in pair.representations] == [
        *("pre-trained, wave", "pre-trained, mel", "pre-trained, both"),
    ]


def test_vectors_depend_on_what_makes_them_and_on_nothing_else():
    recipe = load_recipe("quick")

    def basis(kind, changed=recipe, *, variant="x", seed=0, data="f", label="digit"):
        return Source(kind, variant, seed, changed).basis(data, label)

    train = dataclasses.replace(recipe, train=dataclasses.replace(recipe.train, epochs=99))
    supervised = dataclasses.replace(recipe, supervised=dataclasses.replace(recipe.supervised, epochs=99))
    assert basis("pre-trained") != basis("pre-trained", train)
    assert basis("pre-trained") == basis("pre-trained", supervised)
    assert basis("supervised") != basis("supervised", supervised)
    assert basis("supervised") == basis("supervised", train)
    assert basis("untrained") == basis("untrained", train) == basis("untrained", supervised)
    for kind in ("baseline", "untrained", "pre-trained", "supervised"):
        assert basis(kind) != basis(kind, seed=1)
        assert basis(kind) != basis(kind, data="g")
    assert basis("supervised") != basis("supervised", label="word")
    assert basis("pre-trained") == basis("pre-trained", label="word")  # no label teaches it
    assert basis("baseline") != basis("baseline", variant="y")
    assert basis("pre-trained") == basis("pre-trained", variant="y")  # a sweep does not train again what is there


def test_every_baseline_gives_a_vector_a_clip(tmp_path):
    class Clips(list):
        def clip(self, index):
            return self[index]

    from tests.sounds import word

    clips = Clips(word(speaker, 1, seconds=0.2) for speaker in range(3))
    for called, baseline in BASELINES.items():
        vectors = baseline(Training(clips, np.ones(3, dtype=bool), 16000, 0))(clips)
        assert len(vectors) == 3, called
        assert np.isfinite(vectors).all(), called
        assert not np.array_equal(vectors[0], vectors[1]), called


def test_an_ablation_tries_every_combination_beside_the_recipe_as_it_is(recipe):
    grids = [["train.batch=48,96", "loss.temperature=0.2"], ["model.mel.width=0.5"], ["train.batch=48"]]
    found = {source.name: source for source in ablated(recipe, 3, grids)}
    assert list(found) == [
        "pre-trained, as it is",
        "pre-trained, train.batch=48 loss.temperature=0.2",
        "pre-trained, train.batch=96 loss.temperature=0.2",
        "untrained, model.mel.width=0.5",
        "pre-trained, model.mel.width=0.5",
        "pre-trained, train.batch=48",
    ]
    main = next(source for source in main_sources(recipe, 3, labelled=False) if source.kind == "pre-trained")
    assert found["pre-trained, as it is"].basis("f", None) == main.basis("f", None)  # it is not trained twice
    both = found["pre-trained, train.batch=48 loss.temperature=0.2"].recipe
    assert (both.train.batch, both.loss.temperature) == (48, 0.2)
    assert differences(to_dict(recipe), to_dict(both)) == {"train.batch", "loss.temperature"}


def test_an_ablation_may_try_a_group_that_the_recipe_leaves_out(recipe):
    recipe = dataclasses.replace(recipe, model=dataclasses.replace(recipe.model, neck=None))
    *_, untrained, trained = ablated(recipe, 0, [["model.neck.directions=32"]])
    assert untrained.recipe.model.neck.directions == trained.recipe.model.neck.directions == 32


def test_an_ablation_of_one_format_is_measured_in_it_alone(recipe):
    *_, last = ablated(recipe, 0, [["loss.terms=mel-mel"]])
    assert views(last) == ("mel", *(("words", "voices") if recipe.model.voices else ()))


@pytest.mark.parametrize(
    ("entry", "said"),
    [("train.batch", "wanted key=a,b,c"), ("train.batsh=1", "batsh"), ("train.batch=x", "wanted int")],
)
def test_a_choice_that_cannot_be_made_is_refused_in_one_line(recipe, entry, said):
    with pytest.raises(RecipeError, match=said) as error:
        list(ablated(recipe, 0, [[entry]]))
    assert "\n" not in str(error.value)


def test_two_parts_are_two_representations_more(recipe):
    voiced = changed(recipe, ["model.voices=statistics"])
    assert views(Source("untrained", "x", 0, voiced)) == ("wave", "mel", "both", "words", "voices")
    assert views(Source("untrained", "x", 0, voiced, ("mel",))) == ("mel", "words", "voices")
