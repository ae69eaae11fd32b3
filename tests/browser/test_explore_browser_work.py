"""Work on the explorer's page in a real browser: labels that are given, refused, taken back and counted."""

import shutil

import numpy as np
import pytest
import soundfile

from mfcl.embeddings.blocks import load_embeddings
from tests.small_browser import CHROMIUM, Page, redrawn
from tests.small_explore import PER_PITCH, PITCHES, serving, write_collection
from tests.small_labels import beside_noise, few

pytest.importorskip("playwright.sync_api", reason="playwright is not installed (pip install playwright)")
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on the PATH (apt-get install chromium)"),
    pytest.mark.slow,
]
COUNT = 3 * PER_PITCH


def test_an_old_tab_labels_nothing_in_another_collection(browser, folder, tmp_path):
    shutil.copy(folder / "clips.npz", tmp_path / "clips.npz")
    clips = load_embeddings(tmp_path / "clips.npz")
    clips.select(np.arange(COUNT)[::-1].copy()).save(tmp_path / "reversed.npz")
    with serving(tmp_path / "clips.npz") as (address, process):
        old = Page(browser, address)
        old.column("heard")
        old.label(0, "low")
        old.wait_for("state.about.own.some(({ name }) => name === 'heard')")  # it is saved
        process.terminate()
        process.wait()
    port = address.split(":")[2].split("/")[0]
    with serving(tmp_path / "reversed.npz", "--port", port) as (again, _), Page(browser, again, beside=old) as new:
        old.choose(1)
        old.page.keyboard.press("1")
        old.page.wait_for_selector(".toast.bad:has-text('Not saved: This page shows another collection')")
        old.wait_for("state.codes[1] < 0")
        old.page.wait_for_selector("#notes .bad:has-text('reload it')")  # it stays
        assert new.page.evaluate("fetch('/api/history').then((answer) => answer.json())") == {"steps": []}
        assert new.wrong == []


def test_the_held_out_set_is_labelled_blind_and_clip_by_clip(browser, address):
    with Page(browser, address) as own:
        page = own.page
        own.labelled("blind")
        page.click("#held-out")
        own.wait_for("state.queue.order === 'held' && state.queue.clips.length === 20")
        held = own.state("state.queue.clips")
        told = page.evaluate(
            "async () => { const { guessOf, restyle, state, valueOf } = await import('/page/state.js');"
            " const told = []; const seen = (clip) => guessOf(clip) && valueOf(clip) && state.looks[2 * clip] !== 201;"
            " for (state.colour of ['guesses\\u0000', 'confidence\\u0000'])"
            " { restyle(); told.push([...state.ids.keys()].filter(seen)); } return told; }"
        )
        assert told == [[clip for clip in range(COUNT) if clip not in held]] * 2
        own.tab("clip")
        page.wait_for_selector("#panel-clip .near li")
        assert "guessed" not in page.text_content("#panel-clip")
        own.tab("label")
        # a group leaves them out, and says so
        group = [*held[:8], *[clip for clip in range(COUNT) if clip not in held][:8]]
        own.select(*group)
        page.keyboard.press("1")
        page.wait_for_selector(".toast:has-text('8 of the 16 clips are in the held-out set')")
        own.wait_for(f"{group[8:]}.every((clip) => state.codes[clip] === 0)")
        own.select(*held[:2])
        page.keyboard.press("1")
        page.wait_for_selector(".toast.bad:has-text('2 of the 2 clips')")
        assert own.state(f"{held}.every((clip) => state.codes[clip] < 0)")
        own.select()
        own.choose(held[0])
        page.keyboard.press("1")
        own.wait_for("state.estimate && state.estimate.labelled === 1")
        assert page.evaluate(f"import('/page/state.js').then(({{ guessOf }}) => guessOf({held[0]}) !== null)")
        assert own.wrong == []


def test_what_goes_one_by_one_labels_no_group_that_was_chosen_before(browser, address):
    with Page(browser, address) as own:
        page = own.page
        own.labelled("one by one")
        group = [1, 2, 3]
        own.select(*group)
        page.keyboard.press("1")
        own.wait_for(f"{group}.every((clip) => state.codes[clip] === 0)")
        page.get_by_role("button", name="What to label next").click()
        own.wait_for("state.queue.clips.length === 10")
        first = own.state("state.current")
        page.keyboard.press("2")
        own.wait_for(f"state.codes[{first}] === 1 && state.current !== {first}")
        assert own.state(f"{group}.map((clip) => state.codes[clip])") == [0, 0, 0]
        # a group that is chosen meanwhile gets the label, as the card says, until the next clip comes
        own.select(*group)
        page.wait_for_selector(".card:has-text('A label goes to the 3 selected clips now')")
        page.keyboard.press("s")
        own.wait_for("state.selection.size === 0")
        redrawn(page)
        assert "selected" not in page.text_content(".card")
        assert own.wrong == []


def test_keys_in_haste_do_not_change_the_clip_before(browser, address):
    with Page(browser, address) as own:
        page = own.page
        own.labelled("haste")
        page.get_by_role("button", name="What to label next").click()
        own.wait_for("state.queue.clips.length === 10")
        last = own.state("state.queue.clips.at(-1)")
        own.hold("/api/suggestions")
        page.evaluate("async () => { (await import('/page/state.js')).state.queue.at = 9; }")
        own.choose(last)
        page.keyboard.press("1")
        own.wait_for("window.goOn")
        for key in ("2", "0", "Enter", "x", "s"):
            page.keyboard.press(key)
        page.wait_for_selector(".toast:has-text('One moment')")
        assert own.state(f"state.current === {last} && state.codes[{last}] === 0")
        own.go_on()
        own.wait_for(f"state.queue.at === 0 && state.current !== {last}")
        after = own.state("state.current")
        page.keyboard.press("2")
        own.wait_for(f"state.codes[{after}] === 1 && state.current !== {after}")
        assert own.state(f"state.codes[{last}]") == 0
        assert own.wrong == []


def test_labels_have_the_same_keys_when_the_page_is_loaded_anew(browser, folder, tmp_path):
    shutil.copy(folder / "clips.npz", tmp_path / "clips.npz")
    given = ["wren", "blackbird", "owl"]
    with serving(tmp_path / "clips.npz") as (address, _), Page(browser, address) as own:
        own.column("species")
        for clip, name in enumerate(given):
            own.label(clip, name)
        own.wait_for("state.about.own.some(({ counts }) => counts.owl)")  # all are saved
        own.page.reload()
        own.page.wait_for_selector("body.ready")
        assert own.state("state.classes") == given
        own.choose(5)
        own.page.keyboard.press("1")
        own.wait_for("state.classes[state.codes[5]] === 'wren'")
        assert own.wrong == []


def test_a_label_that_no_clip_has_any_more_keeps_its_key_and_one_that_was_undone_gives_it_back(
    browser, folder, tmp_path
):
    shutil.copy(folder / "clips.npz", tmp_path / "clips.npz")
    with serving(tmp_path / "clips.npz") as (address, _), Page(browser, address) as own:
        own.column("species")
        for clip, name in enumerate(["wren", "blackbird", "owl"]):
            own.label(clip, name)
        own.label(1, "owl")  # no clip is a blackbird any more
        own.label(4, "gull")
        own.page.keyboard.press("Control+z")
        own.wait_for("state.codes[4] === -1 && !state.classes.includes('gull')")
        own.wait_for("!state.about.own.some(({ counts }) => counts.gull || counts.blackbird)")  # it is saved
        for _ in range(2):
            assert own.state("state.classes") == ["wren", "blackbird", "owl"]
            own.page.reload()
            own.page.wait_for_selector("body.ready")
        own.choose(5)
        own.page.keyboard.press("3")
        own.wait_for("state.classes[state.codes[5]] === 'owl'")
        assert own.wrong == []


def test_the_column_that_was_labelled_is_there_again_in_each_tab(browser, folder, tmp_path):
    shutil.copy(folder / "clips.npz", tmp_path / "clips.npz")
    with serving(tmp_path / "clips.npz") as (address, _), Page(browser, address) as own:
        for name, label in (("kind of call", "song"), ("quality (1 to 3)", "1")):
            own.column(name)
            own.label(0, label)
        own.wait_for("state.about.own.length === 2")  # all is saved
        start = own.page.url.partition("#")[0]
        other = Page(browser, start, beside=own)  # another tab begins where the last label was given
        assert other.state("state.column") == "quality (1 to 3)"
        other.page.select_option("#column", "kind of call")
        other.wait_for("state.column === 'kind of call'")
        for tab, column in ((other, "kind of call"), (own, "quality (1 to 3)")):
            tab.page.reload()
            tab.page.wait_for_selector("body.ready")
            assert tab.state("state.column") == column
            assert tab.wrong == []


def test_own_labels_under_a_name_that_came_stand_beside_those(browser, folder, tmp_path):
    shutil.copy(folder / "clips.npz", tmp_path / "clips.npz")
    with serving(tmp_path / "clips.npz") as (address, _), Page(browser, address) as own:
        page = own.page
        own.column("pitch")
        own.label(0, "deep")
        own.wait_for("state.about.own.some(({ counts }) => counts.deep)")  # it is saved
        page.reload()
        page.wait_for_selector("body.ready")
        own.label(1, "deep")
        own.tab("clip")
        page.wait_for_selector("#panel-clip .near li")
        facts = page.locator("#panel-clip dl").evaluate("(one) => [...one.children].map((part) => part.textContent)")
        assert facts[:2] == ["pitch", "deep"]
        assert facts[facts.index("pitch, as it came") + 1] == "low"
        page.select_option("#colour", label="pitch")
        assert page.locator("#legend button").count() == len(PITCHES)
        page.fill("#filter", "pitch=deep")
        assert page.text_content("#tally") == f"2 of {COUNT} clips"
        assert own.wrong == []


def test_what_was_undone_is_said_in_words(browser, address):
    with Page(browser, address) as own:
        page = own.page
        own.labelled("in words")
        page.get_by_role("button", name="Accept guesses").click()
        own.wait_for("state.queue.clips.length > 0")
        clip = own.state("state.current")
        guess = own.state(f"state.guesses.values[state.guesses.codes[{clip}]]")
        page.keyboard.press("x")
        own.wait_for(f"{clip} in state.rejected")
        own.choose(0)
        page.keyboard.press("0")
        own.wait_for("state.codes[0] < 0")
        page.click("#held-out")
        own.wait_for("state.queue.order === 'held' && state.queue.clips.length === 20")
        for said in ("held-out set drawn (20 clips)", "label taken off (1 clip)", f"rejected “{guess}” (1 clip)"):
            page.keyboard.press("Control+z")
            page.locator(f".toast:text-is('Undone: {said}')").wait_for()
        page.keyboard.press("Control+y")
        page.locator(f".toast:text-is('Done again: rejected “{guess}” (1 clip)')").wait_for()
        page.select_option("#column", label="New column…")
        page.fill("#new-column", "begun")
        page.select_option("[aria-label='Begin with']", label="the labels of pitch")
        page.press("#new-column", "Enter")
        own.wait_for("state.column === 'begun'")
        page.keyboard.press("Control+z")
        page.locator(f".toast:text-is('Undone: labels that the column began with ({COUNT} clips)')").wait_for()
        assert own.wrong == []


def test_what_could_not_be_saved_is_taken_back(browser, address):
    with Page(browser, address) as own:
        page = own.page
        own.labelled("full")
        page.get_by_role("button", name="Accept guesses").click()
        own.wait_for("state.queue.clips.length > 0")
        clip = own.state("state.current")
        page.route("**/api/steps", lambda route: route.fulfill(status=507, json={"error": "the disk is full"}))
        page.fill("#new-label", "owl")
        page.press("#new-label", "Enter")
        page.wait_for_selector(".toast.bad:has-text('the disk is full')")
        own.wait_for(f"state.codes[{clip}] < 0 && !state.classes.includes('owl')")
        own.choose(clip)
        page.evaluate("async () => { (await import('/page/state.js')).state.queue.at = 0; }")
        page.keyboard.press("x")
        own.wait_for("document.querySelectorAll('.toast.bad').length === 2")
        assert own.state("Object.keys(state.rejected).length") == 0
        own.choose(clip)
        own.tab("clip")
        page.fill("textarea", "a bird behind it")
        page.locator("textarea").blur()
        page.wait_for_selector("#panel-clip .bad:has-text('not saved')")
        assert page.input_value("textarea") == "a bird behind it"  # but what was typed stays in the field
        assert own.state("Object.keys(state.notes).length") == 0
        page.unroute("**/api/steps")
        page.fill("textarea", "a bird")
        page.locator("textarea").blur()
        own.wait_for(f"state.notes[{clip}] === 'a bird'")
        assert page.locator("#panel-clip .bad").count() == 0
        assert [line for line in own.wrong if "507" not in line] == []


def test_the_form_of_a_column_keeps_what_is_typed(browser, address):
    with Page(browser, address) as own:
        page = own.page
        own.column("first of two")
        page.select_option("#column", label="New column…")
        page.fill("#new-column", "species")
        page.select_option("[aria-label='Begin with']", label="the labels of pitch")
        own.choose(3)
        redrawn(page)
        assert page.input_value("#new-column") == "species"
        assert page.input_value("[aria-label='Begin with']") == "pitch"
        page.get_by_role("button", name="Cancel").click()
        assert page.input_value("#column") == "first of two"
        page.select_option("#column", label="New column…")
        assert page.input_value("#new-column") == ""
        page.get_by_role("button", name="Cancel").click()
        with Page(browser, address, beside=own) as other:  # what is made in one tab is soon in the other
            other.column("made elsewhere")
            other.label(1, "Phylloscopus collybita")
            own.wait_for("state.about.own.some(({ name }) => name === 'made elsewhere')")
            redrawn(page)
            page.select_option("#column", label="made elsewhere")
            own.wait_for("state.codes[1] === 0")
            label = page.locator(".label", has_text="Phylloscopus")
            assert label.get_attribute("title") == "Phylloscopus collybita"  # long names are whole
            assert label.locator("span").evaluate("(one) => one.scrollWidth <= one.clientWidth")
            assert "when two different ones are given" in page.text_content(".estimate")
            assert own.wrong == other.wrong == []


def test_the_page_says_where_guesses_come_from_the_average_spectrum_alone(browser, tmp_path):
    table, truth = beside_noise(learned=False)
    table.save(tmp_path / "clips.npz")
    with serving(tmp_path / "clips.npz") as (address, _), Page(browser, address) as own:
        own.column("heard")
        given = few(truth, 8)
        for name in np.unique(truth):
            own.select(*np.flatnonzero(given == name).tolist())
            own.page.fill("#new-label", str(name))
            own.page.press("#new-label", "Enter")
            own.wait_for(f"state.codes.filter((code) => state.classes[code] === {str(name)!r}).length === 8")
        own.wait_for("state.guesses?.way === 'spectrum'")
        note = own.page.locator("#way-note")
        note.wait_for()
        assert note.text_content().startswith("The average spectrum alone tells these labels apart better")
        assert own.wrong == []


def test_how_many_silent_clips_were_left_out_is_said(browser, tmp_path):
    write_collection(tmp_path)
    for take in range(4):
        soundfile.write(tmp_path / "sounds" / f"low-{take:02d}.wav", np.zeros(4800), 8000)
    given = ("--audio", str(tmp_path / "manifest.csv"))
    with serving(tmp_path / "clips.npz", *given) as (address, _), Page(browser, address) as own:
        own.column("call")
        own.page.evaluate(f"async () => (await import('/page/labelling.js')).drawHeldOut({COUNT})")
        said = "4 clips were left out so far: silent (below -90 dB), so there is nothing to say of them."
        own.page.locator(".queue .card", has_text=said).wait_for()
        assert own.state("state.held.reduce((sum, one) => sum + one, 0)") == COUNT - 4
        assert own.wrong == []
