"""Arguments of a wrong kind end in one line that names them, not in an error of Python's from deep inside.

In a process of its own: here each call's types are checked before the call.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

CALLS = {
    "mfcl.load(None)": "model: wanted a path, got None",
    "mfcl.load('')": "model: wanted a path, got ''",
    "mfcl.load_checkpoint(3)": "model: wanted a path, got 3",
    "mfcl.load_classifier(3)": "classifier: wanted a path, got 3",
    "mfcl.save_classifier(3, 'made')": "classifier: wanted a classifier of `mfcl.fit_classifier`, got 3",
    "mfcl.load_embeddings(None)": "embeddings: wanted a path, got None",
    "mfcl.load_recipe(3)": "recipe: wanted a path, got 3",
    "mfcl.load_recipe('quick', 3)": "overrides: wanted a list such as ['train.epochs=5'], got 3",
    "mfcl.load_recipe('quick', [3])": "overrides: wanted key=value, such as 'train.epochs=5', got 3",
    "mfcl.open_manifest(None)": "path: wanted a path, got None",
    "mfcl.open_manifest('')": "path: wanted a path, got ''",
    "mfcl.scan('clips')": "manifest: wanted a manifest, got 'clips'; open it by `mfcl.open_manifest`",
    "segment('clips', 1.0)": "manifest: wanted a manifest, got 'clips'; open it by `mfcl.open_manifest`",
    "mfcl.embed(None, 'clips')": "model: wanted a path, got None",
    "mfcl.embed_parts('run', 'clips', 'out', parts=2, share=3)": "share: wanted two numbers, such as (3, 8) for",
    "mfcl.classify(3, table)": "classifier: wanted a path, got 3",
    "mfcl.similar(table, 3)": "clip: wanted a file or the id of a recording, got 3",
    "mfcl.similar(table, 'a', part=3)": "similar: no part is called 3; use one of ",
    "mfcl.compare(3)": "compare: wanted a list of runs or files, got 3",
    "mfcl.compare('runs')": "compare: wanted a list of runs or files, got 'runs'",
    "mfcl.train('clips', '')": "out: wanted a path, got ''",
    "mfcl.load('a' + chr(0))": "model: wanted a path without a null character, got 'a\\x00'",
    "mfcl.pack('clips', Path('a' + chr(0)))": "out: wanted a path without a null character, got ",
    "mfcl.train(some, 'out')": "path: wanted a path, got array([",
    "mfcl.compare([some])": "compare: wanted a path, got array([",
    "mfcl.import_model(some, 'weights', 'out')": "no source of weights is called array([",
    "mfcl.similar(table, 'a', part=some)": "similar: no part is called array([",
    "mfcl.MfclEmbedder(some).fit(['a.wav'])": "model: wanted a path, got array([",
    "pick_device(some)": "device array([",
    "open_data(listed, Preparation(), label=some)": "no label is called array([",
    "open_data(listed, Preparation(), speaker=b'who')": "no label is called b'who'",
    "open_data(listed, Preparation(), split_by=some)": "split by: wanted its name, got array([",
    "open_data(listed, Preparation(), protocol=some)": "protocol: wanted its name, got array([",
    "gallery.enrol(some, 'a.wav')": "voice: wanted a name of 1 to 200 printable characters",
    "gallery.enrol('Ada', 'a.wav', note=some)": "note: wanted a text, got array([",
    "gallery.calibrate(listed, speaker=some)": "speaker: wanted its name, got array([",
    "mfcl.Gallery.create('a.db', 'run', score=some)": "no way to score is called array([",
    "mfcl.train('clips', 'out', augment=3)": "augment: wanted a function of samples and their rate, got 3",
    "mfcl.study('clips', None)": "out: wanted a path, got None",
    "mfcl.study('clips', 'out', only=3)": "only: wanted a list, got 3",
    "mfcl.make_report(None)": "study: wanted a path, got None",
    "mfcl.pack('clips', None)": "out: wanted a path, got None",
    "mfcl.draw_held_out(None, 3)": "labels: wanted a label for each recording, got None",
    "mfcl.Gallery.open(3)": "gallery: wanted a path, got 3",
    "table.label(3)": "label: wanted its name, got 3",
    "table.only(3)": "part: wanted a name such as words or voices, got 3",
    "table.only('')": "part: wanted a name such as words or voices, got ''",
    "table.save(3)": "embeddings: wanted a path, got 3",
    "mfcl.Embeddings(None, None, {}, {}, None)": "vectors: wanted an array of shape (items, dim), got None",
    "gallery.remove(3)": "voice: wanted a name, got 3",
    "gallery.turns(np.zeros(3))": "recordings: wanted files or folders, got array([0., 0., 0.]); `identify` takes",
    "evaluate(people, np.zeros((0, 24), 'f4'), far=0.1, clips=3)": "clips: wanted numbers of clips to enrol, such as",
}
PROGRAM = """
import sys
from pathlib import Path
import numpy as np
import mfcl
from mfcl.audio.preparation import Preparation
from mfcl.core.machine import pick_device
from mfcl.data.dataset import open_data
from mfcl.data.segments import segment
from mfcl.voices.evaluating import evaluate
from tests.small_voices import people as people_of
from tests.small_voices import small_gallery

names = np.array(["a", "b", "c"])
table = mfcl.Embeddings(np.eye(3, dtype=np.float32), names, {}, {"mel": (0, 3)}, np.full(3, ""))
some, listed = np.zeros(100), Path("listed.csv")
listed.write_text("path,who\\na.wav,Ada\\n")
Path("a.wav").touch()
gallery, people = small_gallery(Path("team.db"), voices=(1,)), people_of(50, 4, 4)
for call in sys.argv[1:]:
    try:
        print("done", eval(call))
    except mfcl.MfclError as error:
        print(str(error).removeprefix(f"{Path.cwd()}: "))
    except Exception as error:
        print(type(error).__name__, str(error).replace(chr(10), " "))
"""


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What each call says."""
    here = os.pathsep.join(one for one in (str(Path(__file__).parents[1]), *sys.path) if one)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *CALLS], cwd=tmp_path_factory.mktemp("calls"), text=True, check=True,
        env={**os.environ, "PYTHONPATH": here, "OMP_NUM_THREADS": "1"}, capture_output=True, timeout=200,
    )  # fmt: skip
    return dict(zip(CALLS, done.stdout.splitlines(), strict=True))


@pytest.mark.parametrize("call", list(CALLS))
def test_an_argument_of_a_wrong_kind_is_named_in_one_line(said: dict[str, str], call: str) -> None:
    assert said[call].startswith(CALLS[call])
