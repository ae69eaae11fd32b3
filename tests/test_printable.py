"""What is printed cannot do anything to a terminal."""

import pytest
import soundfile

from mfcl.cli import main
from mfcl.core.console import LONGEST, printable, table
from mfcl.data.layouts import open_manifest
from mfcl.data.scanning import scan
from tests.sounds import tone


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("plain é 音 name", "plain é 音 name"),
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("two\nlines\r\ttabs", "two\\nlines\\r\\ttabs"),
        ("turned\u202e\u2028", "turned\\u202e\\u2028"),
        ("no character \udcff", "no character \\udcff"),
        ("\x9b2J", "\\x9b2J"),
    ],
)
def test_controls_are_escaped_and_letters_stay(text, printed):
    assert printable(text) == printed


def test_of_a_long_text_both_ends_are_printed():
    text = "begins" + "x" * 100_000 + "ends"
    assert len(printable(text)) <= LONGEST
    assert printable(text).startswith("begins")
    assert printable(text).endswith("ends")
    assert len(table([(text, 1)], ["name", "n"])) < 5 * LONGEST
    assert "\x1b" not in table([("\x1b[2J", 1)], ["\x1b[31m", "n"])


def test_names_with_controls_do_not_reach_the_terminal(tmp_path, capsys):
    folder = tmp_path / "in" / "label\x1b[31m"
    folder.mkdir(parents=True)
    soundfile.write(folder / "good.wav", tone(), 16000)
    (folder / "bad\nname.wav").write_text("no sound")
    report = scan(open_manifest(tmp_path / "in"), progress=False)
    for text in (report.table(), report.kinds_table(), report.problems_table()):
        assert "\x1b" not in text
        assert "bad\nname" not in text
    for arguments in (["scan"], ["scan", "--all"], ["scan", "--strict"], ["embed", str(folder), "--out", "x.npz"]):
        main([arguments[0], str(tmp_path / "in"), *arguments[1:], "--quiet"])
        said = capsys.readouterr()
        assert "\x1b" not in said.out + said.err
