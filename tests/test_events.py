"""Events of windows, and the files that they are written to."""

import itertools
import json
import math

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from mfcl.audio.windows import check_covered, window_edges
from mfcl.data.annotations import WRITERS, Event, check_sources, written
from mfcl.data.manifest_csv import read_manifest
from mfcl.errors import AudioError, MeasureError, MfclError
from mfcl.labelling import EventSettings, find_events

CHANCES = st.lists(st.floats(0, 1), min_size=1, max_size=60)


def found(chances, **chosen):
    column = np.array(chances, dtype=np.float64)[:, None]
    return find_events("a.wav", np.arange(len(chances) + 1.0), column, ["wren"], EventSettings(**chosen))


def spans(events):
    return [(one.start, one.end) for one in events]


def test_an_event_begins_high_and_goes_on_lower():
    chances = [0.2, 0.4, 0.8, 0.4, 0.2, 0.4, 0.2]
    assert spans(found(chances)) == [(1, 4)]
    assert spans(found(chances, go_on=0.5)) == [(2, 3)]
    assert spans(found(chances, begin=0.9)) == []


def test_short_events_are_left_out_long_ones_cut_and_gaps_bridged():
    chances = [0.9, 0.0, 0.9, 0.9, 0.9, 0.9, 0.0, 0.0, 0.9]
    assert spans(found(chances)) == [(0, 1), (2, 6), (8, 9)]
    assert spans(found(chances, shortest=2)) == [(2, 6)]
    assert spans(found(chances, gap=1)) == [(0, 6), (8, 9)]
    assert spans(found(chances, longest=2)) == [(0, 1), (2, 4), (4, 6), (8, 9)]
    assert spans(found([0.9], gap=5, shortest=2)) == []


def test_no_piece_of_an_event_is_shorter_than_an_event_may_be():
    chances = [0.6, 0.7, 0.9, 0.7, 0.5]
    assert spans(found(chances, longest=4)) == [(0, 2.5), (2.5, 5)]
    assert spans(found(chances, longest=4, shortest=2.5)) == [(0, 2.5), (2.5, 5)]
    assert spans(found(chances, longest=4, shortest=3)) == [(0, 4)]  # the rest, less sure, is no event
    assert spans(found(chances[::-1], longest=4, shortest=3)) == [(1, 5)]
    assert spans(found([0.9] * 11, longest=5, shortest=4)) == [(0, 5), (5, 10)]


@pytest.mark.parametrize("start", [0.0, 0.7, 3600.1, 86_400.3])
@pytest.mark.parametrize("rate", [16_000, 22_050])
def test_a_gap_and_a_length_of_exactly_the_setting_count_wherever_they_lie(start, rate):
    step = 0.1 if rate == 16_000 else 2206 / 22_050  # the second is no decimal, and is rounded in embeddings
    windows = np.round(start + step * np.arange(60), 6)
    edges = window_edges(windows, np.round(windows + 2 * step, 6))
    chances = np.tile([0.9, 0.0, 0.0], 20)[:, None]
    for gap, count in ((2 * step, 1), (2 * step - 1e-3, 20)):
        assert len(find_events("a.wav", edges, chances, ["wren"], EventSettings(gap=gap))) == count
    chances = np.tile([0.9, 0.9, 0.0], 20)[:, None]
    whole = find_events("a.wav", edges, chances, ["wren"], EventSettings(shortest=2 * step))
    assert len(whole) == 20
    cut = find_events("a.wav", edges, chances, ["wren"], EventSettings(longest=2 * step))
    assert len(cut) == 21  # the first is longer, by half of what windows overlap


def test_each_class_has_its_own_settings_and_events_may_overlap():
    chances = np.array([[0.6, 0.6], [0.6, 0.6]])
    both = find_events("a", np.arange(3.0), chances, ["b", "a"], EventSettings())
    assert [one.name for one in both] == ["a", "b"]
    one = find_events("a", np.arange(3.0), chances, ["b", "a"], {"b": EventSettings(begin=0.7), "a": EventSettings()})
    assert [event.name for event in one] == ["a"]
    assert find_events("a", np.arange(3.0), chances, ["b", "a"], {}) == []


@given(CHANCES, st.floats(0.05, 1), st.floats(0, 5), st.floats(0.5, 9), st.floats(0, 3))
@settings(max_examples=150, deadline=None)
def test_events_lie_inside_in_order_apart_and_hold_a_window_that_begins_them(chances, begin, shortest, longest, gap):
    whole = found(chances, begin=begin, shortest=shortest, gap=gap)
    assert all(0 <= one.start < one.end <= len(chances) for one in whole)
    assert all(one.end - one.start >= shortest - 1e-6 for one in whole)
    assert all(one.score >= begin for one in whole)
    assert all(after.start - before.end > gap for before, after in itertools.pairwise(whole))
    if not shortest:
        reached = {place for place, one in enumerate(chances) if one >= begin}
        assert reached <= {place for one in whole for place in range(int(one.start), int(one.end))}
    if longest >= shortest:
        cut = found(chances, begin=begin, shortest=shortest, longest=longest, gap=gap)
        assert all(shortest - 1e-6 <= one.end - one.start <= longest + 1e-6 for one in cut)
        assert all(after.start >= before.end - 1e-9 for before, after in itertools.pairwise(cut))
        for one in whole:
            length = one.end - one.start
            kept = sum(two.end - two.start for two in cut if one.start - 1e-6 <= two.start < one.end)
            if length / max(1, math.ceil((length - 2e-6) / longest)) >= shortest - 1e-6:
                assert kept == pytest.approx(length)
            else:  # it cannot be cut so that both lengths are kept: what is left out is too short to be an event
                assert 0 < length - kept < shortest


def test_settings_and_shapes_that_cannot_be_are_one_line():
    for chosen, message in (
        ({"begin": 1.5}, "begin: wanted a number from 0 to 1"),
        ({"begin": 0.5, "go_on": 0.6}, "go on"),
        ({"shortest": 3, "longest": 2}, "below shortest"),
        ({"gap": float("nan")}, "gap"),
    ):
        with pytest.raises(MeasureError, match=message):
            EventSettings(**chosen)
    with pytest.raises(MeasureError, match="an edge more than windows"):
        find_events("a", np.arange(2.0), np.zeros((2, 1)), ["a"], EventSettings())


@given(st.integers(1, 40), st.floats(0.1, 5), st.floats(0.05, 5))
@settings(max_examples=50, deadline=None)
def test_edges_are_one_more_than_windows_and_rise_from_the_first_start_to_the_last_end(count, window, hop):
    starts = min(hop, window) * np.arange(count)
    edges = window_edges(starts, starts + window)
    assert len(edges) == count + 1
    assert (edges[0], edges[-1]) == (starts[0], starts[-1] + window)
    assert (np.diff(edges) > 0).all()


@pytest.mark.parametrize(("hop", "heard"), [(1.0, True), (1.0004, True), (10.0, False)])
def test_time_that_no_window_hears_is_of_no_event(hop, heard):
    starts = hop * np.arange(3)
    if heard:  # a sample between them is none
        assert window_edges(starts, starts + 1.0).tolist() == pytest.approx([0, 1, 2, 3], abs=1e-2)
        return
    with pytest.raises(AudioError, match=r"got one that ends at 1 s before one that starts at 10 s; .* hop"):
        window_edges(starts, starts + 1.0)
    with pytest.raises(AudioError, match=r"a hop of at most the window.* got 10 s and 1 s"):
        check_covered(1.0, hop)


def test_windows_that_are_not_in_the_order_of_time_have_no_edges():
    for starts in ([4.0, 2.0, 0.0], [0.0, 0.0, 1.0], [0.0, np.nan, 1.0]):
        with pytest.raises(AudioError, match=r"wanted windows in the order of time, none twice, got "):
            window_edges(np.array(starts), np.array(starts) + 2.0)


EVENTS = [Event("day one.wav", 0.5, 2.0, "wren", 0.9), Event("day one.wav", 3.25, 4.0, "a\tb", 0.625)]


def test_a_csv_and_a_raven_table_are_read_back_as_manifests(tmp_path):
    soundfile.write(tmp_path / "day one.wav", np.zeros(80_000), 16_000)
    for format, name, label in (("csv", "events.csv", "label"), ("raven", "events.txt", "Annotation")):
        (tmp_path / name).write_text(written(EVENTS, format), encoding="utf-8")
        read = read_manifest(tmp_path / name)
        assert [(one.start, one.end) for one in read] == [(0.5, 2.0), (3.25, 4.0)]
        assert read.column(label)[0] == "wren"
        assert "Score" not in read.label_names  # a probability


def test_the_other_formats_hold_every_event():
    assert [one["score"] for one in json.loads(written(EVENTS, "json"))] == [0.9, 0.625]
    assert written(EVENTS, "audacity").splitlines()[0] == "0.500000\t2.000000\twren"
    assert written(EVENTS, "rttm").split()[:5] == ["SPEAKER", "day_one", "1", "0.500", "1.500"]
    for format in WRITERS:
        assert len(written(EVENTS, format).splitlines()) >= 2
        assert isinstance(written([], format), str)


@pytest.mark.parametrize(
    ("sources", "names"),
    [
        (["x/a.wav", "x/b c.wav"], ["a", "b_c"]),
        (["/two/x/a.wav", "/two/y/a.wav", "/two/y/b.wav"], ["x/a", "y/a", "y/b"]),
        (["two/a.wav", "two/a.flac"], ["a.wav", "a.flac"]),
        (["s3://birds/x/a.wav", "s3://birds/y/a.wav"], ["x/a", "y/a"]),
    ],
)
def test_rttm_names_recordings_so_that_they_differ(sources, names):
    found = [Event(source, 0.0, 1.0, "wren", 1.0) for source in sources]
    assert [line.split()[1] for line in written(found, "rttm").splitlines()] == names
    alone = written(found[1:2], "rttm", sources)  # the others have no events, but names
    assert alone.split()[1] == names[1]


def test_a_format_is_checked_before_events_are_known():
    for format in ("raven", "audacity"):
        with pytest.raises(MfclError, match="is for one recording, got 2; give one file, or write csv"):
            check_sources(format, ["a.wav", "b.wav"])
        check_sources(format, ["a.wav", "a.wav"])
    for format in ("csv", "json", "rttm"):
        check_sources(format, ["x/a.wav", "y/a.wav"])
    with pytest.raises(MfclError, match=r"rttm: 'a b.wav' and 'a_b.wav' have one name without spaces; rename one"):
        check_sources("rttm", ["a b.wav", "c.wav", "a_b.wav"])
    with pytest.raises(MfclError, match="no format of events is called 'cvs'"):
        check_sources("cvs", [])


def test_a_label_track_of_two_recordings_is_refused():
    for format in ("raven", "audacity"):
        with pytest.raises(MfclError, match="is for one recording, got 2"):
            written([*EVENTS, Event("b.wav", 0.0, 1.0, "a", 1.0)], format)
    with pytest.raises(MfclError, match="no format of events is called 'cvs'"):
        written(EVENTS, "cvs")
