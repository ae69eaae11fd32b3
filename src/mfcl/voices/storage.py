"""Voices, their clips and the cohort in a database, with a version of the schema and its migrations."""

import contextlib
import json
import time
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64

import mfcl
from mfcl.embeddings.linalg import unit_rows
from mfcl.errors import GalleryError, check_type, one_of, shown
from mfcl.voices import schema
from mfcl.voices.agreement import SAME
from mfcl.voices.database import Database, Row
from mfcl.voices.naming import check_name, normal
from mfcl.voices.places import connect


@dataclass(frozen=True)
class Voice:
    """An enrolled voice, without its embeddings."""

    id: int
    name: str
    consent: str
    """Date of the person's consent, "" if none was given."""
    note: str
    added: str
    clips: int
    seconds: float
    """Seconds of sound in all clips."""


@dataclass(frozen=True, eq=False)
class Clip:
    """One enrolled clip."""

    source: str
    """File name or description of where it came from."""
    seconds: float
    """Seconds of sound, pauses left out."""
    level: float
    """Level in dB relative to full scale."""
    vector: Float32[np.ndarray, " dim"]
    audio: bytes | None = None
    """The file's bytes, only if they were to be kept."""


class Storage:
    """The rows of a gallery. Every change is one transaction.

    Args:
        database: An open connection.

    Raises:
        GalleryError: it holds no gallery, or one of a newer version.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        self.name = database.name
        found = database.tables()
        if "mfcl_about" not in found:
            what = "an empty database" if not found else f"tables {shown(sorted(found))}"
            raise GalleryError(f"{self.name}: wanted a gallery, found {what}; make one with `mfcl voices create`")
        schema.migrate(database)

    @classmethod
    def create(cls, place: str | Path, about: dict[str, str], cohort: Float32[np.ndarray, "items dim"]) -> "Storage":
        """Make a gallery with its facts and its cohort, all in one transaction.

        Raises:
            GalleryError: there is one already, or the place cannot be written.
        """
        database = connect(place, new=True)
        try:
            with database.transaction():
                if database.tables():
                    raise GalleryError(f"{database.name}: there is a gallery or a database already; give a new path")
                schema.make(database)
                facts = {**about, "schema": str(schema.VERSION), "written_by": mfcl.__version__, "changes": "0"}
                database.many("INSERT INTO mfcl_about VALUES (?, ?)", facts.items())
                rows = [(vector.tobytes(), zlib.crc32(vector.tobytes())) for vector in cohort.astype("<f4")]
                database.many("INSERT INTO mfcl_cohort (vector, checksum) VALUES (?, ?)", rows)
            return cls(database)
        except BaseException:
            database.close()
            raise

    @classmethod
    def open(cls, place: str | Path) -> "Storage":
        """Open a gallery; one of an older version is brought to this one."""
        database = connect(place)
        try:
            return cls(database)
        except BaseException:
            database.close()
            raise

    def about(self) -> dict[str, str]:
        """Return the facts of the gallery: model, sizes, version."""
        return {str(name): str(value) for name, value in self.database.rows("SELECT name, value FROM mfcl_about")}

    def changes(self) -> int:
        """Return a number that every change raises."""
        return int(self.database.rows("SELECT value FROM mfcl_about WHERE name = 'changes'")[0][0])

    def voices(self) -> list[Voice]:
        """Return all voices by name."""
        rows = self.database.rows(
            "SELECT v.id, v.name, v.consent, v.note, v.added, count(c.id), coalesce(sum(c.seconds), 0) "
            "FROM mfcl_voices v LEFT JOIN mfcl_clips c ON c.voice = v.id "
            "GROUP BY v.id, v.name, v.consent, v.note, v.added ORDER BY v.name"
        )
        return [
            Voice(int(key), str(name), str(consent), str(note), str(added), int(clips), round(float(seconds), 6))
            for key, name, consent, note, added, clips, seconds in rows
        ]

    def find(self, name: str) -> Voice:
        """Return one voice.

        Raises:
            GalleryError: there is no voice of that name.
        """
        known = {voice.name: voice for voice in self.voices()}
        name = self.spelled(name)
        if name not in known:
            hint = one_of("voice", name, list(known)) if 0 < len(known) <= 20 else f"no voice is called {name!r}"
            raise GalleryError(f"{self.name}: {hint}")
        return known[name]

    def spelled(self, name: str) -> str:
        """Return a name as the gallery spells it: that of a voice that looks the same, or its composed form."""
        check_type("voice", name, str, "a name", error=GalleryError)
        if self._key(name) is not None:
            return name
        if not name.isascii():  # a voice may have come here before names were composed
            for (other,) in self.database.rows("SELECT name FROM mfcl_voices"):
                if normal(str(other)) == normal(name):
                    return str(other)
        return normal(name)

    def _key(self, name: str) -> int | None:
        rows = self.database.rows("SELECT id FROM mfcl_voices WHERE name = ?", (name,))
        return int(rows[0][0]) if rows else None

    def clips(self, name: str) -> list[Clip]:
        """Return the clips of a voice in the order of enrolment."""
        key = self._key(name)
        rows = self.database.rows(
            "SELECT source, seconds, level, vector, checksum, audio FROM mfcl_clips WHERE voice = ? ORDER BY id",
            (self.find(name).id if key is None else key,),  # `find` counts all voices' clips
        )
        vectors = self._vectors([row[3:5] for row in rows])
        return [
            Clip(str(row[0]), float(row[1]), float(row[2]), vector, None if row[5] is None else bytes(row[5]))
            for row, vector in zip(rows, vectors, strict=True)
        ]

    def profiles(
        self, only: Sequence[str] | None = None
    ) -> tuple[list[str], Int64[np.ndarray, " clips"], Float32[np.ndarray, "clips dim"], list[str]]:
        """Return the names of voices with clips, and each clip's voice (index), vector and source, voice by voice.

        Args:
            only: Names of the voices to return; default: all.
        """
        wanted = "" if only is None else f"WHERE v.name IN ({', '.join('?' * len(only)) or 'NULL'}) "
        rows = self.database.rows(
            "SELECT v.name, c.vector, c.checksum, c.source FROM mfcl_clips c JOIN mfcl_voices v ON v.id = c.voice "  # noqa: S608
            f"{wanted}ORDER BY v.name, c.id",
            only or (),
        )
        names = sorted({str(row[0]) for row in rows})
        places = {name: place for place, name in enumerate(names)}
        owners = np.array([places[str(row[0])] for row in rows], dtype=np.int64)
        order = np.argsort(owners, kind="stable")  # a database may sort names by another alphabet
        vectors = self._vectors([row[1:3] for row in rows])
        return names, owners[order], vectors[order], [str(rows[place][3]) for place in order.tolist()]

    def size(self) -> int:
        """Return the number of voices with clips."""
        return int(self.database.rows("SELECT count(DISTINCT voice) FROM mfcl_clips")[0][0])

    def cohort(self) -> Float32[np.ndarray, "items dim"]:
        """Return the cohort's vectors."""
        return self._vectors(self.database.rows("SELECT vector, checksum FROM mfcl_cohort ORDER BY id"))

    def enrol(self, name: str, clips: Sequence[Clip], *, consent: str = "", note: str = "") -> list[bool]:
        """Add clips to a voice, which is made if it is new; all of them or none. Return whether each was new.

        A clip that the voice has by now stays out: another process may have added it since a caller looked.

        Raises:
            GalleryError: the name cannot be used, or the gallery cannot be written.
        """
        check_name(name)
        now = _now()
        with self._changing():
            name = self.spelled(name)
            self.database.rows(
                "INSERT INTO mfcl_voices (name, consent, note, added) VALUES (?, '', '', ?) "
                "ON CONFLICT (name) DO NOTHING",
                (name, now),
            )
            key = self._key(name)
            self._note(key, consent=consent, note=note)
            there = unit_rows(self.profiles([name])[2], np.float64)
            new = [not (there @ unit_rows(clip.vector[None], np.float64)[0] > SAME).any() for clip in clips]
            self.database.many(
                "INSERT INTO mfcl_clips (voice, source, added, seconds, level, vector, checksum, audio) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (key, clip.source, now, clip.seconds, clip.level, *_packed(clip.vector), clip.audio)
                    for clip, is_new in zip(clips, new, strict=True)
                    if is_new
                ],
            )
        return new

    def _note(self, key: int | None, *, consent: str, note: str) -> None:
        """Write the date of consent and the note of a voice, inside the caller's transaction; "" changes nothing."""
        for column, value in (("consent", consent), ("note", note)):
            if value:
                self.database.rows(f"UPDATE mfcl_voices SET {column} = ? WHERE id = ?", (value, key))  # noqa: S608

    def remove(self, name: str) -> str:
        """Remove a voice and all its clips for good; return what is still to be said about it, or ""."""
        with self._changing():
            self.database.rows("DELETE FROM mfcl_voices WHERE id = ?", (self.find(name).id,))
        return self.database.forget()

    def rename(self, name: str, new: str) -> None:
        """Give a voice another name.

        Raises:
            GalleryError: another voice has that name.
        """
        check_name(new)
        new = normal(new)
        with self._changing():
            key = self.find(name).id
            if any(normal(voice.name) == new and voice.id != key for voice in self.voices()):
                raise GalleryError(f"{self.name}: there is a voice {new!r} already; merge them, or choose another name")
            self.database.rows("UPDATE mfcl_voices SET name = ? WHERE id = ?", (new, key))

    def merge(self, name: str, other: str) -> None:
        """Move the clips of `other` to `name` and remove the voice `other`.

        The date of consent and the note of `name` stay; where there are none, those of `other` are taken.
        """
        with self._changing():
            kept, gone = self.find(name), self.find(other)
            if kept.id == gone.id:
                raise GalleryError(f"{self.name}: {name!r} is one voice; give two")
            self._note(kept.id, consent=kept.consent or gone.consent, note=kept.note or gone.note)
            self.database.rows("UPDATE mfcl_clips SET voice = ? WHERE voice = ?", (kept.id, gone.id))
            self.database.rows("DELETE FROM mfcl_voices WHERE id = ?", (gone.id,))

    def calibration(self) -> dict[str, Any] | None:
        """Return the latest calibration, None if there is none."""
        rows = self.database.rows("SELECT content FROM mfcl_calibrations ORDER BY id DESC LIMIT 1")
        try:
            return dict(json.loads(rows[0][0])) if rows else None
        except (ValueError, TypeError) as error:
            raise GalleryError(f"{self.name}: the calibration cannot be read; calibrate again") from error

    def calibrate(self, content: dict[str, Any]) -> None:
        """Keep a calibration, in place of an earlier one."""
        with self._changing():
            self.database.rows("DELETE FROM mfcl_calibrations")
            self.database.rows(
                "INSERT INTO mfcl_calibrations (added, content) VALUES (?, ?)",
                (_now(), json.dumps(content, allow_nan=False)),
            )

    def close(self) -> None:
        """Close the connection."""
        self.database.close()

    @contextlib.contextmanager
    def _changing(self) -> Iterator[None]:
        """Do everything in the block in one transaction that raises the number of changes."""
        with self.database.transaction():
            self.database.rows(
                "UPDATE mfcl_about SET value = CAST(CAST(value AS INTEGER) + 1 AS TEXT) WHERE name = 'changes'"
            )
            yield

    def _vectors(self, rows: Sequence[Row]) -> Float32[np.ndarray, "items dim"]:
        """Return vectors from their bytes.

        Raises:
            GalleryError: bytes are not those that were written.
        """
        dim = int(self.about()["dim"])
        found = np.empty((len(rows), dim), dtype=np.float32)
        for place, (content, checksum) in enumerate(rows):
            if len(content) != 4 * dim or zlib.crc32(content) != checksum:
                raise GalleryError(f"{self.name}: an embedding has not the bytes that were written; {schema.DAMAGED}")
            found[place] = np.frombuffer(content, dtype="<f4")
        return found


def _packed(vector: Float32[np.ndarray, " dim"]) -> tuple[bytes, int]:
    content = vector.astype("<f4").tobytes()
    return content, zlib.crc32(content)


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
