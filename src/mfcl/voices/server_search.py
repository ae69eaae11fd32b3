"""Search on a PostgreSQL server that has the extension pgvector: the likeliest voices, without reading all clips."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32, Float64

from mfcl.embeddings.linalg import unit_rows
from mfcl.errors import GalleryError
from mfcl.voices.decisions import NEAREST
from mfcl.voices.postgres import PostgresDatabase
from mfcl.voices.scoring import WAYS, Way
from mfcl.voices.sound import Heard
from mfcl.voices.storage import Storage

TABLE = "mfcl_search"
"""One unit vector a clip, as pgvector has them; made from the clips' bytes, and dropped with them."""
ALL = 1000
"""Voices up to which all are read, once, and searched here."""
LIKELY = 200
"""Voices that are read for each clip of a larger gallery."""
FEW = 3
"""Clips up to which the server is asked; reading all voices once costs as much as three or four such questions, and
then they are in memory (measured: docs/voices.md)."""
AT_ONCE = 10_000
"""Clips that are brought over at once."""
FILLED = "searched"
"""Fact of a gallery: the number of changes up to which the table has all clips."""
MEMORY_MB = 64
"""What the server may take for the sums of a query; it goes by way of the disk where they need more."""
SCORES: dict[Way, str] = {
    "mean": "1 - ({avg}(s.unit) OPERATOR({schema}.<=>) ?)",
    "best": "max(1 - (s.unit OPERATOR({schema}.<=>) ?))",
    "average": "avg(1 - (s.unit OPERATOR({schema}.<=>) ?))",
    "both": "(1 - ({avg}(s.unit) OPERATOR({schema}.<=>) ?) + max(1 - (s.unit OPERATOR({schema}.<=>) ?))) / 2",
}
"""The cosine of a clip with a voice, as `raw_scores` has it."""


class ServerSearch:
    """Finds the voices with the highest cosines; the search is exact, so no index is needed.

    Args:
        database: A server that has the extension.
        schema: The schema that the extension is in.
        dim: Size of a vector.
    """

    def __init__(self, database: PostgresDatabase, schema: str, dim: int) -> None:
        self._database, self._dim = database, dim
        self._schema = '"' + schema.replace('"', '""') + '"'

    def bring_over(self) -> None:
        """Make the table and add the clips that another program has enrolled without it.

        The number of changes up to which it was filled is kept, as looking for clips that are missing reads both
        tables, and mostly there are none.
        """
        known = TABLE in self._database.tables()
        if known and self._fact(FILLED) == self._fact("changes"):
            return
        if not known:
            with self._database.transaction():
                self._database.rows(
                    f"CREATE TABLE IF NOT EXISTS {TABLE} (clip BIGINT PRIMARY KEY REFERENCES mfcl_clips(id) "
                    f"ON DELETE CASCADE, unit {self._schema}.vector({self._dim}) NOT NULL)"
                )
        while self._bring_some():
            pass

    def _bring_some(self) -> bool:
        """Add up to `AT_ONCE` clips while no other program writes; return whether any were missing."""
        with self._database.transaction():
            self._settings()
            found = self._database.rows(
                f"SELECT c.id, c.vector FROM mfcl_clips c LEFT JOIN {TABLE} s ON s.clip = c.id WHERE s.clip IS NULL "  # noqa: S608
                f"ORDER BY c.id LIMIT {AT_ONCE}"
            )
            if found:
                units = unit_rows(np.frombuffer(b"".join(row[1] for row in found), "<f4").reshape(len(found), -1))
                rows = ((int(row[0]), sent) for row, sent in zip(found, _binary(units), strict=True))
                self._database.copy(f"COPY {TABLE} (clip, unit) FROM STDIN BINARY", ("int8", "bytea"), rows)
            else:
                self._database.rows(
                    "INSERT INTO mfcl_about SELECT ?, value FROM mfcl_about WHERE name = 'changes' "
                    "ON CONFLICT (name) DO UPDATE SET value = EXCLUDED.value",
                    (FILLED,),
                )
        return bool(found)

    def likeliest(self, queries: Float32[np.ndarray, "clips dim"], way: Way, count: int) -> list[str]:
        """Return the names of the voices with the highest cosines with any of the clips, in no order.

        Args:
            queries: Vectors of any length.
            way: See `raw_scores`.
            count: Voices for each clip.
        """
        score = SCORES[way].format(schema=self._schema, avg=f"{self._schema}.avg")
        score = score.replace("?", f"CAST(? AS {self._schema}.vector)")
        return self._names(
            f"SELECT v.name FROM {TABLE} s JOIN mfcl_clips c ON c.id = s.clip JOIN mfcl_voices v "  # noqa: S608
            f"ON v.id = c.voice GROUP BY v.id, v.name ORDER BY {score} DESC, v.name LIMIT ?",
            queries,
            count,
        )

    def nearest(self, queries: Float32[np.ndarray, "clips dim"], count: int) -> list[str]:
        """Return the names of the voices that the `count` enrolled clips nearest to each of the clips are of."""
        return self._names(
            f"SELECT DISTINCT v.name FROM (SELECT clip FROM {TABLE} ORDER BY unit OPERATOR({self._schema}.<=>) "  # noqa: S608
            f"CAST(? AS {self._schema}.vector), clip LIMIT ?) s JOIN mfcl_clips c ON c.id = s.clip "
            "JOIN mfcl_voices v ON v.id = c.voice",
            queries,
            count,
        )

    def _names(self, statement: str, queries: Float32[np.ndarray, "clips dim"], count: int) -> list[str]:
        """Return all names that a statement gives for the clips; its last value is the count, the others a clip."""
        found: set[str] = set()
        for query in unit_rows(queries, np.float32):
            with self._database.transaction(write=False):
                self._settings()
                values = (*[_text(query)] * (statement.count("?") - 1), count)
                found.update(str(name) for (name,) in self._database.rows(statement, values))
        return sorted(found)

    def _settings(self) -> None:
        """Let this transaction work in memory and alone: helpers hand over sums of vectors by way of the disk."""
        self._database.rows("SET LOCAL max_parallel_workers_per_gather = 0")
        self._database.rows(f"SET LOCAL work_mem = '{MEMORY_MB}MB'")

    def _fact(self, name: str) -> str | None:
        rows = self._database.rows("SELECT value FROM mfcl_about WHERE name = ?", (name,))
        return str(rows[0][0]) if rows else None


def likely_voices(storage: Storage, heard: Heard, names: Sequence[str]) -> list[str] | None:
    """Return the voices that can be the answer for some clips, or are named; None: take all.

    On a server with pgvector only the likeliest voices of a large gallery are read. Their scores are those that they
    have among all; a voice whose cosine with a clip is not among the highest `LIKELY` is taken not to be the best.
    Without a calibration the threshold follows from all voices, so all are taken.
    """
    if not isinstance(storage.database, PostgresDatabase) or storage.size() <= ALL or storage.calibration() is None:
        return None
    about = storage.about()
    way = next((one for one in WAYS if one == about.get("score")), None)
    search = server_search(storage.database, int(about["dim"]))
    if search is None or way is None or heard.vectors.shape[1] != int(about["dim"]):
        return None
    try:
        search.bring_over()
    except GalleryError:  # an account that may only read cannot fill the table: it reads all voices
        return None
    nearest = search.nearest(heard.vectors, NEAREST)  # they are named in the answer, whosever they are
    return sorted({*search.likeliest(heard.vectors, way, LIKELY), *nearest, *names})


def server_search(database: PostgresDatabase, dim: int) -> ServerSearch | None:
    """Return the search of a gallery's server; None where it has no pgvector, or the account may not use it."""
    schema = _schema(database)
    if schema is None:
        if not database.rows("SELECT 1 FROM pg_available_extensions WHERE name = 'vector'"):
            return None
        try:
            database.rows("CREATE EXTENSION IF NOT EXISTS vector")
        except GalleryError:  # only some accounts may
            return None
        schema = _schema(database)
    return None if schema is None else ServerSearch(database, schema, dim)


def _schema(database: PostgresDatabase) -> str | None:
    rows = database.rows(
        "SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'vector'"
    )
    return str(rows[0][0]) if rows else None


def _binary(units: Float64[np.ndarray, "clips dim"]) -> list[bytes]:
    """Return vectors as pgvector sends and takes them: the size, two bytes of nothing, float32, highest byte first."""
    head = np.array([units.shape[1], 0], dtype=">u2").tobytes()
    return [head + unit.tobytes() for unit in units.astype(">f4")]


def _text(vector: Float32[np.ndarray, " dim"]) -> str:
    return f"[{','.join(map(repr, vector.tolist()))}]"
