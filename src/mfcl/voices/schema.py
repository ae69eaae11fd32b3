"""Tables of a gallery, the version of their schema, and the steps from each version to the next."""

import mfcl
from mfcl.errors import GalleryError, shown
from mfcl.voices.database import Database

MIGRATIONS = (
    (
        "CREATE TABLE mfcl_about (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
        "CREATE TABLE mfcl_voices (id {key}, name TEXT NOT NULL UNIQUE, consent TEXT NOT NULL, note TEXT NOT NULL, "
        "added TEXT NOT NULL)",
        "CREATE TABLE mfcl_clips (id {key}, voice {whole} NOT NULL REFERENCES mfcl_voices(id) ON DELETE CASCADE, "
        "source TEXT NOT NULL, added TEXT NOT NULL, seconds {real} NOT NULL, level {real} NOT NULL, "
        "vector {bytes} NOT NULL, checksum {whole} NOT NULL, audio {bytes})",
        "CREATE INDEX mfcl_clips_voice ON mfcl_clips(voice)",
        "CREATE TABLE mfcl_cohort (id {key}, vector {bytes} NOT NULL, checksum {whole} NOT NULL)",
    ),
    ("CREATE TABLE mfcl_calibrations (id {key}, added TEXT NOT NULL, content TEXT NOT NULL)",),
)
"""Statements that bring the schema from each version to the next; a new gallery takes all of them."""
VERSION = len(MIGRATIONS)
DAMAGED = "it is damaged; restore it from a copy"


def make(database: Database) -> None:
    """Make all tables in an empty database, inside the caller's transaction."""
    _run(database, 0)


def migrate(database: Database) -> None:
    """Bring the tables to this version.

    Raises:
        GalleryError: they are of a newer version, or the version cannot be read.
    """
    if _version(database) == VERSION:
        return
    with database.transaction():
        version = _version(database)  # another process may have migrated it since
        if version > VERSION:
            found = database.rows("SELECT value FROM mfcl_about WHERE name = 'written_by'")
            by = shown(str(found[0][0])[:20]) if found else "(unknown)"
            raise GalleryError(
                f"{database.name}: a gallery of version {version}, this mfcl ({mfcl.__version__}) reads up to "
                f"{VERSION}; it was written by mfcl {by}: use that or a newer one"
            )
        _run(database, version)
        database.rows("UPDATE mfcl_about SET value = ? WHERE name = 'schema'", (str(VERSION),))


def _run(database: Database, version: int) -> None:
    for step in MIGRATIONS[version:]:
        for statement in step:
            database.rows(statement.format(**database.types._asdict()))


def _version(database: Database) -> int:
    rows = database.rows("SELECT value FROM mfcl_about WHERE name = 'schema'")
    text = str(rows[0][0]) if rows else ""
    if not text.isdecimal() or not 1 <= int(text) < 10_000:
        raise GalleryError(f"{database.name}: wanted the version of its schema, got {shown(text)}; {DAMAGED}")
    return int(text)
