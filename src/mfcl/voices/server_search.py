"""Search on a PostgreSQL server that has the extension pgvector: the likeliest voices, without reading all clips."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32

from mfcl.errors import GalleryError
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
AT_ONCE = 1000
"""Clips that are brought over at once."""
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
        """Make the table and add the clips that another program has enrolled without it."""
        if TABLE not in self._database.tables():
            with self._database.transaction():
                self._database.rows(
                    f"CREATE TABLE IF NOT EXISTS {TABLE} (clip BIGINT PRIMARY KEY REFERENCES mfcl_clips(id) "
                    f"ON DELETE CASCADE, unit {self._schema}.vector({self._dim}) NOT NULL)"
                )
        while True:
            found = self._database.rows(
                f"SELECT c.id, c.vector FROM mfcl_clips c LEFT JOIN {TABLE} s ON s.clip = c.id WHERE s.clip IS NULL "  # noqa: S608
                f"ORDER BY c.id LIMIT {AT_ONCE}"
            )
            if not found:
                return
            rows = [(int(clip), _text(_unit(np.frombuffer(content, "<f4")))) for clip, content in found]
            with self._database.transaction():
                self._database.many(
                    f"INSERT INTO {TABLE} SELECT id, CAST(? AS {self._schema}.vector) FROM mfcl_clips WHERE id = ? "  # noqa: S608
                    "ON CONFLICT (clip) DO NOTHING",
                    [(unit, clip) for clip, unit in rows],
                )

    def likeliest(self, queries: Float32[np.ndarray, "clips dim"], way: Way, count: int) -> list[str]:
        """Return the names of the voices with the highest cosines with any of the clips, in no order.

        Args:
            queries: Vectors of any length.
            way: See `raw_scores`.
            count: Voices for each clip.
        """
        score = SCORES[way].format(schema=self._schema, avg=f"{self._schema}.avg")
        score = score.replace("?", f"CAST(? AS {self._schema}.vector)")
        found: set[str] = set()
        for query in queries:
            text = _text(_unit(query))
            rows = self._database.rows(
                f"SELECT v.name FROM {TABLE} s JOIN mfcl_clips c ON c.id = s.clip JOIN mfcl_voices v "  # noqa: S608
                f"ON v.id = c.voice GROUP BY v.id, v.name ORDER BY {score} DESC, v.name LIMIT ?",
                (*[text] * score.count("?"), count),
            )
            found.update(str(name) for (name,) in rows)
        return sorted(found)


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
    search.bring_over()
    return sorted({*search.likeliest(heard.vectors, way, LIKELY), *names})


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


def _unit(vector: Float32[np.ndarray, " dim"]) -> Float32[np.ndarray, " dim"]:
    length = float(np.linalg.norm(vector.astype(np.float64)))
    return (vector / max(length, 1e-12)).astype(np.float32)


def _text(vector: Float32[np.ndarray, " dim"]) -> str:
    return f"[{','.join(map(repr, vector.tolist()))}]"
