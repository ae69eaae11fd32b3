"""The explorer's page for a person in haste, with two tabs, or with a server that is slow or fails."""

import pytest

from tests.small_browser import CHROMIUM, Page, redrawn
from tests.small_explore import PER_PITCH, PITCHES, serving, write_collection

pytest.importorskip("playwright.sync_api", reason="playwright is not installed (pip install playwright)")
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on the PATH (apt-get install chromium)"),
    pytest.mark.slow,
]
COUNT = 3 * PER_PITCH
TYPED = "half a note"


def test_an_undo_does_not_overtake_the_label_that_it_takes_back(browser, address):
    with Page(browser, address) as own:
        own.labelled("hasty undo")
        own.choose(1)
        own.hold("/api/steps")
        own.page.keyboard.press("1")
        own.wait_for("window.goOn")
        own.page.keyboard.press("Control+z")
        own.page.wait_for_timeout(300)
        own.go_on()
        own.page.wait_for_selector(".toast:has-text('Undone: picked “low” (1 clip)')")
        own.wait_for("state.codes[1] < 0")
        assert own.state("state.codes.filter((code) => code >= 0).length") == 3
        assert own.wrong == []


def test_a_column_stays_whole_until_the_next_one_is_known(browser, address):
    with Page(browser, address) as own:
        own.labelled("whole")
        own.choose(1)
        own.hold("/api/labels?column=next")
        own.page.select_option("#column", label="New column…")
        own.page.fill("#new-column", "next")
        own.page.press("#new-column", "Enter")
        own.wait_for("window.goOn")
        assert own.state("[state.column, ...state.classes]") == ["whole", *PITCHES]
        own.page.keyboard.press("3")  # of the column that is still there
        own.wait_for("state.codes[1] === 2")
        own.go_on()
        own.wait_for("state.column === 'next'")
        assert own.state("state.classes.length") == 0
        assert own.state("state.codes.every((code) => code < 0)")
        own.label(2, "middle")
        own.label(3, "high")
        assert own.state("state.classes") == ["middle", "high"]  # the first key is the first label's
        redrawn(own.page)
        own.page.select_option("#column", label="whole")
        own.wait_for("state.column === 'whole' && state.classes[state.codes[1]] === 'high'")
        assert own.wrong == []


def test_a_column_that_does_not_come_is_not_shown_as_chosen(browser, address):
    with Page(browser, address) as own:
        own.labelled("stays")
        own.column("goes")
        redrawn(own.page)
        own.page.route("**/api/labels?column=stays", lambda route: route.fulfill(status=500, json={"error": "no"}))
        own.page.select_option("#column", label="stays")
        own.page.wait_for_selector(".toast.bad")
        assert own.page.input_value("#column") == own.state("state.column") == "goes"
        own.page.unroute("**/api/labels?column=stays")
        assert [line for line in own.wrong if "500" not in line] == []


def test_guesses_that_were_asked_for_while_others_failed_come(browser, address):
    with Page(browser, address) as own:
        own.labelled("second of guesses")
        own.labelled("first of guesses")
        own.hold("/api/guesses?column=first")
        own.label(1, "low")
        own.wait_for("window.goOn")
        redrawn(own.page)
        own.page.select_option("#column", label="second of guesses")
        own.wait_for("state.column === 'second of guesses' && state.guesses === null")
        own.page.route("**/api/guesses?column=first*", lambda route: route.fulfill(status=500, json={"error": "no"}))
        own.go_on()
        own.guessed()
        own.page.unroute("**/api/guesses?column=first*")
        assert [line for line in own.wrong if "500" not in line] == []


def test_two_labels_of_a_clip_that_both_fail_leave_none(browser, address):
    with Page(browser, address) as own:
        page = own.page
        own.labelled("both fail")
        own.choose(1)
        page.route("**/api/steps", lambda route: route.fulfill(status=507, json={"error": "the disk is full"}))
        own.hold("/api/steps")
        page.keyboard.press("1")
        own.wait_for("window.goOn")
        page.keyboard.press("2")
        own.wait_for("state.codes[1] === 1")
        own.go_on()
        own.wait_for("document.querySelectorAll('.toast.bad').length === 2")
        assert own.state("state.codes[1]") == -1
        page.unroute("**/api/steps")
        page.keyboard.press("3")
        own.wait_for("state.about.own.find(({ name }) => name === 'both fail').counts.high === 2")
        assert own.state("state.codes[1]") == 2
        assert [line for line in own.wrong if "507" not in line] == []


def test_a_key_that_is_held_down_labels_one_clip(browser, address):
    with Page(browser, address) as own:
        own.labelled("held down")
        own.page.get_by_role("button", name="What to label next").click()
        own.wait_for("state.queue.clips.length === 10 && state.queue.at === 0")
        for _ in range(5):
            own.page.keyboard.down("1")
        own.page.keyboard.up("1")
        own.wait_for("state.queue.at === 1")
        assert own.state("state.codes.filter((code) => code >= 0).length") == 4
        assert own.wrong == []


def test_arrows_go_one_step_after_a_click_on_a_map(browser, address):
    with Page(browser, address) as own:
        page = own.page
        own.labelled("clicked map")
        own.choose(0)
        page.locator(".map[data-part=voices] .over").focus()
        for key, way in (("ArrowRight", [1, 0]), ("ArrowDown", [0, -1]), ("ArrowLeft", [-1, 0])):
            wanted = page.evaluate(
                "async (way) => { const { arrays } = await import('/page/api.js');"
                " const { nextTowards } = await import('/page/map-picking.js');"
                " const { state } = await import('/page/state.js');"
                " const { places } = await arrays('/api/maps/voices');"
                " const next = nextTowards(places, state.current, way); return next < 0 ? state.current : next; }",
                way,
            )
            page.keyboard.press(key)
            assert own.state("state.current") == wanted
        own.choose(0)
        page.keyboard.press("0")  # what the list of keys says, here too
        own.wait_for("state.codes[0] < 0")
        assert own.wrong == []


@pytest.mark.parametrize(("tab", "field"), [("clip", "textarea"), ("label", "#new-label")])
def test_the_clip_stays_under_who_is_typing(browser, address, tab, field):
    with Page(browser, address) as own:
        page = own.page
        own.labelled(f"typing {tab}")
        own.choose(1)
        own.hold("/api/suggestions")
        page.get_by_role("button", name="What to label next").click()
        own.wait_for("window.goOn")
        own.tab(tab)
        page.focus(field)
        page.keyboard.type(TYPED[:6])
        own.go_on()
        page.wait_for_timeout(300)
        page.keyboard.type(TYPED[6:])
        assert page.input_value(field) == TYPED
        assert own.state("state.current") == 1
        if tab == "label":
            page.keyboard.press("Enter")
            own.wait_for(f"state.classes[state.codes[1]] === {TYPED!r}")
        else:
            page.locator(field).blur()
            own.wait_for(f"state.notes[1] === {TYPED!r}")
        own.wait_for("state.queue.clips.length === 10 && state.current === state.queue.clips[0]")
        assert own.wrong == []


def test_what_another_tab_labels_shows_though_this_one_labels_too(browser, address):
    with Page(browser, address) as own:
        own.labelled("two tabs")
        with Page(browser, address, beside=own) as other:
            redrawn(other.page)
            if other.state("state.column") != "two tabs":
                other.page.select_option("#column", label="two tabs")
            other.wait_for("state.column === 'two tabs'")
            other.label(1, "low")
            other.wait_for("state.about.own.find(({ name }) => name === 'two tabs').counts.low === 2")
            own.label(20, "middle")
            own.wait_for("state.codes[1] >= 0")
            other.wait_for("state.codes[20] >= 0")
            assert own.wrong == other.wrong == []


def test_the_held_out_set_is_drawn_once_however_often_it_is_clicked(browser, address):
    with Page(browser, address) as own:
        own.labelled("drawn once")
        own.page.evaluate("() => { for (let i = 0; i < 3; i++) document.getElementById('held-out').click(); }")
        own.wait_for("state.queue.order === 'held' && state.queue.clips.length === 20")
        own.wait_for("state.estimate?.drawn === 20")
        assert own.state("state.held.reduce((sum, one) => sum + one, 0)") == 20
        assert own.wrong == []


def test_a_note_without_a_column_can_be_undone(browser, tmp_path):
    write_collection(tmp_path)
    with (
        serving(tmp_path / "clips.npz", "--audio", str(tmp_path / "manifest.csv")) as (address, _),
        Page(browser, address) as own,
    ):
        own.choose(2)
        own.tab("clip")
        own.page.fill("textarea", TYPED)
        own.page.locator("textarea").blur()
        own.wait_for(f"state.notes[2] === {TYPED!r}")
        own.page.keyboard.press("Control+z")
        own.wait_for("!(2 in state.notes)")
        redrawn(own.page)
        assert own.page.input_value("textarea") == ""
        assert own.wrong == []


def test_a_microphone_is_opened_once_and_closed_if_it_cannot_be_used(browser, address):
    with Page(browser, address) as own:
        page = own.page
        page.evaluate(
            "() => { window.asked = 0; window.stopped = 0;"
            " const stream = { getTracks: () => [{ stop: () => { window.stopped += 1; } }] };"
            " navigator.mediaDevices.getUserMedia = () => { window.asked += 1;"
            " return new Promise((done) => { window.allow = () => done(stream); }); };"
            " AudioWorklet.prototype.addModule = () => Promise.reject(new Error('no such module')); }"
        )
        own.tab("search")
        page.evaluate("() => { for (let i = 0; i < 3; i++) document.getElementById('microphone').click(); }")
        page.evaluate("window.allow()")
        page.wait_for_selector(".toast.bad:has-text('No microphone: no such module')")
        assert page.evaluate("[window.asked, window.stopped]") == [1, 1]
        assert page.locator("#microphone").is_enabled()
        assert own.wrong == []


def test_a_note_that_is_being_written_is_kept_when_the_page_is_left(browser, address):
    with Page(browser, address) as own:
        asked = []
        own.page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.dismiss()))
        own.tab("clip")
        own.choose(4)
        own.page.click("#panel-clip textarea")
        own.page.keyboard.type("half a thought")
        own.page.evaluate("() => { setTimeout(() => location.reload()); }")
        own.wait_for("state.notes[4] === 'half a thought'")
        for _ in range(100):
            kept = own.page.evaluate("fetch('/api/about').then((answer) => answer.json())")["notes_of"]
            if "4" in kept:
                break
            own.page.wait_for_timeout(50)
        assert kept["4"] == "half a thought"
        assert asked == ["beforeunload"]
        own.page.keyboard.press("Escape")
        own.page.keyboard.press("Control+z")  # other tests look at notes too
        own.wait_for("!(4 in state.notes)")
        assert own.wrong == []


def test_the_sound_that_was_dropped_last_is_what_is_found(browser, address):
    """The page's part alone: answers are given, and the server hears one file at a time."""
    drop = (
        "(name) => { const data = new DataTransfer(); data.items.add(new File([new Uint8Array(10)], name));"
        " window.dispatchEvent(new DragEvent('drop', { dataTransfer: data })); }"
    )
    near = {"clips": [1, 2], "distances": [0.1, 0.2]}
    answer = {"near": {"words": near, "voices": near}, "guess": None, "voice": None}
    with Page(browser, address) as own:
        asked = []
        own.page.route("**/api/search*", lambda route: (asked.append(route), route.fulfill(json=answer)))
        own.hold("/api/search")
        own.page.evaluate(drop, "first.wav")
        own.wait_for("window.goOn")
        own.page.evaluate(drop, "second.wav")
        own.page.evaluate(drop, "third.wav")
        own.page.wait_for_timeout(300)
        assert asked == []  # the others wait
        assert "“third.wav”" in own.page.text_content(".found")
        own.go_on()
        own.page.wait_for_selector(".found .near li")
        assert own.page.text_content(".found .name") == "third.wav"
        assert len(asked) == 2  # the second was given up before it was sent
        assert own.wrong == []


def test_points_come_back_when_the_graphics_driver_was_lost(browser, address):
    with Page(browser, address) as own:
        shares = own.page.evaluate(
            """async () => {
              const { makePoints } = await import('/page/points.js');
              const { palette } = await import('/page/palette.js');
              const [canvas, copy] = [document.createElement('canvas'), document.createElement('canvas')];
              for (const one of [canvas, copy]) { one.width = 60; one.height = 40; }
              const brush = copy.getContext('2d');
              let anew = null;
              const points = makePoints(canvas, () => anew());
              points.setColours(palette());
              points.setPlaces(Float32Array.from([20, 0, 40, 0]));
              points.setLooks(Uint8Array.from([0, 0, 1, 0]));
              const drawn = () => {
                points.draw({ scale: 1, x: 0, y: 20, width: 60, height: 40, ratio: 1, dot: 12 });
                brush.clearRect(0, 0, 60, 40);
                brush.drawImage(canvas, 0, 0);
                return [...brush.getImageData(0, 0, 60, 40).data];
              };
              const before = drawn();
              const own = canvas.getContext('webgl2').getExtension('WEBGL_lose_context');
              own.loseContext();
              await new Promise((done) => setTimeout(done, 100));
              points.setLooks(Uint8Array.from([1, 0, 0, 0]));  // the other way round, while nothing can be drawn
              const after = await new Promise((done) => { anew = () => done(drawn()); own.restoreContext(); });
              const ink = (data) => data.filter((value, at) => at % 4 === 3 && value > 0).length;
              return [ink(before), ink(after), before.every((value, at) => value === after[at])];
            }"""
        )
        assert shares[0] > 100
        assert abs(shares[0] - shares[1]) < 60  # other shapes at the same places
        assert not shares[2]
