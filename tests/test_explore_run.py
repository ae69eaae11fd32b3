"""A run is embedded once to be explored, and a dropped sound finds its place among its clips."""

import asyncio
import base64
import shutil
from pathlib import Path

import httpx
import numpy as np
import pytest
import soundfile

from mfcl.checkpoint import save_checkpoint
from mfcl.embeddings.whitening import Whitening
from mfcl.explore.app import make_app
from mfcl.explore.cells import LABEL, Cell
from mfcl.explore.collection import open_collection
from mfcl.explore.guard import Guard
from mfcl.explore.session import Session
from mfcl.models.inference import part_bounds
from mfcl.models.pair import make_model
from mfcl.voices import Gallery
from tests.small_explore import PER_PITCH, serving, write_collection
from tests.small_run import tiny

pytestmark = pytest.mark.slow


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A tiny model, untrained, beside recordings that it has not embedded yet."""
    write_collection(tmp_path, mapped=False)
    run, recipe = tmp_path / "run", tiny()
    model = make_model(recipe.model, seed=0)
    whitenings = {
        part: Whitening(np.zeros(stop - start, np.float32), np.eye(stop - start, dtype=np.float32))
        for part, (start, stop) in part_bounds(model, "both").items()
    }
    save_checkpoint(model, recipe, run / "model", whitening=whitenings)
    return run


def test_a_run_is_embedded_once_and_a_dropped_sound_finds_its_place(run: Path, tmp_path: Path) -> None:
    found = open_collection(run, audio=tmp_path / "manifest.csv", progress=False)
    assert len(found) == len(found.recordings) == 3 * PER_PITCH
    assert found.model == run
    made = list(run.glob("explore/*/embeddings-*.npz"))
    assert len(made) == 1
    before = made[0].stat().st_mtime_ns
    again = open_collection(run, audio=tmp_path / "manifest.csv", progress=False)
    assert made[0].stat().st_mtime_ns == before
    assert np.array_equal(again.embeddings.vectors, found.embeddings.vectors)

    sounds = tmp_path / "sounds"
    gallery = Gallery.create(tmp_path / "team.db", run, cohort=sounds, nearest=0)
    gallery.enrol("low", [sounds / f"low-{take:02d}.wav" for take in (2, 3, 4)])
    gallery.enrol("high", [sounds / f"high-{take:02d}.wav" for take in (4, 5, 6)])
    session = Session(found, who="ada", gallery=str(tmp_path / "team.db"))
    assert session.voices is not None
    assert session.voices.of_clip(0) is None  # not worked out yet
    session.voices.prepare(session.work)
    told = [session.voices.of_clip(2 * PER_PITCH + clip) for clip in range(5)]
    same = gallery.identify([sounds / f"high-{clip:02d}.wav" for clip in range(5)])
    gallery.close()
    assert [one and one["name"] for one in told] == [one.name for one in same]
    assert [one and one["reason"] for one in told] == [one.reason for one in same]
    assert [one and one["score"] for one in told] == pytest.approx([one.score for one in same], abs=0.011)
    assert {one.best for one in same} == {"high"}
    kept = list(run.glob("explore/*/voices-*.npy"))
    assert len(kept) == 1
    for clip, name in ((1, "low"), (PER_PITCH + 1, "middle"), (2 * PER_PITCH + 1, "high")):
        session.book.step("pitch heard", "picked", [Cell(clip, LABEL, name)])
    guarded = Guard(make_app(session), token="secret", host="127.0.0.1", port=8450)
    samples, rate = soundfile.read(tmp_path / "sounds" / "high-03.wav", dtype="float32")
    soundfile.write(tmp_path / "dropped.flac", samples, rate)

    async def search() -> httpx.Response:
        transport, headers = httpx.ASGITransport(guarded), {"x-mfcl": "1"}
        async with httpx.AsyncClient(
            transport=transport, base_url="http://127.0.0.1:8450", cookies={guarded.cookie: "secret"}
        ) as own:
            content = (tmp_path / "dropped.flac").read_bytes()
            return await own.post("/api/search?column=pitch+heard", content=content, headers=headers)

    answer = asyncio.run(search())
    session.close()
    assert answer.status_code == 200, answer.text
    near = answer.json()["near"]["all"]
    assert near["clips"][0] == 2 * PER_PITCH + 3  # itself
    assert near["distances"][0] < 1e-3
    assert answer.json()["voice"]["score"] == pytest.approx(same[3].score, abs=0.011)
    assert answer.json()["voice"]["best"] == "high"
    assert answer.json()["guess"]["label"] in ("low", "middle", "high", "unknown")


def test_a_model_that_was_trained_in_the_place_of_another_embeds_anew_and_labels_are_those_of_the_list(
    run: Path, tmp_path: Path
) -> None:
    listed = tmp_path / "manifest.csv"
    before = open_collection(run, audio=listed, progress=False)
    listed.write_text(listed.read_text().replace(",middle,", ",mended,"))
    again = open_collection(run, audio=listed, progress=False)
    np.testing.assert_array_equal(again.embeddings.vectors, before.embeddings.vectors)  # of the same sound
    assert set(again.columns["pitch"]) == {"low", "mended", "high"}
    recipe = tiny()
    save_checkpoint(make_model(recipe.model, seed=1), recipe, run / "model")
    other = open_collection(run, audio=listed, progress=False)
    assert other.embeddings.model != before.embeddings.model
    assert not np.allclose(other.embeddings.vectors, before.embeddings.vectors)


def test_a_sound_dropped_on_the_page_is_heard_by_the_server_and_found_there(run: Path, tmp_path: Path) -> None:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("no chromium on the PATH (apt-get install chromium)")
    content = base64.b64encode((tmp_path / "sounds" / "high-03.wav").read_bytes()).decode()
    with serving(run, "--audio", str(tmp_path / "manifest.csv")) as (address, _), playwright.sync_playwright() as own:
        browser = own.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--mute-audio"])
        page = browser.new_page()
        page.set_default_timeout(120_000)
        page.goto(address)
        page.wait_for_selector("body.ready")
        page.evaluate(
            "(text) => { const bytes = Uint8Array.from(atob(text), (one) => one.charCodeAt(0));"
            " const data = new DataTransfer(); data.items.add(new File([bytes], 'dropped.wav'));"
            " window.dispatchEvent(new DragEvent('drop', { dataTransfer: data })); }",
            content,
        )
        page.wait_for_selector(".found [data-clip], .found button, .found .bad")
        assert page.query_selector(".found .bad") is None, page.text_content(".found")
        assert "high-03.wav" in page.text_content(".found")
        browser.close()
