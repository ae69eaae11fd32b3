"""What a person watches: one line of steps and bars on a terminal, plain lines in a log."""

import io
import re
import sys

import pytest
import tqdm.std

from mfcl.core import progress as core_progress
from mfcl.core.parallel import in_parallel
from mfcl.core.progress import StepsBar, progress, terminal


class Screen(io.StringIO):
    """A stand-in for standard error; `live` says whether it is a terminal."""

    def __init__(self, *, live):
        super().__init__()
        self.live = live

    def isatty(self):
        return self.live


def watched(patch, *, live):
    """Put such a standard error in place; called by the test itself, since pytest puts its own in place before it."""
    made = Screen(live=live)
    patch.setattr(sys, "stderr", made)
    return made


# Steps


def test_on_a_terminal_steps_are_one_line_that_is_drawn_over_and_gone_at_the_end(monkeypatch):
    screen = watched(monkeypatch, live=True)
    assert terminal()
    with StepsBar(3, shown=True) as line:
        line.tell("labels: untrained")
        line.note("voices are not measured")
        line.step()
        line.tell("maps: untrained")
        line.step()
    said = screen.getvalue()
    assert "labels: untrained" in said
    assert "maps: untrained" in said
    assert "[0 of 3" in said
    assert "\r" in said
    assert [text for text in said.split("\r") if "\n" in text] == ["voices are not measured\n"]  # the one that stays
    assert said.rsplit("\r", 2)[1].strip() == ""


def test_in_a_log_each_step_is_a_plain_line_with_its_number(monkeypatch):
    screen = watched(monkeypatch, live=False)
    assert not terminal()
    with StepsBar(3, shown=True) as line:
        line.step()  # was done on an earlier day
        line.tell("labels: untrained")
        line.note("voices are not measured")
        line.step()
        line.tell("maps: untrained")
        line.step()
    assert screen.getvalue() == "[2 of 3] labels: untrained\nvoices are not measured\n[3 of 3] maps: untrained\n"


def test_what_is_true_of_every_step_is_said_once(monkeypatch):
    screen = watched(monkeypatch, live=False)
    with StepsBar(2, shown=False) as line:
        for text in ("no interval", "one class", "no interval"):
            line.note(text)
    assert screen.getvalue() == "no interval\none class\n"


@pytest.mark.parametrize("live", [True, False])
def test_a_quiet_work_says_its_notes_alone(live, monkeypatch):
    screen = watched(monkeypatch, live=live)
    with StepsBar(2, shown=False) as line:
        line.tell("labels: untrained")
        line.note("voices are not measured")
        line.step()
    assert screen.getvalue().strip("\r\n ") == "voices are not measured"


@pytest.mark.parametrize("steps", [1, 40, 43, 1000])
def test_a_log_of_many_steps_has_few_lines(steps, monkeypatch):
    screen = watched(monkeypatch, live=False)
    with StepsBar(steps, shown=True) as line:
        for number in range(steps):
            line.tell(f"step {number}")
            list(progress(range(3), what="embed", unit="clip", shown=False))
            line.step()
    lines = screen.getvalue().splitlines()
    assert min(steps, 30) <= len(lines) <= 40
    assert lines[0] == f"[1 of {steps}] step 0"


def test_a_step_with_a_bar_of_its_own_stays_one_line_of_the_terminal(monkeypatch):
    screen = watched(monkeypatch, live=True)
    monkeypatch.setattr(core_progress, "_columns", lambda: 60)
    with StepsBar(3, shown=True) as line:
        line.tell("efficiency: pre-trained, fine-tuned, 10 labels a class, seed 0; about 10 min left")
        with progress(total=30, what="pre-training", unit="step") as bar:
            for _ in range(30):
                bar.set_postfix_str("loss 3.2")
                bar.update()
                bar.refresh()
        line.tell("labels")
        with progress(total=2, what="embed", unit="clip") as bar:
            bar.update()
            bar.refresh()
            line.note("voices are not measured")
        line.step()
    said = screen.getvalue()
    assert said.count("\n") == 1  # the note's
    assert "\x1b[A" not in said  # nothing moves to another line
    assert max(len(part.rstrip()) for part in said.split("\r")) < 60
    assert "labels | embed: 1 of 2 clip" in said
    assert "pre-training" not in said.partition("labels")[2]
    assert said.rsplit("\r", 2)[1].strip() == ""
    assert StepsBar.open is None


# Bars


def test_a_long_work_has_few_lines_in_a_log(monkeypatch):
    screen = watched(monkeypatch, live=False)
    now = [0.0]
    monkeypatch.setattr(core_progress.time, "monotonic", lambda: now[0])
    lines = core_progress._PlainLines()
    for _ in range(2880):  # a day, with an update each half minute
        now[0] += 30.0
        lines.write("\rpre-training: 1 of 9 step")
    assert 30 < screen.getvalue().count("\n") <= 100


def test_in_a_log_progress_is_plain_lines_without_carriage_returns(monkeypatch):
    screen = watched(monkeypatch, live=False)
    monkeypatch.setattr(core_progress, "LOG_SECONDS", 0.0)
    assert list(progress(range(3), what="embed", unit="clip")) == [0, 1, 2]
    said = screen.getvalue()
    assert "\r" not in said
    assert "\x1b" not in said
    lines = said.splitlines()
    assert all(re.fullmatch(r"embed: \d of 3 clip, .*, .* left", line) for line in lines), lines
    assert "embed: 3 of 3 clip" in lines[-1]


def test_the_rate_in_a_log_is_that_since_the_update_before(monkeypatch):
    screen = watched(monkeypatch, live=False)
    now = [0.0]
    monkeypatch.setattr(core_progress.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(tqdm.std, "time", lambda: now[0])
    with progress(total=6100, what="embed", unit="clip") as bar:
        for _ in range(6000):  # a hundred clips a second, for a minute
            now[0] += 0.01
            bar.update()
        for _ in range(3):  # then one of two minutes
            now[0] += 120.0
            bar.update()
    lines = screen.getvalue().splitlines()
    assert re.fullmatch(r"embed: (2999|300\d) of 6100 clip, (99\.\d\d|100\.0\d)clip/s, 00:3\d left", lines[1]), lines
    assert [line.partition(", ")[2] for line in lines if line.startswith(("embed: 6002", "embed: 6003"))] == [
        *("120.00s/clip, 3:16:00 left", "120.00s/clip, 3:14:00 left"),
    ]


def test_a_slow_item_after_fast_ones_is_said_when_it_is_done(monkeypatch):
    screen = watched(monkeypatch, live=False)
    now = [0.0]
    monkeypatch.setattr(core_progress.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(tqdm.std, "time", lambda: now[0])
    bar = iter(progress(range(102), what="embed", unit="clip"))
    for place in range(102):
        next(bar)
        now[0] += 0.5 if place < 100 else 31.0
    assert list(bar) == []
    assert screen.getvalue().splitlines()[-1].startswith("embed: 102 of 102 clip, 31.0")


def test_on_a_terminal_a_bar_is_gone_when_its_work_is_done(monkeypatch):
    screen = watched(monkeypatch, live=True)
    assert list(progress(range(3), what="embed", unit="clip")) == [0, 1, 2]
    said = screen.getvalue()
    assert "embed" in said
    assert "\n" not in said
    assert said.rsplit("\r", 2)[1].strip() == ""


@pytest.mark.parametrize("live", [True, False])
def test_a_bar_that_is_not_shown_says_nothing(live, monkeypatch):
    screen = watched(monkeypatch, live=live)
    assert list(progress(range(3), what="embed", unit="clip", shown=False)) == [0, 1, 2]
    assert screen.getvalue() == ""


def test_without_standard_error_there_is_no_terminal(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    assert not terminal()


def test_what_is_counted_is_named_in_the_plural(monkeypatch):
    screen = watched(monkeypatch, live=False)
    list(in_parallel(abs, range(40), workers=1, what="Counting"))
    assert "of 40 files" in screen.getvalue()
