"""A file of torch.export gives the model's answers with torch alone, for clips of any number and length."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

import mfcl
from mfcl import cli
from mfcl.checkpoint import Checkpoint, save_checkpoint
from mfcl.checkpoint_files import ONLY_FORMAT
from mfcl.embeddings.parts import formats_of
from mfcl.errors import ExportError
from mfcl.exporting import export_pt2, pt2_file
from mfcl.exporting.network import multiple
from mfcl.models.inference import Listed, embed_clips, part_bounds
from mfcl.models.weights_file import digest
from tests.small_model import RATE, SETTINGS, saved, sound

pytestmark = pytest.mark.timeout(900)  # torch's exporter takes ten seconds of a processor that is not shared
PLAIN = {
    "name": "plain",
    "model": {
        "wave": {"name": "reference1d", "pooling": "mean_max", "width": 0.02, "norm": "group"},
        "mel": {"name": "melcnn", "pooling": "statistics", "width": 0.25, "norm": "instance"},
    },
}
ALONE = """
import json, sys
import numpy as np, torch
extra = {"about.json": ""}
network = torch.export.load(sys.argv[1], extra_files=extra).module()
facts = json.loads(extra["about.json"])
clips = [np.load(file) for file in sys.argv[3:]]
step = int(facts["multiple"])
wave = torch.zeros(len(clips), max(2, -(-max(map(len, clips)) // step)) * step)
for row, clip in zip(wave, clips):
    row[: len(clip)] = torch.from_numpy(clip)
with torch.no_grad():
    found = network(wave, torch.tensor([len(clip) for clip in clips]))
np.save(sys.argv[2], found["embedding"].numpy())
assert not [name for name in sys.modules if name.partition(".")[0] == "mfcl"]
"""


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return saved(SETTINGS, tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="module")
def exported(checkpoint: Checkpoint) -> Path:
    path = checkpoint.folder / "m.pt2"
    assert cli.main(["export", str(checkpoint.folder), "--pt2", str(path)]) == 0
    return path


Loaded = tuple[torch.nn.Module, dict[str, str]]


@pytest.fixture(scope="module")
def opened(exported: Path) -> Loaded:
    """The file's network and its metadata; torch takes seconds to load a file."""
    return pt2_file.load_pt2(exported)


def apart(found: np.ndarray, wanted: np.ndarray) -> float:
    return float((np.linalg.norm(found - wanted, axis=1) / np.linalg.norm(wanted, axis=1)).max())


@pytest.mark.parametrize("lengths", [(0.05,), (0.3, 0.05, 1.1), (10.0, 2.0), (0.4,) * 8])
def test_the_file_gives_the_models_vectors(checkpoint: Checkpoint, opened: Loaded, lengths: tuple[float, ...]) -> None:
    clips = [sound(seconds, seed=seed) for seed, seconds in enumerate(lengths)]
    network, facts = opened
    found = pt2_file.run_pt2(network, clips, int(facts["multiple"]))
    wanted = embed_clips(checkpoint.model, Listed(clips), RATE)
    assert apart(found["embedding"], wanted) < 1e-5
    bounds = part_bounds(checkpoint.model, "both")
    white = [checkpoint.whitening[name](wanted[:, slice(*bounds[name])]) for name in bounds]
    assert apart(found["whitened"], np.concatenate(white, axis=1)) < 1e-4


def test_the_file_needs_torch_alone(checkpoint: Checkpoint, exported: Path, tmp_path: Path) -> None:
    clips = [sound(seconds, seed=seed) for seed, seconds in enumerate((0.7, 0.2))]
    for place, clip in enumerate(clips):
        np.save(tmp_path / f"{place}.npy", clip)
    files = [str(tmp_path / f"{place}.npy") for place in range(2)]
    command = [sys.executable, "-c", ALONE, str(exported), str(tmp_path / "out.npy"), *files]
    subprocess.run(command, check=True, cwd=tmp_path)
    assert apart(np.load(tmp_path / "out.npy"), embed_clips(checkpoint.model, Listed(clips), RATE)) < 1e-5


def test_the_file_says_what_it_is(checkpoint: Checkpoint, opened: Loaded) -> None:
    _, facts = opened
    assert facts["model_sha256"] == digest(checkpoint.folder / "model.safetensors")
    assert (facts["sample_rate"], facts["recipe"], facts["torch_version"]) == (str(RATE), "small", torch.__version__)
    assert json.loads(facts["preparation"])["endpoints"] is True
    assert sum(json.loads(facts["parts"]).values()) == sum(checkpoint.model.dims.values())
    assert facts["multiple"] == str(multiple(checkpoint.model))
    assert "opset" not in facts


def test_the_file_tells_no_place_of_the_machine_that_wrote_it(exported: Path) -> None:
    source = str(Path(mfcl.__file__).parent).encode()
    with zipfile.ZipFile(exported) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    assert contents
    assert not [name for name, content in contents.items() if source in content]


@pytest.mark.parametrize("format", ["both", "mel"])
def test_a_model_without_landmarks_and_whitening_is_exported_too(tmp_path: Path, format: str) -> None:
    made = saved(PLAIN, tmp_path / "plain")
    made.whitening.clear()
    made.model.default_format = format
    written = mfcl.export_pt2(made, tmp_path / "plain.pt2")
    assert written.difference < 1e-5
    assert written.outputs == {"embedding": sum(made.model.dims[name] for name in formats_of(format))}
    assert written.size == (tmp_path / "plain.pt2").stat().st_size


def test_an_encoder_whose_frames_are_longer_than_a_short_clip_is_exported_too(tmp_path: Path) -> None:
    mel = {"name": "resnet18", "pooling": "mean", "width": 0.125}  # as in the recipe `reference`
    made = saved({"name": "long", "model": {**PLAIN["model"], "mel": mel}}, tmp_path / "long")
    made.model.default_format = "mel"
    assert mfcl.export_pt2(made, tmp_path / "long.pt2").difference < 1e-5  # clips of 0.05 s are among those compared


def test_an_answer_that_is_not_the_models_leaves_no_file(
    checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pt2_file, "exported_program", lambda network, model: network)
    monkeypatch.setattr(torch.export, "save", lambda program, file, extra_files: file.write(b"x"))
    monkeypatch.setattr(pt2_file, "_checked", lambda *_: (0.5, {}))
    with pytest.raises(ExportError, match=r"differ from the model's by 5.0e-01"):
        export_pt2(checkpoint, tmp_path / "m.pt2")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "said"),
    [([], "--onnx FILE, --pt2 FILE or both"), (["--pt2", "m.pt2", "--int8", "m.onnx"], "are for ONNX")],
)
def test_options_that_do_not_go_together_are_one_line(
    options: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["export", "model", *options]) == 2
    assert said in capsys.readouterr().err


def test_a_file_that_takes_some_lengths_only_is_one_line(
    checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def guarded(*_: object) -> None:
        raise AssertionError("Guard failed: 1 + wave.size()[1] // 5120 != 1")

    monkeypatch.setattr(pt2_file, "exported_program", lambda network, model: network)
    monkeypatch.setattr(torch.export, "save", lambda program, file, extra_files: file.write(b"x"))
    monkeypatch.setattr(pt2_file, "_checked", guarded)
    with pytest.raises(ExportError, match="cannot be exported for clips of any length: Guard failed"):
        export_pt2(checkpoint, tmp_path / "m.pt2")
    assert not (tmp_path / "m.pt2").exists()


def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    made = saved(PLAIN, tmp_path / "plain")  # of one format: the exporter takes a tenth of the time
    save_checkpoint(made.model, made.recipe, tmp_path / "mel", card={ONLY_FORMAT: "mel"})
    (tmp_path / "out").mkdir()
    code = (
        "import resource, sys\nfrom mfcl import cli\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))\nsys.exit(cli.main(sys.argv[1:]))"
    )
    arguments = ["export", str(tmp_path / "mel"), "--pt2", str(tmp_path / "out" / "m.pt2")]
    ended = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)
    assert ended.returncode == 2, ended.stderr
    assert ended.stderr.splitlines()[-1].startswith(f"mfcl: {tmp_path / 'out' / 'm.pt2'}: cannot be written (")
    assert not list((tmp_path / "out").iterdir())
