"""The explorer in a real browser: everything that a person does on the page, and nothing that the console minds."""

import csv
import io
import sqlite3
import zipfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from mfcl.embeddings.blocks import load_embeddings
from tests.small_browser import ARGUMENTS, CHROMIUM, Page, until
from tests.small_explore import PER_PITCH, serving, write_collection, write_gallery

pytest.importorskip("playwright.sync_api", reason="playwright is not installed (pip install playwright)")
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on the PATH (apt-get install chromium)"),
    pytest.mark.slow,
]
COUNT = 3 * PER_PITCH


def test_a_person_sees_hears_and_finds_clips(browser, address):
    with Page(browser, address) as own:
        page = own.page
        assert page.text_content("#tally") == f"{COUNT} clips"
        assert page.locator(".map").count() == 2  # words and voices
        assert page.locator(".map .method").all_text_contents() == ["t-SNE", "t-SNE"]
        page.keyboard.press("ArrowRight")  # the first clip, which plays
        until(page, "document.getElementById('audio').currentTime > 0.02")
        assert own.state("state.current") >= 0
        until(page, "document.querySelector('.time').textContent.endsWith('of 0.60 s')")
        # a place on the map where a clip lies: hover, then click
        box = page.locator(".map[data-part=words] .over").bounding_box()
        at = page.evaluate(
            "async () => { const { arrays } = await import('/page/api.js');"
            " const { places } = await arrays('/api/maps/words'); return [places[10], places[11]]; }"
        )
        scale = min(box["width"], box["height"]) / 2 - 18
        x, y = box["x"] + box["width"] / 2 + at[0] * scale, box["y"] + box["height"] / 2 - at[1] * scale
        page.mouse.move(x, y)
        tip = page.locator(".map[data-part=words] .tip")
        tip.wait_for()
        assert "low" in tip.text_content()
        page.mouse.click(x, y)
        assert own.state("state.ids[state.current]").startswith("sounds/low")
        own.tab("clip")
        for part in ("words", "voices"):  # two answers, which come in either order
            page.wait_for_selector(f".near[data-part={part}] li")
        near = page.locator(".near[data-part=words] li").all_text_contents()
        assert len(near) == 12
        assert all("low" in text for text in near)
        page.select_option("#colour", label="maker")
        assert page.locator("#legend button").count() == 4
        page.locator("#legend button").first.click()
        assert page.text_content("#tally") == f"{COUNT // 4} of {COUNT} clips"
        page.locator("#legend button").first.click()
        page.fill("#filter", "pitch=high")
        assert page.text_content("#tally") == f"{PER_PITCH} of {COUNT} clips"
        page.click("#view-list")
        assert page.locator("#list .rows .row").first.text_content().startswith("sounds/high-00")
        before = own.state("state.current")
        page.keyboard.press("Escape")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowDown")
        assert own.state("state.current") != before
        assert own.wrong == []


def test_clips_that_are_silent_say_why_where_their_picture_would_be(browser, tmp_path):
    write_collection(tmp_path)
    lines = (tmp_path / "manifest.csv").read_text().splitlines()
    (tmp_path / "manifest.csv").write_text("\n".join([lines[0], *lines[2:]]) + "\n")  # the first is not listed
    (tmp_path / "sounds" / "low-01.wav").unlink()
    with (
        serving(tmp_path / "clips.npz", "--audio", str(tmp_path / "manifest.csv")) as (address, _),
        Page(browser, address) as own,
    ):
        hint = own.page.locator(".hint")
        assert "plays at once" in hint.text_content()
        for clip, said in ((0, "this clip has no recording"), (1, "low-01.wav"), (0, "this clip has no recording")):
            own.choose(clip)
            own.page.locator(f".hint:has-text('{said}')").wait_for()
        assert own.page.locator(".toast").count() == 0
        own.choose(2)
        until(own.page, "document.querySelector('.time').textContent.endsWith('of 0.60 s')")
        assert hint.text_content() == ""
        assert {line.rpartition(" (")[2] for line in own.wrong} == {"Bad Request)"}
    with serving(tmp_path / "clips.npz") as (address, _), Page(browser, address) as own:
        own.choose(3)
        assert own.page.locator(".hint").inner_text() == "There is no sound here."
        assert own.wrong == []


def test_labels_from_a_lasso_to_a_classifier(browser, address, folder):
    with Page(browser, address) as own:
        page = own.page
        own.column("pitch heard")
        own.label(0, "low")
        own.label(PER_PITCH, "middle")
        own.label(2 * PER_PITCH, "high")
        own.guessed()
        right = own.state(
            "state.guesses.codes.reduce((sum, code, clip) =>"
            " sum + (state.ids[clip].includes(state.guesses.values[code]) ? 1 : 0), 0)"
        )
        assert right == COUNT  # three labels are enough for tones
        # accept one guess, reject another
        page.get_by_role("button", name="Accept guesses").click()
        own.wait_for("state.queue.clips.length > 0")
        first = own.state("state.current")
        page.keyboard.press("Enter")
        own.wait_for(f"state.codes[{first}] >= 0")
        second = own.state("state.current")
        assert second != first
        page.keyboard.press("x")
        own.wait_for(f"(state.rejected[{second}] ?? []).length === 1")
        own.wait_for(f"state.guesses.values[state.guesses.codes[{second}]] !== state.rejected[{second}][0]")
        # undo both, and redo the one
        page.keyboard.press("Control+z")
        own.wait_for(f"!state.rejected[{second}]")
        page.keyboard.press("Control+z")
        own.wait_for(f"state.codes[{first}] < 0")
        page.keyboard.press("Control+y")
        own.wait_for(f"state.codes[{first}] >= 0")
        # a lasso around everything, a label by its key, and undo
        box = page.locator(".map[data-part=words] .over").bounding_box()
        page.keyboard.press("Escape")
        page.keyboard.press("l")
        corners = [(4, 4), (box["width"] - 4, 4), (box["width"] - 4, box["height"] - 4), (4, box["height"] - 4)]
        page.mouse.move(box["x"] + 4, box["y"] + 4)
        page.mouse.down()
        for dx, dy in [*corners, corners[0]]:
            page.mouse.move(box["x"] + dx, box["y"] + dy, steps=3)
        page.mouse.up()
        own.wait_for(f"state.selection.size === {COUNT}")
        page.keyboard.press("1")
        own.wait_for("state.codes.every((code) => code === 0)")
        page.keyboard.press("Control+z")
        own.wait_for("state.codes.filter((code) => code >= 0).length === 4")
        page.keyboard.press("Escape")
        # the honest figure: held-out clips are labelled blind
        page.click("#held-out")
        own.wait_for("state.queue.order === 'held' && state.queue.clips.length === 20")
        page.evaluate(  # from each key to the next clip's sound
            "() => { let began = 0; window.took = []; const audio = document.getElementById('audio');"
            " addEventListener('keydown', () => { began = performance.now(); }, true);"
            " audio.addEventListener('playing', () => window.took.push(performance.now() - began)); }"
        )
        for number in range(1, 7):
            clip = own.state("state.current")
            until(page, "document.querySelector('.card small').textContent.includes('held-out set')")
            until(page, "!document.querySelector('.guess b')")  # no guess is shown for them
            name = next(one for one in ("low", "middle", "high") if one in own.state("state.ids[state.current]"))
            page.keyboard.press(str(own.state(f"state.classes.indexOf({name!r})") + 1))
            own.wait_for(f"state.codes[{clip}] >= 0")
            until(page, f"window.took.length >= {number}")
        assert np.median(page.evaluate("window.took")) < 2000  # milliseconds; a person's own time comes on top
        own.wait_for("state.estimate && state.estimate.labelled === 6")
        page.wait_for_selector(".estimate .big")
        assert "100 %" in page.text_content(".estimate .big")
        # files to take away
        page.click("#export")
        files = {}
        for kind in ("csv", "audacity", "raven", "classifier"):
            with page.expect_download() as saved:
                page.click(f"[data-kind={kind}]")
            files[kind] = Path(saved.value.path()).read_bytes()
        rows = list(csv.DictReader(io.StringIO(files["csv"].decode())))
        assert len(rows) == 10
        assert all(row["pitch heard"] == row["pitch"] and Path(row["path"]).is_file() for row in rows)
        names = zipfile.ZipFile(io.BytesIO(files["classifier"])).namelist()
        assert names == ["classifier/classifier.json", "classifier/classifier.safetensors"]
        tracks = zipfile.ZipFile(io.BytesIO(files["audacity"]))
        assert tracks.read(tracks.namelist()[0]).decode() == "0.000000\t0.600000\tlow\n"
        page.keyboard.press("Escape")
        # a note, and that everything is on disk already
        own.tab("clip")
        page.fill("textarea", "a bird behind it")
        page.locator("textarea").blur()
        own.wait_for("Object.keys(state.notes).length === 1")
        told: dict[str, int] = {}
        for _ in range(100):  # the note is sent when it stands on the page already
            with closing(sqlite3.connect(f"file:{folder}/clips.explore/labels.db?mode=ro", uri=True)) as book:
                told = dict(book.execute("SELECT how, count(*) FROM steps GROUP BY how").fetchall())
            if "noted" in told:
                break
            page.wait_for_timeout(100)
        assert told["accepted"] == told["rejected"] == told["lassoed"] == told["drawn"] == told["noted"] == 1
        assert told["picked"] == 9
        assert (told["undone"], told["redone"]) == (3, 1)
        assert own.wrong == []
    with Page(browser, address) as again:  # a closed tab loses nothing
        assert again.state("state.codes.filter((code) => code >= 0).length") == 10
        assert again.state("state.column") == "pitch heard"


def test_what_should_be_checked_comes_with_its_reason(browser, address):
    with Page(browser, address) as own:
        own.tab("check")
        own.page.wait_for_selector(".findings li")
        found = own.page.locator(".findings li").first.text_content()
        assert "low-00" in found
        assert "low-01" in found
        own.page.get_by_role("button", name="Doubtful labels").click()
        own.page.select_option("[aria-label='Labels of']", "wrong")
        own.page.wait_for_selector(".findings s")
        doubted = own.page.locator(".findings li").all_text_contents()
        assert len(doubted) == 1
        assert "high-15" in doubted[0]
        assert "low → high" in doubted[0]
        own.page.get_by_role("button", name="Outliers").click()
        until(own.page, "!document.querySelector('#panel-check > .soft').textContent.startsWith('Looking')")
        assert own.wrong == []


def test_labels_that_are_too_few_to_be_checked_are_not_called_good(browser, address):
    with Page(browser, address) as own:
        own.labelled("two or three")
        own.tab("check")
        own.page.get_by_role("button", name="Doubtful labels").click()
        own.page.select_option("[aria-label='Labels of']", "two or three")
        told = own.page.locator("#panel-check > .soft")
        said = "No label that both the nearest clips and a classifier doubt. "
        said += "Labels of fewer than 3 clips are not checked."
        until(own.page, f"document.querySelector('#panel-check > .soft').textContent === {said!r}")
        own.page.get_by_role("button", name="Outliers").click()
        until(own.page, "document.querySelector('#panel-check > .soft').textContent.startsWith('No clip')")
        assert "not checked" not in told.text_content()
        assert own.wrong == []


def test_a_list_of_findings_that_was_cut_says_so(browser, folder, tmp_path):
    clips = load_embeddings(folder / "clips.npz")
    thrice = np.concatenate([clips.vectors] * 3)
    names = np.array([f"{number}.wav" for number in range(len(thrice))])
    replace(clips, vectors=thrice, ids=names, labels={}, splits=np.full(len(names), "")).save(tmp_path / "thrice.npz")
    with serving(tmp_path / "thrice.npz") as (address, _), Page(browser, address) as own:
        own.tab("check")
        own.page.wait_for_selector(".findings li")
        told = own.page.text_content("#panel-check > .soft")
        assert told == "The 60 clearest pairs of clips that are nearly the same; there may be more."
        assert own.page.locator(".findings li").count() == 60
        assert own.wrong == []


def test_a_dropped_file_finds_its_place(browser, address, tmp_path):
    """The page's part alone: the server has no model here, and says so."""
    with Page(browser, address) as own:
        own.page.evaluate(
            "() => { const data = new DataTransfer(); data.items.add(new File([new Uint8Array(10)], 'a.wav'));"
            " window.dispatchEvent(new DragEvent('drop', { dataTransfer: data })); }"
        )
        own.page.wait_for_selector(".found .bad")
        assert "model of these embeddings is not known" in own.page.text_content(".found .bad")
        assert [text for text in own.wrong if "400" not in text] == []  # the browser itself tells of the status


def test_what_the_microphone_hears_is_searched_as_wav(chromium, address, tmp_path):
    """The page's part alone: Chromium plays a file in place of a microphone, and what the server answers is given."""
    rate, tone = 48_000, 1_000
    wave = np.sin(2 * np.pi * tone * np.arange(rate) / rate)
    soundfile.write(tmp_path / "heard.wav", 0.5 * wave, rate, subtype="PCM_16")
    ears = ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
    sent: list[bytes] = []
    near = {"clips": [1, 2], "distances": [0.1, 0.2]}

    def answer(route: Any) -> None:
        sent.append(route.request.post_data_buffer)
        route.fulfill(json={"near": {"words": near, "voices": near}, "guess": None, "voice": None})

    hearing = chromium.launch(
        executable_path=CHROMIUM,
        args=[*ARGUMENTS, *ears, f"--use-file-for-fake-audio-capture={tmp_path / 'heard.wav'}"],
    )
    with Page(hearing, address) as own:
        own.page.route("**/api/search*", answer)
        own.tab("search")
        own.page.click("#microphone")
        until(own.page, "document.querySelector('#microphone').textContent === 'Stop and search'")
        own.page.wait_for_timeout(1500)
        own.page.click("#microphone")
        own.page.wait_for_selector(".found .near li")
        assert own.page.text_content("#microphone") == "Record"
        assert own.page.text_content(".found .name") == "microphone"
        assert own.wrong == []
    hearing.close()
    samples, heard_rate = soundfile.read(io.BytesIO(sent[0]))
    assert samples.ndim == 1
    assert 0.5 < len(samples) / heard_rate < 10
    loudest = np.abs(np.fft.rfft(samples)).argmax() * heard_rate / len(samples)
    assert abs(loudest - tone) < 10


def test_without_a_microphone_the_page_says_so(browser, address):
    with Page(browser, address) as own:
        own.tab("search")
        own.page.click("#microphone")
        until(own.page, "document.body.textContent.includes('No microphone: ')")
        assert own.page.text_content("#microphone") == "Record"
        assert own.wrong == []


def test_a_clip_and_a_dropped_file_say_whose_voice_they_have(browser, tmp_path):
    """Of a dropped file the page's part alone: what the server answers is given."""
    write_collection(tmp_path)
    gallery = write_gallery(tmp_path)
    words = ["--audio", str(tmp_path / "manifest.csv"), "--model", str(tmp_path), "--gallery", str(gallery)]
    with serving(tmp_path / "clips.npz", *words) as (address, _), Page(browser, address) as own:
        assert "not calibrated" in own.page.text_content("#notes")
        own.tab("clip")
        for clip, said in ((0, "maker 0 voice (score 1"), (2, "unknown voice: below threshold (nearest maker ")):
            own.page.evaluate(
                "async (clip) => (await import('/page/state.js')).setCurrent(clip, { play: false })", clip
            )
            until(own.page, f"document.querySelector('.whose .voice')?.textContent.startsWith({said!r})")
        near = {"clips": [1, 2], "distances": [0.1, 0.2]}
        voice = {"name": "unknown", "reason": "margin too small", "best": "<b>Ada</b>", "score": 3.1, "margin": 0.2}
        answer = {"near": {"words": near, "voices": near}, "guess": None, "voice": voice}
        own.page.route("**/api/search*", lambda route: route.fulfill(json=answer))
        own.page.evaluate(
            "() => { const data = new DataTransfer(); data.items.add(new File([new Uint8Array(10)], 'a.wav'));"
            " window.dispatchEvent(new DragEvent('drop', { dataTransfer: data })); }"
        )
        own.page.wait_for_selector(".found .voice")
        assert own.page.text_content(".found .voice") == (
            "unknown voice: margin too small (nearest <b>Ada</b>, score 3.1, 0.2 more than the next voice)"
        )
        assert own.wrong == []


def test_a_site_needs_no_server(browser, folder, tmp_path):
    from mfcl.cli import main

    words = [str(folder / "clips.npz"), "--audio", str(folder / "manifest.csv"), "--labels", str(tmp_path / "l.db")]
    assert main(["explore", *words, "--export", str(tmp_path / "site"), "--with-audio", "--quiet"]) == 0
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page, wrong = context.new_page(), []
    page.on("console", lambda message: wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto((tmp_path / "site" / "index.html").as_uri())
    page.wait_for_selector("body.ready")
    assert page.locator(".map .method").all_text_contents() == ["t-SNE", "t-SNE"]
    assert page.locator("#legend button").count() == 3
    page.keyboard.press("ArrowRight")
    page.wait_for_selector(".near li")
    until(page, "document.getElementById('audio').currentTime > 0.02")
    until(page, "document.querySelector('.time').textContent.endsWith('of 0.60 s')")
    assert not page.locator("#export").is_visible()
    assert wrong == []
    context.close()
