"""The report: its figures are the study's, its words follow from them, and nothing in a name can break the page."""

import base64
import builtins
import csv
import io
import itertools
import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from mfcl.errors import MfclError
from mfcl.report import make_report
from mfcl.report.aggregate import Mean, mean, shown
from mfcl.report.audio import clip_sounds, evenly
from mfcl.report.embedding_maps import map_data
from mfcl.report.load import Figure, read_study
from mfcl.report.svg.scales import Scale, span
from mfcl.report.svg.spectrogram import png
from mfcl.report.tables import tables
from mfcl.report.text import compare, efficiency, headline, robustness, tally, variants
from mfcl.report.units import write
from tests.report_data import write_study

TASK = "digit, linear probe, 10 labels a class"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_study(tmp_path_factory.mktemp("study"), speakers=4, takes=1, sounds=True)


@pytest.fixture(scope="module")
def page(folder: Path) -> str:
    return make_report(folder).read_text(encoding="utf-8")


def figure(name, value, *, task=TASK, metric="accuracy", half=1.0, seed=0, x=None, table="labels") -> Figure:
    low, high = (None, None) if half is None else (value - half, value + half)
    return Figure(table, task, name, metric, value, low, high, 100, x, seed, 1.0, "mfcl study")


def average(name, value, *, metric="accuracy", half=1.0) -> Mean:
    return mean([figure(name, value, metric=metric, half=half)])


# --- words


def test_a_gain_is_told_with_its_size_and_whether_intervals_overlap() -> None:
    text = compare(
        [average("pre-trained, both", 95.1), average("untrained, both", 91.9), average("log-mel picture", 94.6)]
    )
    assert text == (
        "On digit with 10 labels a class (linear probe) the pre-trained pair (both) reaches 95.1 %, 3.2 points above "
        "the same encoders untrained (intervals do not overlap) and 0.5 points above the log-mel "
        "picture (intervals overlap)."
    )


def test_a_loss_to_a_control_is_told_as_plainly() -> None:
    text = compare(
        [average("pre-trained, both", 86.1), average("untrained, both", 89.1), average("MFCC statistics", 95.0)]
    )
    assert "3.0 points below the same encoders untrained (intervals do not overlap)" in text
    assert "8.9 points below MFCC statistics (intervals do not overlap)" in text
    assert "above" not in text


def test_of_errors_less_is_better() -> None:
    found = [
        average(name, value, metric="eer") for name, value in (("pre-trained, both", 20.0), ("MFCC statistics", 15.0))
    ]
    assert "5.0 points above MFCC statistics (worse, intervals do not overlap)" in compare(found)
    found = [
        average(name, value, metric="eer") for name, value in (("pre-trained, both", 10.0), ("MFCC statistics", 15.0))
    ]
    assert "5.0 points below MFCC statistics (better, intervals do not overlap)" in compare(found)


def test_with_nothing_beside_it_nothing_is_compared() -> None:
    assert compare([average("pre-trained, both", 95.1)]).endswith("reaches 95.1 %; nothing was measured beside it.")
    assert compare([average("untrained, both", 95.1)]) == ""
    assert "nothing to compare" in headline([])
    assert tally([]) == ""


def test_equal_figures_are_called_the_same() -> None:
    text = compare([average("pre-trained, both", 90.0), average("untrained, both", 90.02)])
    assert "the same as the same encoders untrained" in text


def test_without_intervals_no_overlap_is_claimed() -> None:
    text = compare([average("pre-trained, mel", 90.0, half=None), average("log-mel picture", 80.0)])
    assert text.endswith("the pre-trained mel encoder reaches 90.0 %, 10.0 points above the log-mel picture.")


def test_a_better_format_is_named_after_the_pair() -> None:
    text = compare(
        [average("pre-trained, both", 80.0), average("pre-trained, mel", 88.0), average("untrained, both", 70.0)]
    )
    assert text.endswith("The best of all is the pre-trained mel encoder with 88.0 %.")


def test_the_tally_counts_clear_wins_clear_losses_and_ties() -> None:
    rows = []
    for task, ours in (("a, x", 90.0), ("b, x", 50.0), ("c, x", 70.5)):
        rows += [figure("pre-trained, both", ours, task=task), figure("untrained, both", 70.0, task=task)]
    text = tally(rows)
    assert "Of 3 measures" in text
    assert "clearly better than the best that needs no training in 1, clearly worse in 1" in text
    assert text.endswith("within overlapping intervals in 1.")


def test_catching_up_from_scratch_is_found_where_the_curves_cross() -> None:
    rows = [
        figure(name, value, x=x, table="efficiency", task=f"digit, {x:.0f} labels a class")
        for x, ours, theirs in ((1.0, 60.0, 20.0), (5.0, 80.0, 79.0), (50.0, 90.0, 95.0))
        for name, value in (("pre-trained, both, frozen", ours), ("mel, from scratch", theirs))
    ]
    assert efficiency(rows)[-1] == "Training from scratch catches up with the frozen encoders at 50 labels a class."
    assert efficiency(rows[:4])[-1] == "Training from scratch nowhere catches up with the frozen encoders."
    assert efficiency([]) == []


def test_noise_costs_what_the_loudest_noise_costs() -> None:
    rows = [figure("pre-trained, both", 95.0, task="digit, linear probe, clean")]
    for level, value in ((20.0, 93.0), (-5.0, 60.0)):
        rows.append(figure("pre-trained, both", value, task=f"digit, linear probe, noise at {level:.0f} dB", x=level))
        rows.append(figure("MFCC statistics", 70.0, task=f"digit, linear probe, noise at {level:.0f} dB", x=level))
    first, second = robustness(rows)
    assert first.endswith("is left with 60.0 %, 35.0 points less than without noise.")
    assert "\N{MINUS SIGN}5 dB" in first
    assert second == "Best in this noise is MFCC statistics with 70.0 %."


def test_of_errors_the_best_choice_is_the_lowest() -> None:
    rows = [
        figure(f"pre-trained, augmented {name}, both", value, metric="eer", task="voices, all pairs of unseen speakers")
        for name, value in (("none", 30.0), ("both", 20.0))
    ]
    (text,) = variants(rows, "augmentation")
    assert "the best augmentation is both, both with 20.0 %" in text
    assert "the last is none, both with 30.0 % (intervals do not overlap)" in text


# --- figures


def test_a_figure_is_the_mean_over_seeds_and_so_are_its_ends() -> None:
    found = mean([figure("a", 80.0, seed=0), figure("a", 90.0, seed=1, half=3.0)])
    assert (found.value, found.low, found.high, found.seeds) == (85.0, 83.0, 87.0, 2)
    assert mean([figure("a", 80.0), figure("a", 90.0, half=None, seed=1)]).low is None


def test_tables_hold_every_representation_and_task(folder: Path) -> None:
    study = read_study(folder)
    found = {table.name: table for table in tables(study.figures)}
    assert set(found) == {figure.table for figure in study.figures}
    labels = found["labels"]
    assert len(labels.lines) == 12
    assert [column.task for column in labels.columns][1] == TASK
    row = next(line for line in labels.lines if line.representation == "pre-trained, both")
    own = [f.value for f in study.figures if f.representation == row.representation and f.task == TASK]
    assert row.cells[1].text == f"{sum(own) / 3:.1f}"


def test_the_best_of_a_column_is_the_lowest_error_and_of_cost_there_is_none() -> None:
    rows = [
        figure(name, value, metric=metric)
        for metric in ("eer", "parameters")
        for name, value in (("a", 9.0), ("b", 5.0))
    ]
    (table,) = tables(rows)
    assert [[cell.best for cell in line.cells] for line in table.lines] == [[False, False], [True, False]]


@pytest.mark.parametrize(
    ("metric", "value", "text"),
    [
        ("accuracy", 95.06, "95.1"),
        ("min_dcf", 0.5, "0.500"),
        ("multiply_adds", 812345678, "812,345,678"),
        ("seconds", 3456.2, "3,456"),
    ],
)
def test_every_metric_has_its_own_unit(metric: str, value: float, text: str) -> None:
    assert write(metric, float(value)) == text


def test_the_csv_holds_every_row_of_the_results(folder: Path, page: str) -> None:
    with (folder / "results.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    assert len(rows) == len(results)
    for row, result in zip(rows, results, strict=True):
        assert {key: ("" if value is None else str(value)) for key, value in result.items()}.keys() == row.keys()
        assert float(row["value"]) == result["value"]
        assert (row["low"] == "") == (result["low"] is None)


def test_a_chart_shows_one_format_of_untrained_and_supervised_encoders() -> None:
    names = [
        "MFCC statistics",
        *(f"{kind}, {part}" for kind in ("untrained", "pre-trained") for part in ("wave", "mel", "both")),
    ]
    assert shown(names) == [
        "MFCC statistics",
        "untrained, both",
        "pre-trained, wave",
        "pre-trained, mel",
        "pre-trained, both",
    ]


def test_normal_deviate_axes_are_symmetric_and_stay_within_their_ends() -> None:
    scale = Scale("probit", 0.01, 0.99, 0.0, 100.0)
    assert scale(0.5) == pytest.approx(50)
    assert scale(0.1) - 0 == pytest.approx(100 - scale(0.9))
    assert (scale(0.0), scale(1.0)) == (0.0, 100.0)
    low, high = span([99.0, 99.5], top=100.0)
    assert low < 99.0
    assert high == 100.0


def test_a_spectrogram_is_a_picture_with_the_low_band_below() -> None:
    image = pytest.importorskip("matplotlib.image", reason="reads the picture")
    data = base64.b64decode(png([[0, 0, 0], [255, 255, 255]]).partition(",")[2])
    pixels = image.imread(io.BytesIO(data))
    assert pixels.shape[:2] == (2, 3)
    assert pixels[0].sum() > pixels[1].sum()


# --- the page


class Texts(HTMLParser):
    """All elements and texts of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))


def elements(page: str) -> list[tuple[str, dict[str, str | None]]]:
    parsed = Texts()
    parsed.feed(page)
    return parsed.elements


def test_the_page_needs_no_other_file_and_no_network(page: str) -> None:
    for tag, attributes in elements(page):
        for name in ("src", "href", "data", "poster", "xlink:href"):
            address = attributes.get(name)
            assert address is None or address.startswith(("#", "data:")), (tag, name, address)
    assert "@import" not in page
    assert "url(" not in page
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", page)
    assert len(page) < 10_000_000


def test_every_chart_has_a_text_for_those_who_do_not_see_it(page: str) -> None:
    charts = [
        attributes for tag, attributes in elements(page) if tag == "svg" and "chart" in (attributes.get("class") or "")
    ]
    assert len(charts) > 20
    assert all(chart.get("role") == "img" and len(chart.get("aria-label") or "") > 10 for chart in charts)


def test_names_with_signs_of_html_stay_names(tmp_path: Path) -> None:
    folder = write_study(tmp_path, seeds=1, speakers=4, takes=1, nasty=True)
    page = make_report(folder).read_text(encoding="utf-8")
    tags = [tag for tag, _ in elements(page)]
    assert tags.count("script") == 3
    assert "img" not in tags
    assert "<script>alert" not in page
    embedded = re.search(r'<script type="application/json" id="map-data">(.*?)</script>', page, re.DOTALL)
    assert embedded is not None
    data = json.loads(embedded[1])
    assert "data/</script><img src=x onerror=alert(2)>.wav" in data["clips"]
    assert "</script><script>alert(1)</script>" in data["labels"][1]["values"]


def test_a_study_under_way_says_so(tmp_path: Path) -> None:
    page = make_report(write_study(tmp_path, seeds=1, speakers=3, takes=1, done=12)).read_text(encoding="utf-8")
    assert "12 of 40 parts are done" in page


@pytest.mark.parametrize("left", [{}, {"maps": []}, {"training": [], "confusions": None}, "none"])
def test_pictures_may_be_missing(tmp_path: Path, left: object) -> None:
    write_study(tmp_path, seeds=1, speakers=3, takes=1)
    if left == "none":
        (tmp_path / "pictures.json").unlink()
    else:
        (tmp_path / "pictures.json").write_text(json.dumps(left), encoding="utf-8")
    page = make_report(tmp_path).read_text(encoding="utf-8")
    assert "map-data" not in page
    assert "Labels" in page


def test_a_study_without_labels_or_voices_has_a_page(tmp_path: Path) -> None:
    write_study(tmp_path, seeds=1, speakers=3, takes=1)
    about = {"parts": {"train": {"recordings": 5}}, "seeds": [0], "label": None, "speaker": None}
    rows = [row for row in json.loads((tmp_path / "results.json").read_text()) if row["table"] in ("cost", "geometry")]
    (tmp_path / "about.json").write_text(json.dumps(about), encoding="utf-8")
    (tmp_path / "results.json").write_text(json.dumps(rows), encoding="utf-8")
    (tmp_path / "pictures.json").unlink()
    assert "There is nothing to compare yet" in make_report(tmp_path).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["results.json", "about.json"])
def test_a_folder_that_holds_no_study_is_named_in_one_line(tmp_path: Path, name: str) -> None:
    write_study(tmp_path, seeds=1, speakers=3, takes=1)
    (tmp_path / name).unlink()
    with pytest.raises(MfclError, match=f"{name}: cannot be read .* run `mfcl study`") as caught:
        make_report(tmp_path)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "report.html").exists()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("results.json", "{"), ("results.json", "{}"), ("results.json", '[{"table": "labels"}]'), ("about.json", "[]"),
        ("pictures.json", '{"maps": [{"ids": ["a"]}]}'), ("results.json", "[3]"),
    ],
)  # fmt: skip
def test_files_that_no_study_wrote_are_one_line(tmp_path: Path, name: str, text: str) -> None:
    write_study(tmp_path, seeds=1, speakers=3, takes=1)
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(MfclError, match="mfcl study") as caught:
        make_report(tmp_path)
    assert "\n" not in str(caught.value)


def test_the_report_never_loads_torch_or_matplotlib(folder: Path) -> None:
    code = (
        "import sys; from mfcl.report import make_report; make_report(sys.argv[1]);"
        "sys.exit(len({'torch', 'matplotlib'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code, str(folder)], check=False).returncode == 0


# --- maps and sound


def test_a_map_keeps_its_shape(folder: Path) -> None:
    study = read_study(folder)
    data = map_data(study)
    assert data is not None
    drawn = data["maps"][data["first"]]
    assert drawn["name"] == "pre-trained, both"
    source = next(one for one in study.pictured("maps") if one["representation"] == drawn["name"])
    left = min(range(len(source["x"])), key=lambda place: source["x"][place])
    high = max(range(len(source["y"])), key=lambda place: source["y"][place])
    assert drawn["x"].index(min(drawn["x"])) == left
    assert drawn["y"][high] == min(drawn["y"])  # up on the map is up on the screen
    assert max(max(drawn["x"]) - min(drawn["x"]), max(drawn["y"]) - min(drawn["y"])) == 1000
    assert [data["labels"][0]["values"][value] for value in data["labels"][0]["of"]] == source["labels"]["digit"]


def test_sound_is_in_the_page_only_if_asked_for(folder: Path, page: str) -> None:
    assert "data:audio" not in page
    heard = make_report(folder, with_audio=True).read_text(encoding="utf-8")
    assert heard.count("data:audio/") == 40


def test_of_too_much_sound_some_is_left_out_and_counted(folder: Path) -> None:
    with (folder / "manifest.csv").open(encoding="utf-8", newline="") as file:
        names = [recording["id"] for recording in csv.DictReader(file)]
    whole = clip_sounds(folder, names)
    assert whole.note == ""
    size = sum(map(len, whole.addresses.values()))
    part = clip_sounds(folder, names, limit=size // 2)
    assert sum(map(len, part.addresses.values())) <= size // 2
    assert 10 < len(part.addresses) < 30
    assert f"{40 - len(part.addresses)} of 40 clips have no sound here" in part.note
    assert clip_sounds(folder, [*names, "gone.wav"]).note == "1 clips could not be read"


def test_the_sound_of_a_study_is_found_where_it_was_moved(folder: Path, tmp_path: Path) -> None:
    study = shutil.copytree(folder, tmp_path / "study")
    with (study / "manifest.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    moved = [tmp_path / "moved" / Path(row["path"]).name for row in rows]
    (tmp_path / "moved").mkdir()
    for row, place in zip(rows, moved, strict=True):
        shutil.move(study / row["path"], place)
    names = [row["id"] for row in rows]
    with pytest.raises(MfclError, match="data_root"):
        clip_sounds(study, names)
    assert clip_sounds(study, names, data_root=tmp_path / "moved").note == ""
    assert make_report(study, with_audio=True, data_root=tmp_path / "moved").exists()


def test_every_beginning_of_an_even_order_is_spread() -> None:
    names = [str(number) for number in range(100)]
    order = evenly(names)
    assert sorted(order, key=int) == names
    first = sorted(int(name) for name in order[:10])
    assert max(b - a for a, b in itertools.pairwise(first)) <= 20


def test_sound_without_a_manifest_is_one_line(tmp_path: Path) -> None:
    write_study(tmp_path, seeds=1, speakers=3, takes=1)
    with pytest.raises(MfclError, match=r"manifest\.csv: wanted for the sound"):
        make_report(tmp_path, with_audio=True)


# --- figures for print


def test_figures_are_written_as_svg_and_png_and_are_the_same_twice(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="figures need matplotlib")
    study = write_study(tmp_path / "study", seeds=1, speakers=3, takes=1, nasty=True)
    pictures = json.loads((study / "pictures.json").read_text(encoding="utf-8"))
    pictures["maps"] = pictures["maps"][:1]
    (study / "pictures.json").write_text(json.dumps(pictures), encoding="utf-8")
    for name in ("one", "two"):
        make_report(study, figures=tmp_path / name)
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    kinds = {name.partition("-")[0] for name in names}
    assert kinds == {"map", "efficiency", "crops", "augmentation", "det", "training"}
    assert {Path(name).suffix for name in names} == {".svg", ".png"}
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name


def test_without_matplotlib_the_extra_is_named(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name, *rest, **options):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MfclError, match=r'pip install "mfcl\[figures\]"'):
        make_report(folder, figures=tmp_path)
