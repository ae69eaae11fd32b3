"""The scikit-learn transformer in a pipeline, a grid search, clones, pickles and scikit-learn's own checks."""

import pickle
import warnings
from pathlib import Path

import jaxtyping
import numpy as np
import pytest
import soundfile
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

import mfcl
from mfcl import MfclEmbedder
from mfcl.errors import AudioError, CheckpointError
from tests.small_model import RATE, SETTINGS, saved, sound

LENGTHS = "clips may be of any length, and of another one in `transform` than in `fit`"
REFUSED = "refused, with an error of mfcl's own in place of ValueError"
APART = {
    **dict.fromkeys(("check_n_features_in", "check_n_features_in_after_fitting", "check_transformer_general"), LENGTHS),
    **dict.fromkeys(
        ("check_complex_data", "check_estimators_nan_inf", "check_estimators_empty_data_messages"), REFUSED
    ),
    **dict.fromkeys(("check_estimator_sparse_tag", "check_estimator_sparse_array"), REFUSED),
    **dict.fromkeys(("check_estimator_sparse_matrix", "check_fit1d", "check_fit2d_predict1d"), REFUSED),
    "check_estimators_dtypes": "64-bit integers have no full scale",
    "check_dtype_object": "objects are paths",
    "check_fit_idempotent": "its numbers are far above full scale, which is refused",
    "check_transformer_preserve_dtypes": "vectors are float32",
}
"""Checks for tables of numbers that recordings do not pass -> why."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(SETTINGS, tmp_path_factory.mktemp("model")).folder


def test_a_grid_search_over_a_pipeline_of_files(folder: Path, tmp_path: Path) -> None:
    files, kinds = [], []
    for place in range(12):
        files.append(tmp_path / f"{place}.wav")
        kinds.append(("low", "high")[place % 2])
        time = np.arange(RATE // 2) / RATE
        pitch = (200, 2500)[place % 2] + 10 * place
        soundfile.write(files[-1], 0.3 * np.sin(2 * np.pi * pitch * time) * np.hanning(len(time)), RATE)
    steps = make_pipeline(MfclEmbedder(folder), StandardScaler(), LogisticRegression())
    grid = {"mfclembedder__part": ["words", "voices"], "mfclembedder__whiten": [False, True]}
    found = GridSearchCV(steps, grid, cv=3).fit(files, kinds)
    assert found.best_score_ == 1
    assert not np.isnan(found.cv_results_["mean_test_score"]).any()
    again = pickle.loads(pickle.dumps(found.best_estimator_))
    assert again.predict(files).tolist() == kinds


def test_it_gives_what_encode_gives_and_survives_clone_and_pickle(folder: Path) -> None:
    clips = np.stack([sound(0.4, seed=seed) for seed in range(3)])
    made = MfclEmbedder(str(folder), whiten=True, part="words", device="cpu")
    wanted = mfcl.load(folder, device="cpu").encode(list(clips), whiten=True, part="words")
    found = made.fit_transform(clips)
    np.testing.assert_array_equal(found, wanted)
    assert made.n_features_out_ == wanted.shape[1] == len(made.get_feature_names_out())
    packed = pickle.dumps(made)
    assert len(packed) < 2000  # the folder, not the weights
    np.testing.assert_array_equal(pickle.loads(packed).transform(list(clips)), wanted)
    assert clone(made).get_params() == made.get_params()
    assert not hasattr(clone(made), "n_features_out_")
    np.testing.assert_allclose(made.set_output(transform="default").transform(clips[:1]), wanted[:1], atol=1e-5)


def test_wrong_input_is_one_line(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="wanted several recordings, got one"):
        MfclEmbedder(folder).fit("a.wav")
    with pytest.raises(AudioError, match="wanted one recording or more"):
        MfclEmbedder(folder).fit([])
    with pytest.raises(CheckpointError):
        MfclEmbedder(tmp_path).fit(["a.wav"])


def test_scikit_learns_checks_hold_where_recordings_are_a_table(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # one check gives settings of any type
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = check_estimator(
            MfclEmbedder(folder, device="cpu"), expected_failed_checks=APART, on_fail=None, on_skip=None
        )
    assert {one["check_name"]: str(one["exception"]) for one in results if one["status"] == "failed"} == {}
    passed = {one["check_name"] for one in results if one["status"] == "passed"}
    assert {"check_parameters_default_constructible", "check_estimators_pickle", "check_pipeline_consistency"} <= passed
    assert {one["check_name"] for one in results if one["status"] == "xfail"} == set(APART)
