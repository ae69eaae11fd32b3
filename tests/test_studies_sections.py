import pytest

from mfcl.cli.studying import STUDIED
from mfcl.errors import MfclError
from mfcl.recipe import load_recipe
from mfcl.studies import sections as presets
from mfcl.studies.planner import ASKED
from mfcl.studies.sections import ABLATION, PRESETS, SECTIONS, SWEEPS, UNLABELLED, chosen_sections


def test_the_command_names_the_sections_that_there_are():
    assert tuple(SECTIONS) == STUDIED


def test_every_section_has_its_question_and_every_kind_of_section_is_one():
    assert set(ASKED) == set(SECTIONS)
    assert {*SWEEPS, *UNLABELLED} < set(SECTIONS)
    assert not {*SWEEPS} & {*UNLABELLED}


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_has_a_recipe_of_its_name_and_sections_in_their_order(name):
    preset, recipe = PRESETS[name], load_recipe(name)
    assert recipe.name == name
    assert preset.sections == tuple(section for section in SECTIONS if section in preset.sections)
    assert preset.seeds >= 1
    assert 1 <= preset.sweep_epochs <= recipe.train.epochs
    assert 0 in preset.tuned  # all labels


def test_quick_leaves_the_sweeps_out_and_the_others_do_everything():
    assert chosen_sections("quick", None, None) == tuple(name for name in SECTIONS if name not in (*SWEEPS, ABLATION))
    for name in ("default", "reference"):
        assert chosen_sections(name, None, None) == tuple(name for name in SECTIONS if name != ABLATION)


def test_a_preset_that_does_not_exist_is_one_line():
    with pytest.raises(MfclError, match="no preset is called 'defualt'; use one of default, quick"):
        chosen_sections("defualt", None, None)


def test_only_replaces_the_presets_sections_and_skip_takes_from_either():
    assert chosen_sections("quick", ["crops"], None) == ("crops",)
    assert chosen_sections("quick", ["maps", "crops", "labels"], ["maps"]) == ("labels", "crops")
    assert "cost" not in chosen_sections("quick", None, ["cost"])
    assert chosen_sections("quick", ["labels", "labels"], None) == ("labels",)


@pytest.mark.parametrize("where", ["only", "skip"])
def test_a_section_that_does_not_exist_is_one_line_with_the_nearest_name(where):
    asked = {"only": None, "skip": None, where: ["labels", "robustnes"]}
    with pytest.raises(MfclError, match="did you mean 'robustness'") as caught:
        chosen_sections("quick", **asked)
    assert "\n" not in str(caught.value)


def test_nothing_left_to_do_is_an_error():
    with pytest.raises(MfclError, match="leave nothing to do"):
        chosen_sections("quick", ["labels"], ["labels"])
    with pytest.raises(MfclError, match="leave nothing to do"):
        chosen_sections("quick", None, list(presets.SECTIONS))
