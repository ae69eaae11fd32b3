"""Search in a gallery on PostgreSQL: by pgvector, and by reading all voices."""

import time
import zlib
from collections.abc import Callable
from typing import Any
from unittest import mock

import numpy as np

from benchmarks.postgres_server import NoServerError, Server, processor_seconds, running
from mfcl.embeddings.linalg import unit_rows
from mfcl.voices import Calibration, Gallery, Heard, Identification, memory, server_search
from mfcl.voices.calibration import Level
from mfcl.voices.postgres import PostgresDatabase
from mfcl.voices.scoring import raw_scores
from mfcl.voices.snapshot import Snapshot, read_snapshot

SIZES = (1_500, 10_000, 100_000)
"""Clips."""
AT_ONCE = 10_000
"""Clips that are written at once; a multiple of the clips of a voice."""
ANSWERS = 20
"""Questions whose answers are compared: half of enrolled voices, half of strangers."""
NOISE = 1.5
"""Deviation of a clip's values around its voice's, which deviate by 1 from each other's: cosines of 0.3 within."""
LEVELS = (Level(1, 3.0, None, None, 0.01, None, None, 0.1, None, None),
          Level(1000, 5.0, None, None, 0.01, None, None, 0.1, None, None))  # fmt: skip


def on_server(
    listener: Any, cohort: np.ndarray, draw: np.random.Generator, *, clips: int, rounds: int, tiny: bool
) -> dict[str, Any] | str:
    """Return seconds of one question for each size and way, by the processors and the clock; or why there are none."""
    try:
        with running(vectors=True) as server:
            sizes = (50, 100) if tiny else SIZES
            found = {str(size): _measured(server, size, listener, cohort, draw, clips, rounds) for size in sizes}
            return {"about": _about(server), "sizes": found}
    except NoServerError as error:
        return f"not measured: {error}"


def server_rows(found: dict[str, Any] | str) -> list[tuple[str, str]]:
    """Return the lines of the table."""
    if isinstance(found, str):
        return [("a question to a gallery on PostgreSQL", found)]
    lines = []
    for size, own in found["sizes"].items():
        for way, seconds in own["seconds"].items():
            text = ", ".join(f"{name} {1000 * value:.1f}" for name, value in seconds.items())
            lines.append((f"a question among {int(size):,} clips on PostgreSQL, {way}: milliseconds", text))
        lines.append((f"equal answers, {int(size):,} clips", f"{own['equal_answers']} of {own['answers']}"))
        lines.append(("lowest place of a best or second voice by its cosine alone", f"{own['lowest_place_by_cosine']}"))
    return [*lines, ("PostgreSQL, pgvector", ", ".join(found["about"].values()))]


def _measured(
    server: Server, size: int, listener: Any, cohort: np.ndarray, draw: np.random.Generator, clips: int, rounds: int
) -> dict[str, Any]:
    """Return the seconds of each way, in turn, and how many answers are equal."""
    address = _in_schema(server, f"clips_{size}")
    questions = _fill(address, size, listener, cohort, draw, clips)
    one = questions.select(np.array([0]))

    def asked(heard: Heard, *, least: float, few: float) -> list[Identification]:
        with (
            mock.patch.object(server_search, "ALL", least),
            mock.patch.object(memory, "FEW", few),
            Gallery.open(address, model=listener) as opened,
        ):
            return opened.identify(heard)

    def by_server(heard: Heard = one) -> list[Identification]:
        return asked(heard, least=0, few=np.inf)

    def by_all(heard: Heard = one) -> list[Identification]:
        return asked(heard, least=np.inf, few=0)

    seconds = {"pgvector, the first ever": _seconds(server, by_server, 1)}
    with Gallery.open(address, model=listener) as held:
        held.storage.database.rows("ANALYZE")  # as a server does by itself within a minute
        held.identify(questions)  # now all voices are in memory
        place = _lowest_place(read_snapshot(held.storage), questions)
        works: dict[str, tuple[Callable[[], Any], int]] = {
            "pgvector": (by_server, max(1, 50_000 // size)),
            "all read": (by_all, max(1, 50_000 // size)),
            "all in memory": (lambda: held.identify(one), max(1, 1_000_000 // size)),
        }
        if size <= 100:  # tiny
            works = {name: (work, 30) for name, (work, _) in works.items()}
        rows: dict[str, list[dict[str, float]]] = {name: [] for name in works}
        for _ in range(rounds):
            for name, (work, repeats) in works.items():
                rows[name].append(_seconds(server, work, repeats))
    # means, not medians: the server's time comes in steps of 0.01 s
    for name, own in rows.items():
        means = {key: float(np.mean([row[key] for row in own])) for key in own[0]}
        seconds[name] = {key: value for key, value in means.items() if value > 0}  # 0 is less than such a step
    alone = [by_server(questions.select(np.array([place])))[0] for place in range(len(questions))]
    equal = sum(_equal(first, second) for first, second in zip(alone, by_all(questions), strict=True))
    return {"seconds": seconds, "equal_answers": equal, "answers": len(questions), "lowest_place_by_cosine": place}


def _lowest_place(now: Snapshot, questions: Heard) -> int:
    """Return the lowest place, counted from 1, that a best or second voice by score has by its cosine alone."""
    cosines = raw_scores(unit_rows(questions.vectors, np.float32), now.profiles, way=now.scorer.way)
    chosen = np.argsort(-now.scores(questions), axis=1)[:, :2]
    own = np.take_along_axis(cosines, chosen, axis=1)
    return int(1 + (cosines[:, None, :] > own[:, :, None]).sum(axis=2).max())


def _seconds(server: Server, work: Callable[[], Any], repeats: int) -> dict[str, float]:
    """Return the seconds of one piece of work: processor time of both sides, and by the clock."""
    theirs, own, clock = processor_seconds(server), time.process_time(), time.perf_counter()
    for _ in range(repeats):
        work()
    found = {"client": time.process_time() - own, "clock": time.perf_counter() - clock}
    after = processor_seconds(server)
    if theirs is not None and after is not None:
        found["server"] = after - theirs
    return {name: value / repeats for name, value in found.items()}


def _equal(one: Identification, other: Identification) -> bool:
    """Whether two answers are the same; sums in another order differ in the last digits."""
    same = [
        (own.name, own.reason, own.best, own.second, tuple(near.source for near in own.near)) for own in (one, other)
    ]
    margins = np.array([one.margin, other.margin], dtype=np.float64)
    return same[0] == same[1] and bool(
        np.allclose([one.score, margins[0]], [other.score, margins[1]], rtol=1e-4, atol=1e-3)
    )


def _in_schema(server: Server, name: str) -> str:
    database = PostgresDatabase(server.address)
    try:
        database.rows(f"CREATE SCHEMA {name}")
        database.rows("CREATE EXTENSION IF NOT EXISTS vector SCHEMA public")
    finally:
        database.close()
    return f"{server.address}?options=-csearch_path%3D{name}"


def _fill(address: str, size: int, listener: Any, cohort: np.ndarray, draw: np.random.Generator, clips: int) -> Heard:
    """Make a calibrated gallery, block by block, and return clips to ask about."""
    count = len(cohort)
    strangers = Heard(cohort, np.ones(count), np.full(count, -25.0), ("other.wav",) * count)
    kept = []
    with Gallery.create(address, listener, cohort=strangers) as made:
        database, setting = made.storage.database, read_snapshot(made.storage).setting
        with database.transaction():
            database.rows(
                "INSERT INTO mfcl_voices (name, consent, note, added) "
                "SELECT 'voice ' || n, '', '', '' FROM generate_series(0, CAST(? AS BIGINT) - 1) n",
                (size // clips,),
            )
            for first in range(0, size, AT_ONCE):
                voices = min(AT_ONCE, size - first) // clips
                own = draw.standard_normal((voices, 1, listener.dim), dtype=np.float32)
                noise = draw.standard_normal((voices, clips, listener.dim), dtype=np.float32)
                rows = [one.tobytes() for one in (own + NOISE * noise).reshape(-1, listener.dim).astype("<f4")]
                names = [f"voice {first // clips + place // clips}" for place in range(len(rows))]
                database.rows(
                    "INSERT INTO mfcl_clips (voice, source, added, seconds, level, vector, checksum) "
                    "SELECT v.id, v.name || '-' || t.place || '.wav', '', 1, -25, t.vector, t.checksum "
                    "FROM unnest(CAST(? AS TEXT[]), CAST(? AS BYTEA[]), CAST(? AS BIGINT[])) "
                    "WITH ORDINALITY t(name, vector, checksum, place) JOIN mfcl_voices v ON v.name = t.name "
                    "ORDER BY t.place",
                    (names, rows, [zlib.crc32(row) for row in rows]),
                )
                kept.append(own[: ANSWERS // 2, 0])
        content = Calibration(0.01, 0.01, (0.0, 1.0), 10, 100, clips, 0, LEVELS, setting).to_json()
        made.storage.calibrate(content)
    known = np.concatenate(kept)[-(ANSWERS // 2) :]
    people = np.concatenate([known, draw.standard_normal((ANSWERS - len(known), listener.dim), dtype=np.float32)])
    vectors = people + NOISE * draw.standard_normal(people.shape, dtype=np.float32)
    return Heard(vectors, np.ones(ANSWERS), np.full(ANSWERS, -25.0), ("question.wav",) * ANSWERS)


def _about(server: Server) -> dict[str, str]:
    database = PostgresDatabase(server.address)
    try:
        (postgres,), (pgvector,) = (
            database.rows("SHOW server_version")[0],
            database.rows("SELECT extversion FROM pg_extension WHERE extname = 'vector'")[0],
        )
        return {"postgresql": str(postgres), "pgvector": str(pgvector)}
    finally:
        database.close()
