"""The soundscapes of the benchmark `events` hold the calls that they say, and events are counted as is said."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import soundfile

from benchmarks.events import CALLS, RATE, Call, matched, write_soundscape


def test_calls_lie_where_they_are_said_to_at_the_ratio_that_is_said(tmp_path: Path) -> None:
    calls = write_soundscape(tmp_path / "a.wav", 30, ratio_db=10, seed=3)
    samples, rate = soundfile.read(tmp_path / "a.wav")
    assert rate == RATE
    assert len(samples) == 30 * RATE
    assert len(calls) > 5
    assert {call.name for call in calls} <= set(CALLS)
    assert all(one.end < two.start for one, two in itertools.pairwise(calls))
    for call in calls:
        first, last = (round(time * RATE) for time in (call.start, call.end))
        piece = 10 * RATE * (first // (10 * RATE))
        quiet = np.ones(10 * RATE, dtype=bool)
        for other in calls:
            a, b = (round(time * RATE) - piece for time in (other.start, other.end))
            quiet[max(a, 0) : max(b, 0)] = False
        noise = np.mean(samples[piece : piece + 10 * RATE][quiet] ** 2)
        assert 10 * np.log10(np.mean(samples[first:last] ** 2) / noise - 1) == pytest.approx(10, abs=0.5)


def test_an_event_is_right_if_it_overlaps_a_call_of_its_class_that_no_other_took() -> None:
    true = [Call("rise", 1.0, 1.5), Call("fall", 3.0, 3.2), Call("rise", 5.0, 5.5)]
    found = [
        Call("rise", 0.8, 1.1), Call("rise", 1.2, 1.6), Call("rise", 3.0, 3.2), Call("fall", 3.1, 4.0),
        Call("rise", 5.5, 6.0),
    ]  # fmt: skip
    assert matched(found, true) == {"precision": 2 / 5, "recall": 2 / 3, "found": 5, "true": 3}
    assert matched([], true) == {"precision": 0, "recall": 0, "found": 0, "true": 3}
