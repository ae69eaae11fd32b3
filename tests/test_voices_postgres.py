"""The same gallery on a PostgreSQL server, which the test starts on loopback where its programs are installed."""

import contextlib
import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.postgres_server import NoServerError, running
from mfcl import cli
from mfcl.embeddings.linalg import unit_rows
from mfcl.errors import GalleryError
from mfcl.voices import Gallery, exchange, memory, server_search
from mfcl.voices.exchange import export, take_in
from mfcl.voices.places import is_address
from mfcl.voices.postgres import PostgresDatabase, without_password
from mfcl.voices.scoring import WAYS, raw_scores
from mfcl.voices.server_search import ServerSearch
from mfcl.voices.storage import Storage
from tests.small_voices import DIM, SmallListener, clips_of, people, small_gallery


@pytest.fixture(scope="module")
def server():
    """The address of an empty database on a server of our own."""
    with running_or_skip() as found:
        yield found


@pytest.fixture(scope="module")
def vector_server():
    """The same on a server that has pgvector."""
    with running_or_skip(vectors=True) as found:
        yield found


@contextlib.contextmanager
def running_or_skip(**options):
    with contextlib.ExitStack() as stack:
        try:
            found = stack.enter_context(running(**options))
        except NoServerError as error:
            pytest.skip(str(error))
        yield found.address


@pytest.fixture
def address(server, request):
    """The address of a schema of the test's own."""
    return in_schema(server, request.node.name)


@pytest.fixture
def vector_address(vector_server, request):
    """The same where pgvector is."""
    return in_schema(vector_server, request.node.name)


def in_schema(server, test):
    name = "t" + str(abs(hash(test)) % 10**9)
    database = PostgresDatabase(server)
    database.rows(f"CREATE SCHEMA {name}")
    database.close()
    return f"{server}?options=-csearch_path%3D{name}"


def test_a_gallery_on_a_server_answers_as_one_in_a_file(address, tmp_path):
    with (
        small_gallery(tmp_path / "team.db", voices=range(6)) as file,
        small_gallery(address, voices=range(6)) as shared,
    ):
        assert [(one.name, one.clips) for one in shared.voices] == [(one.name, one.clips) for one in file.voices]
        first, second = (one.calibrate(people(100, 12), far=0.1)[0] for one in (file, shared))
        assert first == second
        heard = clips_of(3, 4, take=5)
        assert shared.identify(heard) == file.identify(heard)
        assert shared.verify("voice 3", heard) == file.verify("voice 3", heard)
        np.testing.assert_array_equal(shared.storage.profiles()[2], file.storage.profiles()[2])


def test_rows_are_changed_and_removed_for_good_on_a_server(address):
    with small_gallery(address, voices=(1, 2, 3)) as made:
        made.rename("voice 1", "Ada")
        made.merge("Ada", "voice 2")
        with pytest.raises(GalleryError, match="already"):
            made.rename("Ada", "voice 3")
        assert "backups" in made.remove("voice 3")
        assert {voice.name: voice.clips for voice in made.voices} == {"Ada": 8}
        assert made.storage.database.rows("SELECT count(*) FROM mfcl_clips")[0][0] == 8
    with pytest.raises(GalleryError, match="already"):
        small_gallery(address)


def test_voices_go_from_a_file_to_a_server_and_back(address, tmp_path):
    with small_gallery(tmp_path / "team.db", voices=(1, 2)) as file:
        assert len(export(file.storage, address)) == 2
        shared = Storage.open(address)
        with small_gallery(tmp_path / "new.db") as new:
            found = take_in(new.storage, shared)
            assert (found.voices, found.clips) == (2, 8)
            np.testing.assert_array_equal(new.storage.profiles()[2], file.storage.profiles()[2])
        shared.close()


def test_an_enrolment_that_breaks_off_leaves_nothing_on_a_server(address):
    with small_gallery(address, voices=(1,)) as made:
        before, clips = made.storage.changes(), made.storage.clips("voice 1")
        with pytest.raises(GalleryError, match="nothing is half-written"):  # a NUL in a text
            made.storage.enrol("broken", [*clips, replace(clips[0], source="a\0b")])
        assert (len(made.voices), made.storage.changes()) == (1, before)
        with Gallery.open(address, model=SmallListener()) as other:
            made.enrol("voice 2", clips_of(2, 4))
            assert other.identify(clips_of(2, 1, take=3))[0].best == "voice 2"


@pytest.mark.parametrize("way", WAYS)
def test_a_server_with_pgvector_answers_as_one_that_is_read_whole(vector_address, monkeypatch, way):
    with small_gallery(vector_address, voices=range(12), clips=3, score=way) as made:
        made.calibrate(people(100, 12), far=0.1)
        heard = [clips_of(voice, 3, take=5) for voice in (2, 7, 50)]
        whole = [made.identify(one) for one in heard]
        claims = [made.verify("voice 7", one) for one in heard]
        monkeypatch.setattr(server_search, "ALL", 5)
        monkeypatch.setattr(server_search, "LIKELY", 4)
        monkeypatch.setattr(server_search, "AT_ONCE", 10)  # the clips are brought over in several steps
        monkeypatch.setattr(memory, "FEW", 100)
        made._memory.forget()
        monkeypatch.setattr(made._memory, "all", lambda: pytest.fail("all voices were read"))
        for one, answers in zip(heard, whole, strict=True):
            for found, wanted in zip(made.identify(one), answers, strict=True):
                assert (found.name, found.reason, found.best) == (wanted.name, wanted.reason, wanted.best)
                assert (found.score, found.margin) == pytest.approx((wanted.score, wanted.margin))
                assert [one.source for one in found.near] == [one.source for one in wanted.near]
        for one, answers in zip(heard, claims, strict=True):
            for found, wanted in zip(made.verify("voice 7", one), answers, strict=True):
                assert (found.accepted, found.threshold) == (wanted.accepted, wanted.threshold)
                assert found.score == pytest.approx(wanted.score)


@pytest.mark.parametrize("way", WAYS)
def test_pgvector_ranks_voices_by_the_same_cosines_and_follows_every_change(vector_address, way):
    with small_gallery(vector_address, voices=range(12), clips=3, score=way) as made:
        search = server_search.server_search(made.storage.database, DIM)
        search.bring_over()
        queries = clips_of(4, 5, take=9, noise=3.0).vectors
        profiles = made._memory.all().profiles
        scores = raw_scores(unit_rows(queries, np.float32), profiles, way=way)
        for query, row in zip(queries, scores, strict=True):
            best = [profiles.names[place] for place in np.argsort(-row)[:3].tolist()]
            assert search.likeliest(query[None], way, 3) == sorted(best)
            assert search.likeliest(query[None], way, 1) == best[:1]
        made.rename("voice 1", "Ada")
        made.merge("Ada", "voice 2")
        made.enrol("new", clips_of(77, 3))
        secret = made.storage.clips("voice 3")[0]
        made.remove("voice 3")
        search.bring_over()
        assert made.storage.database.rows("SELECT count(*) FROM mfcl_search") == [(36,)]
        assert search.likeliest(clips_of(77, 1).vectors, way, 1) == ["new"]
        assert "voice 3" not in search.likeliest(secret.vector[None], way, 20)
        assert len(search.likeliest(queries, way, 20)) == 11


def test_a_server_with_pgvector_is_read_whole_for_more_than_a_few_clips_until_it_changes(vector_address, monkeypatch):
    asked = []
    monkeypatch.setattr(server_search, "ALL", 5)
    monkeypatch.setattr(ServerSearch, "likeliest", spied(ServerSearch.likeliest, asked))
    with small_gallery(vector_address, voices=range(12), clips=3) as made:
        made.calibrate(people(100, 12), far=0.1)
        made._memory.forget()
        first, *_ = [made.identify(clips_of(2, 1, take=5)) for _ in range(5)]
        assert (first[0].best, len(asked)) == ("voice 2", memory.FEW)
        made.verify("voice 7", clips_of(7, 3, take=5))
        assert len(asked) == memory.FEW
        made.rename("voice 1", "Ada")
        assert made.identify(clips_of(1, 1, take=5))[0].best == "Ada"
        made.identify(clips_of(1, memory.FEW, take=5))
        assert len(asked) == memory.FEW + 1


def test_the_nearest_clip_is_named_though_its_voice_is_not_likely(vector_address, monkeypatch):
    monkeypatch.setattr(server_search, "ALL", 5)
    monkeypatch.setattr(server_search, "LIKELY", 2)
    with small_gallery(vector_address, voices=range(12), clips=3) as made:
        heard = clips_of(2, 1, take=5)
        odd = clips_of(50, 3, noise=0.1)
        own = heard.vectors[0]
        odd.vectors[:] = np.stack([own + 0.01 * odd.vectors[0], 0.5 * odd.vectors[1] - own, 0.5 * odd.vectors[2] - own])
        made.enrol("odd", odd)
        made.calibrate(people(100, 12), far=0.1)
        made._memory.forget()
        monkeypatch.setattr(made._memory, "all", lambda: pytest.fail("all voices were read"))
        found = made.identify(heard)[0]
        assert (found.best, found.near[0].voice) == ("voice 2", "odd")


def test_an_account_that_may_only_read_gets_the_answers_too(vector_address, monkeypatch):
    monkeypatch.setattr(server_search, "ALL", 5)
    with small_gallery(vector_address, voices=range(12), clips=3) as made:
        made.calibrate(people(100, 12), far=0.1)
        assert server_search.server_search(made.storage.database, DIM) is not None  # the extension is there for all
        schema = vector_address.split("%3D")[1]
        for statement in (
            "CREATE ROLE reader LOGIN",
            f"GRANT USAGE ON SCHEMA {schema} TO reader",
            f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO reader",
        ):
            made.storage.database.rows(statement)
        heard = clips_of(2, 1, take=5)
        with Gallery.open(vector_address.replace("mfcl:secret@", "reader@"), model=SmallListener()) as reading:
            assert reading.identify(heard)[0].best == "voice 2"
            with pytest.raises(GalleryError, match="denied"):
                reading.enrol("new", clips_of(77, 3))


def test_clips_are_brought_over_again_only_after_a_change(vector_address, tmp_path, monkeypatch):
    brought = []
    monkeypatch.setattr(ServerSearch, "_bring_some", spied(ServerSearch._bring_some, brought))
    with small_gallery(vector_address, voices=range(3)) as made:
        search = server_search.server_search(made.storage.database, DIM)
        for _ in range(2):
            search.bring_over()
            assert len(brought) == 2  # the clips, and that none is missing
        with Gallery.open(vector_address, model=SmallListener()) as other:
            other.enrol("new", clips_of(77, 3))
        search.bring_over()
        assert len(brought) == 4
        assert search.likeliest(clips_of(77, 1).vectors, "mean", 1) == ["new"]
        made.storage.database.rows("DROP TABLE mfcl_search")
        search.bring_over()
        assert search.likeliest(clips_of(77, 1).vectors, "mean", 1) == ["new"]
        export(made.storage, tmp_path / "copy.db")
    copy = Storage.open(tmp_path / "copy.db")
    assert server_search.FILLED not in copy.about()  # the copy has no such table
    copy.close()


def spied(work, seen):
    """A function that does the same and notes each call."""

    def noted(*arguments):
        seen.append(arguments)
        return work(*arguments)

    return noted


def test_a_server_without_pgvector_is_read_whole(address, monkeypatch):
    with small_gallery(address, voices=range(6)) as made:
        made.calibrate(people(100, 12), far=0.1)
        heard = clips_of(3, 4, take=5)
        whole = made.identify(heard)
        monkeypatch.setattr(server_search, "ALL", 2)
        monkeypatch.setattr(server_search, "server_search", lambda database, dim: None)
        assert made.identify(heard) == whole


def test_a_newer_schema_and_an_empty_database_on_a_server_are_one_line(address):
    with pytest.raises(GalleryError, match="empty database"):
        Storage.open(address)
    with small_gallery(address) as made:
        made.storage.database.rows("UPDATE mfcl_about SET value = '99' WHERE name = 'schema'")
    with pytest.raises(GalleryError, match="version 99") as caught:
        Storage.open(address)
    assert len(str(caught.value).splitlines()) == 1
    assert "secret" not in str(caught.value)


def test_a_server_that_is_not_there_is_one_line_without_the_password():
    if importlib.util.find_spec("psycopg") is None:
        with pytest.raises(GalleryError, match=r"mfcl\[postgres\]"):
            Storage.open("postgresql://me:secret@127.0.0.1:1/none")
        return
    with pytest.raises(GalleryError) as caught:
        Storage.open("postgresql://me:secret@127.0.0.1:1/none")
    assert len(str(caught.value).splitlines()) == 1
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("password", ["secret", "se:cret", "se/cret", "se@cret", "%73ecret"])
def test_a_password_of_any_signs_is_not_told(password):
    for query in ("", "?sslmode=require"):
        address = f"postgresql://me:{password}@host:5432/voices{query}"
        assert without_password(f"no {address}, ask at 127.0.0.1:1") == (
            f"no postgresql://me:...@host:5432/voices{query}, ask at 127.0.0.1:1"
        )
    assert without_password(f"postgresql://me:x@host/voices?password={password}&user=me") == (
        "postgresql://me:...@host/voices?password=...&user=me"
    )


def test_an_export_to_a_server_does_not_print_its_password(tmp_path, monkeypatch, capsys):
    small_gallery(tmp_path / "team.db", voices=(1,)).close()
    monkeypatch.setattr(exchange, "export", lambda storage, out, names: storage.voices())
    assert cli.main(["voices", "export", str(tmp_path / "team.db"), "postgresql://me:secret@host/voices"]) == 0
    assert capsys.readouterr().out == "postgresql://me:...@host/voices: 1 voice\n"


def test_an_address_is_told_from_a_file():
    assert is_address("postgresql://host/voices")
    assert not is_address("postgresql.db")
    assert not is_address(Path("postgresql://host/voices"))
