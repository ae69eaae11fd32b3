"""Voices: search in galleries of 1,000 to 1,000,000 clips, in memory and on PostgreSQL, and enrolments a second."""

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.timing import in_turn
from benchmarks.voices_server import on_server, server_rows
from mfcl.voices import Gallery, Heard
from mfcl.voices.scoring import TOP, Profiles, Scorer, raw_scores

DIM = 256
CLIPS = 5
"""Clips of each voice."""
QUERIES = 10


class Silent:
    """A listener without a model."""

    digest, folder, part, dim = "a" * 64, "none", "", DIM

    def hear(self, manifest: Any, left_out: Any) -> Any: ...
    def windows(self, manifest: Any, left_out: Any, *, window: Any, hop: Any) -> Any: ...
    def arrays(self, sounds: Any, sample_rate: Any) -> Any: ...


def measure(*, rounds: int = 3, tiny: bool = False) -> dict[str, Any]:
    """Return the processor seconds of one query at each gallery size and way, and enrolments a second by the clock."""
    sizes = (100, 1_000) if tiny else (1_000, 100_000, 1_000_000)
    draw = np.random.default_rng(0)
    cohort = _unit(draw.standard_normal((300, DIM), dtype=np.float32))
    queries = _unit(draw.standard_normal((QUERIES, DIM), dtype=np.float32))
    seconds: dict[str, dict[str, float]] = {}
    for size in sizes:
        voices = size // CLIPS
        vectors = draw.standard_normal((size, DIM), dtype=np.float32)
        profiles = Profiles.of(tuple(map(str, range(voices))), np.repeat(np.arange(voices), CLIPS), vectors)
        del vectors
        normalised = Scorer(profiles, cohort, top=TOP)
        normalised(queries[:1])  # what is computed once for a gallery
        works = {
            "mean": lambda held=profiles: raw_scores(queries, held, way="mean"),
            "best": lambda held=profiles: raw_scores(queries, held, way="best"),
            "mean, normalised": lambda scorer=normalised: scorer(queries),
        }
        found = in_turn(works, rounds=rounds, clock=time.process_time)
        seconds[str(size)] = {name: value / QUERIES for name, value in found.items()}
    with tempfile.TemporaryDirectory() as folder:
        return {
            "seconds_a_query": seconds, "dim": DIM, "clips_a_voice": CLIPS,
            "enrolments_a_second": _enrolments(Path(folder), draw, cohort, 20 if tiny else 300),
            "on_server": on_server(Silent(), cohort, draw, clips=CLIPS, rounds=rounds, tiny=tiny),
        }  # fmt: skip


def _enrolments(folder: Path, draw: np.random.Generator, cohort: np.ndarray, count: int) -> dict[str, float]:
    """Return enrolments of five clips a second, each written to disk: with its warnings, and the rows alone."""

    def heard() -> Heard:
        vectors = draw.standard_normal((CLIPS, DIM), dtype=np.float32)
        return Heard(vectors, np.ones(CLIPS), np.full(CLIPS, -25.0), ("clip.wav",) * CLIPS)

    strangers = Heard(cohort, np.ones(len(cohort)), np.full(len(cohort), -25.0), ("other.wav",) * len(cohort))
    with Gallery.create(folder / "bench.db", Silent(), cohort=strangers) as gallery:
        from mfcl.voices.enrolment import clips_of

        start = time.perf_counter()
        for number in range(count):
            gallery.storage.enrol(f"row {number}", clips_of(heard(), keep_audio=False))
        rows = count / (time.perf_counter() - start)
        start = time.perf_counter()
        for number in range(count // 5):
            gallery.enrol(f"voice {number}", heard())
        return {"rows alone": rows, f"with warnings, beside {count} voices": count // 5 / (time.perf_counter() - start)}


def rows(found: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the lines of the table."""
    lines = [
        (
            f"a query among {int(size):,} clips x {found['dim']}, {way}: milliseconds of the processor",
            f"{1000 * seconds:.2f}",
        )
        for size, ways in found["seconds_a_query"].items()
        for way, seconds in ways.items()
    ]
    lines += [(f"enrolments a second, {n}", f"{v:.1f}") for n, v in found["enrolments_a_second"].items()]
    return [*lines, *server_rows(found["on_server"])]


def _unit(vectors: np.ndarray) -> np.ndarray:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
