"""The encoder for MTEB: what it gives for batches, and, where MTEB is installed, a task of MTEB's own make."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mfcl
from examples.mteb_encoder import MfclEncoder
from mfcl.errors import MfclError
from tests.small_model import RATE, SETTINGS, saved, sound
from tests.sounds import word


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(SETTINGS, tmp_path_factory.mktemp("small")).folder


def clip(samples: np.ndarray, rate: int = RATE) -> dict[str, Any]:
    return {"array": samples, "sampling_rate": rate}


def test_clips_of_any_rate_and_shape_get_the_models_vectors_in_order(folder: Path) -> None:
    sounds = [sound(0.4), sound(0.6, seed=1, rate=8000), np.stack([sound(0.5, seed=2)] * 2), sound(0.3, seed=3)]
    rates = [RATE, 8000, RATE, RATE]
    clips = [clip(one, rate) for one, rate in zip(sounds, rates, strict=True)]
    found = MfclEncoder(folder).encode([{"audio": clips[:3]}, {"audio": clips[3:]}], task_metadata=None)
    model = mfcl.load(folder)
    wanted = [model.encode([one], sample_rate=rate)[0] for one, rate in zip(sounds, rates, strict=True)]
    np.testing.assert_allclose(found, wanted, atol=1e-4)
    part = MfclEncoder(folder, part="voices", whiten=True).encode([{"audio": clips}])
    white = model.encode(sounds[3], part="voices", whiten=True)
    assert part.shape == (4, white.shape[1])
    np.testing.assert_allclose(part[3:], white, atol=1e-4)


@pytest.mark.parametrize("whiten", [False, True])
def test_a_clip_that_is_no_sound_is_zeros_and_a_warning_and_the_others_are_as_ever(whiten: bool, folder: Path) -> None:
    encoder, clips = MfclEncoder(folder, whiten=whiten), [clip(sound(0.4)), clip(np.full(RATE, np.nan))]
    with pytest.warns(UserWarning, match="a clip gets a vector of zeros: .*array 0"):
        found = encoder.encode([{"audio": clips}])
    assert not found[1].any()
    np.testing.assert_allclose(found[:1], encoder.encode([{"audio": clips[:1]}]), atol=1e-5)


def test_batches_of_text_are_refused_in_one_line(folder: Path) -> None:
    with pytest.raises(MfclError, match="wanted batches with `audio`, got text"):
        MfclEncoder(folder).encode([{"text": ["a"]}])


def test_similarities_are_cosines(folder: Path) -> None:
    encoder, random = MfclEncoder(folder), np.random.default_rng(0)
    a, b = random.standard_normal((3, 5)), random.standard_normal((3, 5))
    every = a @ b.T / np.linalg.norm(a, axis=1)[:, None] / np.linalg.norm(b, axis=1)
    np.testing.assert_allclose(encoder.similarity(a, b), every, atol=1e-6)
    np.testing.assert_allclose(encoder.similarity_pairwise(a, b), np.diag(every), atol=1e-6)


@pytest.mark.filterwarnings("ignore")  # MTEB's own, and those of what it calls
def test_mteb_evaluates_it_on_a_task_of_audio(folder: Path) -> None:
    mteb = pytest.importorskip("mteb", reason="mteb is not installed; it is no part of the development packages")
    datasets = pytest.importorskip("datasets", reason="datasets is not installed; it comes with mteb")
    from mteb.abstasks.classification import AbsTaskClassification
    from mteb.abstasks.task_metadata import TaskMetadata
    from mteb.models import EncoderProtocol

    class Words(AbsTaskClassification):
        """Which of three words it is, from four speakers to two others."""

        metadata = TaskMetadata(
            name="SmallWords", type="AudioClassification", modalities=["audio"], category="a2c", main_score="accuracy",
            dataset={"path": "none", "revision": "1"}, description="Three words.", eval_splits=["test"],
            eval_langs=["zxx-Zxxx"], reference=None, date=None, domains=None, task_subtypes=None, license=None,
            annotations_creators=None, dialect=None, sample_creation=None, bibtex_citation=None,
        )  # fmt: skip
        input_column_name = "audio"
        samples_per_label = 4

        def load_data(self, **_: Any) -> None:
            parts = {"train": range(4), "test": range(4, 6)}
            self.dataset = datasets.DatasetDict({
                name: datasets.Dataset.from_list([
                    {"audio": clip(word(speaker, digit, take, seconds=0.3)), "label": digit}
                    for speaker in speakers for digit in range(3) for take in range(2)
                ])
                for name, speakers in parts.items()
            })  # fmt: skip
            self.data_loaded = True

    encoder = MfclEncoder(folder)
    assert isinstance(encoder, EncoderProtocol)
    found = mteb.evaluate(encoder, Words(), cache=None, co2_tracker=False, show_progress_bar=False)
    (result,) = found.task_results
    assert 1 / 3 < result.get_score() <= 1  # guessing has a third
    assert found.model_name == "mfcl/small"
