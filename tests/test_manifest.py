import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mfcl.data.layouts import open_manifest
from mfcl.data.manifest import Manifest, Recording
from mfcl.data.manifest_blocks import list_parts
from mfcl.data.manifest_csv import read_manifest, write_manifest
from mfcl.data.scanning import scan
from mfcl.errors import ManifestError
from tests.sounds import write_corpus


def manifest(*, root=Path("/sounds")):
    return Manifest(
        (
            Recording("a.wav", root / "a.wav", labels={"speaker": "01", "digit": "3"}, split="train"),
            Recording("b.wav", root / "b.wav", labels={"speaker": "02"}, split="test"),
            Recording("c", root / "deep/c.wav", 0.5, 1.25, {"speaker": "02", "digit": "4"}),
        ),
        root,
    )


def write(folder, text, *, sound="a.wav", encoding="utf-8"):
    (folder / sound).touch()
    (folder / "list.csv").write_bytes(text.encode(encoding))
    return folder / "list.csv"


def test_columns_ids_and_sides_are_arrays_and_what_is_not_known_is_empty():
    three = manifest()
    assert three.label_names == ("speaker", "digit")
    assert three.column("digit").tolist() == ["3", "", "4"]
    assert three.ids.tolist() == ["a.wav", "b.wav", "c"]
    assert three.splits.tolist() == ["train", "test", ""]


def test_recordings_are_selected_by_place_mask_and_part():
    three = manifest()
    assert three.select(np.array([2, 0])).ids.tolist() == ["c", "a.wav"]
    assert three.select(three.column("speaker") == "02").ids.tolist() == ["b.wav", "c"]
    assert three.subset("test").ids.tolist() == ["b.wav"]
    assert three.with_splits(["", "valid", "train"]).splits.tolist() == ["", "valid", "train"]
    for nothing in [lambda: three.select([]), lambda: three.subset("valid")]:
        with pytest.raises(ManifestError, match="no recording is"):
            nothing()


def test_an_unknown_label_or_part_is_met_with_a_suggestion():
    with pytest.raises(ManifestError, match="did you mean 'speaker'"):
        manifest().column("speeker")
    with pytest.raises(ManifestError, match="did you mean 'train'"):
        manifest().subset("trian")


def test_a_csv_gives_ids_labels_parts_and_times(tmp_path):
    path = write(
        tmp_path,
        "path,speaker,start,end,split,word\na.wav,01,,,train,one\na.wav,02,0.5,2,test,\n\n/x/b.wav,01,,,,two\n",
    )
    read = read_manifest(path)
    assert read.ids.tolist() == ["a.wav", "a.wav#0.5-2.0", "/x/b.wav"]
    assert read.recordings[1] == Recording("a.wav#0.5-2.0", tmp_path / "a.wav", 0.5, 2.0, {"speaker": "02"}, "test")
    assert read.label_names == ("speaker", "word")
    assert read.recordings[2].path == Path("/x/b.wav")
    assert read.root == tmp_path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_a_csv_of_any_program_is_read(tmp_path, encoding, newline):
    lines = [",path , origin", '0,a.wav,"Baku, ""old"" town"']  # an unnamed column of row numbers, as pandas writes it
    read = read_manifest(write(tmp_path, newline.join(lines) + newline, encoding=encoding))
    assert dict(read.recordings[0].labels) == {"origin": 'Baku, "old" town'}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "got the columns none"),
        ("path\n", "no recording below it"),
        ("paths,speaker\na.wav,1\n", "'paths'"),
        ("Path;speaker\na.wav;1\n", "'Path' is nearly 'path'"),
        ("path;speaker\na.wav;1;2\n", "line 2: 3 cells under 2 columns"),
        ("0.500000\t1.25\towl\n", "an Audacity label file, which does not name its audio file"),
        ("path,offset\na.wav,1\n", "may mean a start or an end"),
        ("path,Split\na.wav,test\n", "'Split' is nearly 'split'"),
        ("path,splits\na.wav,test\n", "'splits' is nearly 'split'"),
        ("path,spilt\na.wav,test\n", "'spilt' is nearly 'split'"),
        ("path,Start,End\na.wav,1,2\n", "'Start' is nearly 'start'"),
        ("path,start,End Time\na.wav,1,2\n", "'End Time' is nearly 'end_time'"),
        ("path,start,Duration\na.wav,1,2\n", "'Duration' is nearly 'duration'"),
        ("path,start_ms,end_ms\na.wav,1000,2000\n", "name it 'start', in seconds, if that is what it means"),
        ("path,start,end_sec\na.wav,1,2\n", "'end_sec' is nearly 'end'"),
        ("path,Begin Time (s),end\na.wav,1,2\n", "'Begin Time (s)' is nearly 'begin_time'"),
        ("Selection\tBegin Time (s)\tEnd Time (s)\n1\t0\t1\n", "does not name its audio file"),
        ("Begin File\tBegin Time (s)\tEnd Time (s)\na.wav\t0\t1\nb.wav\t9\t10\n", "needs 'File Offset (s)'"),
        ("path,who,who\na.wav,1,2\n", "two columns are called 'who'"),
        ("path,who\na.wav,1\n,2\n", "line 3: no path"),
        ("path,who\na.wav,1,2\n", "line 2: 3 cells under 2 columns"),
        ("path,start\na.wav,soon\n", "line 2: start is 'soon'"),
        ("path,start\na.wav,-1\n", "line 2: start is '-1'"),
        ("path,end\na.wav,nan\n", "line 2: end is 'nan'"),
        ("path,start,end\na.wav,2,2\n", "line 2: wanted an end after the start, got start 2.0 s and end 2.0 s"),
        ("path,split\na.wav,train\nb.wav,dev\n", "line 3: no split is called 'dev'"),
        ("path\na.wav\na.wav\n", "line 3: 2 recordings have the id 'a.wav'"),
        ("path,id\na.wav,x\nc.wav,y\n\nb.wav,x\n", "line 5: 2 recordings have the id 'x'"),
        ("path\nfar.wav\nfurther.wav\n", "none of its 2 files exists"),
        ("path\nwren\\far.wav\n", "its paths are those of Windows: write / in place of each"),
        ('path\n"a.wav', "line 2: not a CSV"),
        ('path,who\na.wav,"x\nb.wav,y\nc.wav,z\n', "line 2: not a CSV"),
        ('path,who\na.wav,x\nb.wav,"y\nz"\nc.wav,"z"z"\n', "line 5: not a CSV"),
    ],
)
def test_a_bad_csv_is_an_error_of_one_line_that_names_the_place(tmp_path, text, message):
    with pytest.raises(ManifestError) as caught:
        read_manifest(write(tmp_path, text))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_a_csv_that_is_absent_or_not_text_is_an_error(tmp_path):
    with pytest.raises(ManifestError, match="cannot be read"):
        read_manifest(tmp_path / "absent.csv")
    with pytest.raises(ManifestError, match="not UTF-8"):
        read_manifest(write(tmp_path, "path,who\na.wav,Zoë\n", encoding="latin-1"))


texts = st.text(st.characters(exclude_categories=["Cs", "Cc"], include_characters="\n\r\t"), min_size=1, max_size=8)
values = texts.map(str.strip).filter(bool)
seconds = st.floats(0, 1e6)


@settings(deadline=None, max_examples=25)
@given(st.data())
def test_what_is_written_is_read_back(tmp_path_factory, data):
    root = tmp_path_factory.mktemp("round")
    (root / "0.wav").touch()
    recordings = []
    for number in range(data.draw(st.integers(1, 4))):
        inside = data.draw(st.booleans())
        start, length = data.draw(st.none() | seconds), data.draw(st.none() | st.floats(1, 100))
        end = None if length is None else (start or 0.0) + length
        path = root / f"{number}.wav" if inside or not number else Path(f"/elsewhere/{data.draw(st.uuids())} ,x.wav")
        labels = data.draw(st.dictionaries(st.sampled_from(["speaker", "digit", "wörd"]), values, max_size=3))
        split = data.draw(st.sampled_from([None, "train", "valid", "test"]))
        name = f"{number}{data.draw(texts)}"
        recordings.append(Recording(name, path, start, end, labels, split))
    before = Manifest(tuple(recordings), root)
    write_manifest(before, root / "list.csv")
    assert read_manifest(root / "list.csv") == before


@pytest.mark.parametrize(
    ("header", "cells"),
    [
        ("path,start,end", "a.wav,0.5,1.25"),
        ("filename,start_time,end_time", "a.wav,0.5,1.25"),
        ("file,begin,end", "a.wav,0.5,1.25"),
        ("file,offset,duration", "a.wav,0.5,0.75"),
        ("file_path;onset;offset", "a.wav;0.5;1.25"),
        ("path\tstart\tstop", "a.wav\t0.5\t1.25"),
        ("Begin File\tBegin Time (s)\tEnd Time (s)\tView", "a.wav\t0.5\t1.25\tSpectrogram 1"),
        ("Begin Path\tBegin File\tBegin Time (s)\tEnd Time (s)\tFile Offset (s)", "C:\\a.wav\ta.wav\t60.5\t61.25\t0.5"),
    ],
)
def test_the_usual_names_of_tables_of_sound_are_understood(tmp_path, header, cells):
    sign = next((sign for sign in "\t;" if sign in header), ",")
    read = read_manifest(write(tmp_path, f"\ufeff{header}{sign}species\n{cells}{sign}owl\n"))
    assert read.recordings == (Recording("a.wav#0.5-1.25", tmp_path / "a.wav", 0.5, 1.25, {"species": "owl"}),)


@pytest.mark.parametrize("name", ["day.Table.1.selections.txt", "day.selections.txt"])
def test_a_raven_table_without_a_column_of_files_is_of_the_recording_that_it_is_named_by(tmp_path, name):
    table = "Selection\tBegin Time (s)\tEnd Time (s)\tAnnotation\n1\t0.5\t1.25\towl\n2\t3\t4\n\n"
    path = tmp_path / name
    path.write_text(table)
    (tmp_path / "day2.wav").touch()
    with pytest.raises(ManifestError, match="does not name its audio file"):
        read_manifest(path)
    (tmp_path / "day.WAV").touch()
    read = read_manifest(path)
    assert [(one.path, one.start, one.end) for one in read] == [
        (tmp_path / "day.WAV", 0.5, 1.25),
        (tmp_path / "day.WAV", 3, 4),
    ]
    assert [one.label("Annotation") for one in read] == ["owl", ""]
    assert read.notes == ("no column names the recording; by the table's name it is day.WAV",)
    (tmp_path / "day.flac").touch()  # which of both?
    with pytest.raises(ManifestError, match="does not name its audio file"):
        read_manifest(path)


@pytest.mark.parametrize("name", ["day.txt", "day.tsv"])
def test_a_selection_that_raven_writes_once_for_each_view_is_one_recording(tmp_path, name):
    head = "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tBegin File\tAnnotation\n"
    rows = [(1, 0.5, 1, "owl"), (2, 0.5, 1.5, "owl"), (3, 2, 3, "wren")]
    table = head + "".join(
        f"{number}\t{view}\t1\t{start}\t{end}\ta.wav\t{said}\n"
        for view in ("Waveform 1", "Spectrogram 1")
        for number, start, end, said in rows
    )
    path = write(tmp_path, table)
    path = path.rename(tmp_path / name)
    for read in (read_manifest(path), list_parts(path)):
        recordings = list(read) if isinstance(read, Manifest) else list(read.rows(0))
        assert [(one.start, one.end, one.label("Annotation")) for one in recordings] == [one[1:] for one in rows]
        assert read.notes == ("3 rows are other views of the same selections, and passed over",)


def test_a_quote_in_raven_is_a_sign_and_takes_no_selection_into_another(tmp_path):
    said = ['"owl', "wren", 'owl"', '"owl" far', '"owl, far"', "wren"]
    rows = "".join(f"{number}\t{number}\t{number + 1}\ta.wav\t{text}\r\n" for number, text in enumerate(said))
    head = "Selection\tBegin Time (s)\tEnd Time (s)\tBegin File\tAnnotation\r\n"
    path = write(tmp_path, head + rows)
    read = read_manifest(path)
    assert read.column("Annotation").tolist() == ['"owl', "wren", 'owl"', '"owl" far', "owl, far", "wren"]
    path.write_text(head + rows + "6\tsoon\t8\ta.wav\towl\n", newline="")
    with pytest.raises(ManifestError, match="line 8: Begin Time"):
        read_manifest(path)


def test_selections_of_other_channels_in_raven_are_noted_as_channels_are_averaged(tmp_path):
    head = "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tBegin File\tAnnotation\n"
    rows = [f"{at}\tWaveform 1\t{of}\t0.{at}\t0.{at + 1}\ta.wav\twren\n" for at, of in ((1, 1), (2, 2), (3, 2))]
    (note,) = read_manifest(write(tmp_path, head + "".join(rows))).notes
    assert note.startswith("2 selections are of another channel than the first: channels are averaged")
    assert read_manifest(write(tmp_path, head + rows[0])).notes == ()


def test_two_selections_of_the_same_times_in_raven_are_told_apart_by_a_column_id(tmp_path):
    head, row = "Selection\tBegin Time (s)\tEnd Time (s)\tBegin File\tid\tspecies\n", "\t0.5\t1\ta.wav\t"
    with pytest.raises(ManifestError, match="give each a unique one in the column `id`"):
        read_manifest(write(tmp_path, f"{head}1{row}\towl\n2{row}\twren\n"))
    read = read_manifest(write(tmp_path, f"{head}1{row}x\towl\n2{row}y\twren\n"))
    assert [(one.id, one.labels) for one in read] == [("x", {"species": "owl"}), ("y", {"species": "wren"})]


def test_a_column_with_a_meaning_that_is_given_already_is_a_label(tmp_path):
    text = "path,start,end,filename,start_time,duration,star\na.wav,0,1,A,2020-01-01,9,x\n"
    assert read_manifest(write(tmp_path, text)).label_names == ("filename", "start_time", "duration", "star")


@pytest.mark.parametrize("name", ["stop", "Split", "filepath", "duration"])
def test_a_label_that_would_be_read_as_something_else_is_refused_or_comes_back(tmp_path, name):
    before = Manifest((Recording("a.wav", tmp_path / "a.wav", labels={name: "x"}),), tmp_path)
    (tmp_path / "a.wav").touch()
    if name in ("stop", "Split"):
        with pytest.raises(ManifestError, match=name):
            write_manifest(before, tmp_path / "list.csv")
    else:
        write_manifest(before, tmp_path / "list.csv")
        assert read_manifest(tmp_path / "list.csv") == before


def test_outer_spaces_of_labels_and_paths_do_not_count_and_are_said_once(tmp_path):
    text = "path,speaker\na.wav ,s1\nb.wav,s1 \n\tc.wav,\u00a0s1\nd.wav, \n"
    read = read_manifest(write(tmp_path, text))
    assert read.column("speaker").tolist() == ["s1", "s1", "s1", ""]
    assert read.ids.tolist() == ["a.wav", "b.wav", "c.wav", "d.wav"]
    assert read.notes == ("leading or trailing spaces of 5 cells are ignored, such as 'a.wav ' in 'path'",)
    (tmp_path / "b.wav ").touch()
    assert read_manifest(write(tmp_path, "path\nb.wav \n")).recordings[0].path.name == "b.wav "


@pytest.mark.parametrize(("path", "label"), [("caf\udce9.wav", "x"), ("a.wav", "caf\udce9")])
def test_a_name_that_is_no_text_is_refused_before_anything_is_written(tmp_path, path, label):
    odd = Manifest((Recording("a", tmp_path / path, labels={"word": label}),), tmp_path)
    with pytest.raises(ManifestError, match=r"caf\\udce9.*rename it"):
        write_manifest(odd, tmp_path / "list.csv")
    assert not list(tmp_path.iterdir())


def test_a_list_of_recordings_beside_its_folder_moves_with_them(tmp_path):
    root = write_corpus(tmp_path / "here/data", speakers=2, digits=1, takes=1)
    before = Manifest((Recording("data/01/0_01_0.wav", root / "data/01/0_01_0.wav"),), root)
    (tmp_path / "here/runs/one").mkdir(parents=True)
    write_manifest(before, tmp_path / "here/runs/one/manifest.csv", relative=True)
    assert "path,id\n../../data/data/01/0_01_0.wav," in (tmp_path / "here/runs/one/manifest.csv").read_text()
    assert read_manifest(tmp_path / "here/runs/one/manifest.csv").recordings == before.recordings
    shutil.move(tmp_path / "here", tmp_path / "there")
    after = read_manifest(tmp_path / "there/runs/one/manifest.csv")
    assert after.recordings[0].path == tmp_path / "there/data/data/01/0_01_0.wav"
    assert after.ids.tolist() == before.ids.tolist()


def test_a_name_that_no_file_can_have_is_a_recording_that_is_not_there(tmp_path):
    write_corpus(tmp_path, speakers=1, digits=1, takes=1)
    (tmp_path / "list.csv").write_text(f"path\n{'é' * 300}.wav\ndata/01/0_01_0.wav\n")
    manifest = read_manifest(tmp_path / "list.csv")
    assert len(manifest) == 2
    assert manifest.fingerprint_of_sizes()
    assert [name for name, _ in scan(manifest, progress=False).failures] == [f"{'é' * 300}.wav"]
    with pytest.raises(ManifestError, match="does not exist"):
        open_manifest(tmp_path / ("x" * 300))


@pytest.mark.parametrize("inside", ["", "data", "data/01"])
def test_recordings_that_moved_are_found_below_a_new_root(tmp_path, inside):
    root = write_corpus(tmp_path / "old", speakers=1, digits=2, takes=1)
    before = Manifest(tuple(Recording(f"{d}", root / f"data/01/{d}_01_0.wav") for d in range(2)), root)
    write_manifest(before, tmp_path / "list.csv")
    shutil.move(root, tmp_path / "new")
    with pytest.raises(ManifestError, match=r"none of its 2 files exists.*data_root"):
        read_manifest(tmp_path / "list.csv")
    after = read_manifest(tmp_path / "list.csv", data_root=tmp_path / "new" / inside)
    assert [recording.path for recording in after] == [tmp_path / f"new/data/01/{d}_01_0.wav" for d in range(2)]
    assert after.ids.tolist() == ["0", "1"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(ManifestError, match="none of the 2 recordings is below it"):
        read_manifest(tmp_path / "list.csv", data_root=tmp_path / "empty")


def test_a_carriage_return_in_a_label_comes_back(tmp_path):
    (tmp_path / "a.wav").touch()
    before = Manifest((Recording("a.wav", tmp_path / "a.wav", labels={"said": "one\rtwo"}),), tmp_path)
    write_manifest(before, tmp_path / "list.csv")
    assert read_manifest(tmp_path / "list.csv") == before


def test_a_manifest_that_moves_with_its_folder_stays_true(tmp_path):
    write_corpus(tmp_path / "here", speakers=2, digits=1, takes=1)
    path = tmp_path / "here/data/01/0_01_0.wav"
    before = Manifest((Recording("data/01/0_01_0.wav", path),), tmp_path / "here")
    write_manifest(before, tmp_path / "here/list.csv")
    assert (tmp_path / "here/list.csv").read_text() == "path\ndata/01/0_01_0.wav\n"
    shutil.move(tmp_path / "here", tmp_path / "there")
    after = read_manifest(tmp_path / "there/list.csv")
    assert after.recordings[0].path.exists()
    assert after.ids.tolist() == before.ids.tolist()


def test_a_folder_above_is_named_with_dots(tmp_path):
    (tmp_path / "a.wav").touch()
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists/list.csv").write_text("path\n../a.wav\n")
    read = read_manifest(tmp_path / "lists/list.csv")
    assert read.ids.tolist() == ["../a.wav"]
    write_manifest(read, tmp_path / "lists/again.csv")
    assert read_manifest(tmp_path / "lists/again.csv") == read


@pytest.mark.parametrize("name", ["path", "split", " speaker"])
def test_a_label_that_would_not_come_back_is_refused(tmp_path, name):
    clash = Manifest((Recording("a", tmp_path / "a.wav", labels={name: "x"}),), tmp_path)
    with pytest.raises(ManifestError, match="cannot be called"):
        write_manifest(clash, tmp_path / "list.csv")
    assert not list(tmp_path.iterdir())


def test_the_fingerprint_follows_contents_and_not_places(tmp_path):
    prints = []
    for folder in ["one", "two"]:
        root = write_corpus(tmp_path / folder, speakers=1, digits=1, takes=2)
        names = ["data/01/0_01_0.wav", "data/01/0_01_1.wav"]
        made = Manifest(tuple(Recording(name, root / name, labels={"speaker": "01"}) for name in names), root)
        prints.append(made.fingerprint())
    assert prints[0] == prints[1]
    assert len(prints[0]) == 16
    changed = [
        made.with_splits(["train", "test"]).fingerprint(),
        made.select([1, 0]).fingerprint(),
        Manifest(tuple(Recording(r.id, r.path, labels={"speaker": "02"}) for r in made), root).fingerprint(),
    ]
    (root / names[0]).write_bytes(b"longer or shorter")
    changed.append(made.fingerprint())
    assert len({prints[0], *changed}) == 5


def test_a_fingerprint_of_sizes_is_gone_on_with_unless_a_file_is_newer(tmp_path):
    root = write_corpus(tmp_path, speakers=1, digits=1, takes=1)
    path = root / "data/01/0_01_0.wav"
    made = Manifest((Recording("a", path),), root)
    old, now = made.fingerprint_of_sizes(), path.stat().st_mtime
    assert made.fingerprint_like(old, now + 1) == old
    assert made.fingerprint_like(old, now - 1) == made.fingerprint()
    assert made.fingerprint_like("another", now + 1) == made.fingerprint_like(None, now + 1) == made.fingerprint()
