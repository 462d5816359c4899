"""The page in a real Chromium: what a person does with it, from the first file to a model that has learnt.

Playwright comes with the extra ``test`` and drives Debian's browser (``apt install chromium``); it downloads none. Without either of
them these tests are skipped.
"""

from __future__ import annotations

import io
import json
import re
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright", reason="the page is driven by Playwright, which comes with the extra 'test'")
from playwright.sync_api import Browser, Page, Route, expect, sync_playwright

expect.set_options(timeout=30_000)  # on a machine that is busy with other things
CHROMIUM = Path("/usr/bin/chromium")  # Debian's package of that name
pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason="the page needs Chromium: apt install chromium")

# what is played, where from, and where it stops: sound that is played is no element of the page
EAR = """
  window.heard = [];
  const play = HTMLMediaElement.prototype.play;
  HTMLMediaElement.prototype.play = function () {
    const entry = {start: this.currentTime, end: null};
    window.heard.push(entry);
    this.addEventListener("pause", () => { entry.end = this.currentTime; }, {once: true});
    return play.call(this);
  };
"""

WORKER = """
import json, shutil, sys, time
from pathlib import Path
bundle, manifest, output = sys.argv[2], sys.argv[3], sys.argv[5]
def say(**record): print(json.dumps(record), file=sys.stderr, flush=True)
say(event="progress", stage="training", fraction=0.4, seconds_left=123.0)
go = Path(sys.argv[1])
while not go.exists(): time.sleep(0.02)
if go.read_text() == "fail": sys.exit("recognizer: these corrections are too few")
shutil.copytree(bundle, output)
found = {"items": sum(1 for _ in open(manifest, encoding="utf-8")), "held_back": 40, "minutes": 0.5, "gained": True}
say(event="result", bundle=output, before=0.142, after=0.068, interval=[-0.1, -0.05], metric="CER", **found)
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        cut = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"  # no other machine is reached
        fake = [cut, "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream", "--mute-audio"]
        with playwright.chromium.launch(executable_path=str(CHROMIUM), args=fake) as found:
            yield found


@pytest.fixture
def visit(browser: Browser, desk: Any) -> Iterator[Callable[..., Page]]:
    """Open the page in a window of its own. Nothing may be asked of another machine, and nothing may fail in the page."""
    asked: list[str] = []
    faults: list[str] = []
    contexts = []

    def begin(path: str = "", **options: Any) -> Page:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})
        contexts.append(context)
        context.set_default_timeout(30_000)
        context.faults = faults  # type: ignore[attr-defined]
        context.add_init_script(EAR)
        context.on("request", lambda request: asked.append(request.url))
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda message: faults.append(message.text) if "Content Security Policy" in message.text else None)
        page.on("dialog", lambda dialog: (faults.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.goto(desk.url + "/" + path)
        page.wait_for_selector("html[data-ready]")
        return page

    yield begin
    for context in contexts:
        for page in context.pages:
            page.unroute_all(behavior="ignoreErrors")
        context.close()
    assert faults == [] and asked
    assert [url for url in asked if not url.startswith((desk.url, f"blob:{desk.url}", "data:"))] == []


def _correction(desk: Any, id: str, text: str) -> None:
    """Wait until an item has this text, corrected."""
    end = time.monotonic() + 30
    with desk.client() as client:
        while (found := client.get(f"/api/items/{id}").json())["text"] != text or found["state"] != "corrected":
            assert time.monotonic() < end, found
            time.sleep(0.02)


def _until(page: Page, expression: str) -> None:
    """Wait until something holds in the page; Playwright's own way to wait for that is forbidden by the page's security policy."""
    end = time.monotonic() + 30
    while not page.evaluate(expression):
        assert time.monotonic() < end, (expression, page.evaluate("document.activeElement.outerHTML.slice(0, 300)"))
        time.sleep(0.02)


def _rewrite(page: Page, address: str, change: Callable[[Any], None]) -> None:
    """Change what the service answers at an address."""

    def answer(route: Route) -> None:
        response = route.fetch()
        body = response.json()
        change(body)
        route.fulfill(response=response, json=body)

    page.route(address, answer)


def test_files_are_added_read_and_shown(visit: Callable[..., Page], png: Callable[..., bytes], wav: Callable[..., bytes]) -> None:
    page = visit()
    expect(page.locator("#welcome")).to_be_visible()
    page.set_input_files("#files", [
        {"name": "one.wav", "mimeType": "audio/wav", "buffer": wav("abcd")}, {"name": "two.png", "mimeType": "image/png", "buffer": png("dcba")},
        {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"hello"}])  # fmt: skip
    expect(page.locator(".notice.bad")).to_contain_text("notes.txt: its ending '.txt' is none of a recording or picture")
    expect(page.locator(".row.read")).to_have_count(2)
    expect(page.locator("#progress")).to_have_text("0 of 2 items corrected")
    page.locator(".row", has_text="two.png").click()
    expect(page.locator("#words .word")).to_have_text(["dcba"])
    expect(page.get_by_role("img", name="Picture of two.png")).to_be_visible()
    assert page.locator("#strip img").evaluate("img => [img.naturalWidth, img.naturalHeight]") == [56, 20]
    page.locator(".row", has_text="one.wav").click()
    expect(page.locator(".mark")).to_have_text(["abcd"])
    _until(page, """() => {
        const canvas = document.querySelector('canvas.wave');
        return canvas && new Set(new Uint32Array(canvas.getContext('2d').getImageData(0, 20, canvas.width, 1).data.buffer)).size > 1;
    }""")  # the outline rises above its middle
    page.get_by_role("button", name="Spikes").click()
    expect(page.locator("canvas.spikes")).to_be_visible()


def test_news_are_newer_than_answers_on_their_way(visit: Callable[..., Page], png: Callable[..., bytes]) -> None:
    page = visit()
    held: list[Route] = []
    free = False
    page.route(re.compile(r"/api/items(\?|/[^/]+$)"), lambda route: route.continue_() if free else held.append(route))
    page.set_input_files("#files", [{"name": "one.png", "mimeType": "image/png", "buffer": png("abcd")}])
    expect(page.locator("#progress")).to_have_text("0 of 1 item corrected")  # it was read, and the page was told
    free = True
    assert {"?" in route.request.url for route in held} == {True, False}  # the list, and the item that was opened
    for route in held:
        response = route.fetch()
        body = response.json()
        for item in body.get("items", [body]):
            item |= {"state": "new", "text": "", "words": []}
        body["counts"] = {"new": 1}
        route.fulfill(response=response, json=body)
    expect(page.locator(".row.read .snippet")).to_have_text("abcd")
    expect(page.locator("#words .word")).to_have_text(["abcd"])
    expect(page.locator("#count-read")).to_have_text("1")


def test_folders_and_drops_keep_their_paths(visit: Callable[..., Page], desk: Any, png: Callable[..., bytes], tmp_path: Path) -> None:
    folder = tmp_path / "book"
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "a.png").write_bytes(png("ab"))
    (folder / ".hidden.png").write_bytes(png("cd"))
    page = visit()
    page.set_input_files("#folder", str(folder))
    expect(page.locator(".notice", has_text="1 hidden file left out")).to_be_visible()
    expect(page.locator(".row .file")).to_have_text(["book/inner/a.png"])
    page.evaluate("""data => {
        const transfer = new DataTransfer();
        transfer.items.add(new File([new Uint8Array(data)], 'dropped.png', {type: 'image/png'}));
        for (const name of ['dragenter', 'dragover', 'drop']) {
            window.dispatchEvent(new DragEvent(name, {dataTransfer: transfer, bubbles: true, cancelable: true}));
        }
    }""", list(png("dd")))  # fmt: skip
    expect(page.locator(".row", has_text="dropped.png")).to_be_visible()


def test_correcting_with_the_keyboard_alone(visit: Callable[..., Page], desk: Any, fill: Callable[..., Any]) -> None:
    one, two, three = fill("aaaa", "bbbb", "cccc")
    page = visit()
    press = page.keyboard.press
    press("/")
    page.keyboard.type("png")
    expect(page.locator(".row")).to_have_count(3)
    for _ in range(10):
        press("Tab")
        if page.evaluate("document.activeElement.id") == "sort":
            break
    press("ArrowDown")  # by name
    assert page.input_value("#sort") == "name"
    press("Tab")
    press("Tab")
    assert page.evaluate("document.activeElement.id") == "list"
    _until(page, "document.querySelector('.row .file').textContent === 'aaaa.png'")
    press("Home")
    press("Enter")
    expect(page.locator("#words .word:focus")).to_have_text(one["text"])
    page.keyboard.type("ab cd")
    press("Enter")  # the word, and the item
    expect(page.locator("#words .word:focus")).to_have_text(two["text"])
    _correction(desk, one["id"], "ab cd")
    press("Enter")  # right as it is
    expect(page.locator("#words .word:focus")).to_have_text(three["text"])
    _correction(desk, two["id"], two["text"])
    press("F2")
    page.keyboard.press("Control+a")
    page.keyboard.type("first")
    press("Shift+Enter")
    page.keyboard.type("second")
    press("Enter")
    _correction(desk, three["id"], "first\nsecond")
    expect(page.locator("#progress")).to_have_text("3 of 3 items corrected")
    press("Control+z")  # takes back what was saved last
    expect(page.locator(".row", has_text="cccc.png").locator(".state, .measure")).not_to_have_text("Corrected")
    with desk.client() as client:
        assert client.get(f"/api/items/{three['id']}").json()["state"] == "read"
    press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_contain_text("save, and go on to the next")
    press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_undo_goes_back_step_by_step(visit: Callable[..., Page], desk: Any, fill: Callable[..., Any]) -> None:
    (item,) = fill("abcd")
    page = visit(f"#{item['id']}")
    words = page.locator("#words .word")
    words.first.focus()
    page.keyboard.type("x y")
    page.keyboard.press("Tab")
    expect(words).to_have_text(["x", "y"])
    expect(words.first).to_have_class("word changed")
    page.keyboard.press("Delete")
    expect(words).to_have_text(["x"])
    page.keyboard.press("Control+z")
    expect(words).to_have_text(["x", "y"])
    page.get_by_role("button", name="Undo").click()
    expect(words).to_have_text(["abcd"])
    expect(page.get_by_role("button", name="Undo")).to_be_disabled()
    page.get_by_role("button", name="Edit as text").click()
    page.locator("#area").fill("dd")
    page.get_by_role("button", name="Save and next").click()
    _correction(desk, item["id"], "dd")
    expect(page.locator(".chip.corrected")).to_be_visible()
    expect(page.locator("#others summary")).to_have_text("1 other reading")
    page.get_by_role("button", name="Undo").click()
    expect(words).to_have_text(["abcd"])
    expect(page.locator(".chip.corrected")).to_have_count(0)


def test_a_word_is_played_alone_and_shown_in_its_place(visit: Callable[..., Page], desk: Any, fill: Callable[..., Any]) -> None:
    (item,) = fill("abcd", sound=True)
    with desk.client() as client:
        client.put(f"/api/items/{item['id']}/correction", json={"text": "ab cd"})
        first, second = client.get(f"/api/items/{item['id']}").json()["words"]
    page = visit(f"#{item['id']}")
    words = page.locator("#words .word")
    words.first.click()
    page.keyboard.press("Tab")
    expect(page.locator(".mark.chosen")).to_have_text("cd")
    _until(page, "window.heard.length >= 2 && window.heard.at(-1).end !== null")
    heard = page.evaluate("window.heard")
    assert heard[0]["start"] == pytest.approx(first["start"], abs=0.01) and heard[-1]["start"] == pytest.approx(second["start"], abs=0.01)
    assert second["start"] < heard[-1]["end"] < second["end"] + 0.3
    page.locator(".mark", has_text="ab").click()
    expect(words.first).to_be_focused()
    _until(page, "window.heard.length >= 3")
    left = page.locator(".mark.chosen").evaluate("mark => parseFloat(mark.style.left) / parseFloat(mark.closest('.inner').style.width)")
    assert left == pytest.approx(first["start"] / item["seconds"], abs=0.02)


def test_alternatives_of_a_word(visit: Callable[..., Page], desk: Any, fill: Callable[..., Any]) -> None:
    (item,) = fill("abcd")
    page = visit()

    def offer(body: dict[str, Any]) -> None:
        if body["state"] == "read":
            body["words"] = [{"text": text, "start": 14 * n, "end": 14 * n + 12, "confidence": sure, "box": None, "alternatives": others}
                             for n, (text, sure, others) in enumerate([("ab", 0.99, []), ("cd", 0.3, ["dd", ""]), ("a", 0.6, [])])]  # fmt: skip
            body |= {"text": "ab cd a", "alternatives": ["ab dd a", "ab a"]}

    _rewrite(page, f"**/api/items/{item['id']}", offer)
    page.locator(".row").click()
    word = page.locator("#words .word", has_text="cd")
    expect(word).to_be_focused()  # the first that is doubtful
    assert [page.locator("#words .word").nth(n).get_attribute("class") for n in range(3)] == ["word sure", "word doubtful more", "word unsure"]
    assert word.get_attribute("aria-label") == "cd, 30 %, doubtful, 2 alternatives"
    styles = page.locator("#words .word").evaluate_all("words => words.map((word) => getComputedStyle(word).textDecorationStyle)")
    assert len(set(styles)) == 3  # told apart by more than color
    page.keyboard.press("ArrowDown")
    choices = page.get_by_role("listbox", name="Alternatives")
    expect(choices.get_by_role("option")).to_have_text(["dd", "(nothing)"])
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator("#words .word")).to_have_text(["ab", "a"])
    page.keyboard.press("Control+z")
    page.locator("#words .word", has_text="cd").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator("#words .word")).to_have_text(["ab", "dd", "a"])
    page.locator("#others summary").click()
    page.get_by_role("button", name="ab a", exact=True).click()
    expect(page.locator("#words .word")).to_have_text(["ab", "a"])
    page.locator("#words .word").first.focus()
    page.keyboard.press("Enter")
    _correction(desk, item["id"], "ab a")


def test_lists_are_searched_sorted_and_filtered(visit: Callable[..., Page], desk: Any, fill: Callable[..., Any]) -> None:
    items = fill("abab", "cdcd", "aaaa")
    with desk.client() as client:
        client.put(f"/api/items/{items[2]['id']}/correction", json={"text": "Éclair"})
    page = visit()
    names = page.locator(".row .file")
    expect(names.last).to_have_text("cdcd.png")  # corrected: at the end
    shown = [float(text.split()[0]) for text in page.locator(".row .measure").all_text_contents()]
    assert shown == sorted(shown) and len(shown) == 2
    page.select_option("#sort", "name")
    expect(names).to_have_text(["aaaa.png", "abab.png", "cdcd.png"])
    page.fill("#search", "éclair")
    expect(names).to_have_text(["cdcd.png"])
    page.fill("#search", "nothing like this")
    expect(page.locator("#rows")).to_have_text("Nothing matches.")
    page.fill("#search", "")
    page.locator("#states label", has_text="Corrected").click()
    expect(names).to_have_text(["cdcd.png"])
    expect(page.locator("#count-corrected")).to_have_text("1")


def test_thousands_of_items_stay_quick(visit: Callable[..., Page], fill: Callable[..., Any]) -> None:
    (item,) = fill("ab")
    page = visit()

    def answer(route: Route) -> None:
        first = int(route.request.url.partition("offset=")[2].partition("&")[0])
        part = [item | {"id": f"{n:016x}", "name": f"line {n}.png"} for n in range(first, min(first + 500, 5000))]
        route.fulfill(json={"total": 5000, "counts": {"new": 0, "read": 5000, "corrected": 0, "learnt": 0}, "items": part})

    page.route("**/api/items?*", answer)
    page.select_option("#sort", "time")
    expect(page.locator("#live")).to_have_text("5,000 items")
    assert page.locator("#rows").evaluate("rows => rows.clientHeight") == 70 * 5000
    page.locator("#list").evaluate("list => { list.scrollTop = list.scrollHeight; }")
    expect(page.locator(".row").last).to_contain_text("line 4999.png")
    assert page.locator(".row").count() < 40 and page.locator(".row").last.get_attribute("aria-posinset") == "5000"


def test_exports(visit: Callable[..., Page], desk: Any, fill: Callable[..., Any]) -> None:
    one, _ = fill("abcd", "dcba")
    page = visit(f"#{one['id']}")

    def export(format: str, scope: str) -> bytes:
        page.keyboard.press("x")
        page.select_option("#export-format", format)
        page.get_by_role("radio", name=scope).check()
        with page.expect_download() as download:
            page.get_by_role("button", name="Save file").click()
        return Path(download.value.path()).read_bytes()

    assert export("txt", "This item").decode() == "abcd\n"
    assert b"CONTENT=" in export("alto", "This item")
    assert sorted(zipfile.ZipFile(io.BytesIO(export("txt", "The whole project"))).namelist()) == ["abcd.txt", "dcba.txt"]
    page.keyboard.press("x")
    page.select_option("#export-format", "manifest")
    page.get_by_role("radio", name="The whole project").check()
    page.get_by_role("button", name="Save file").click()
    expect(page.get_by_role("alert").filter(has_text="nothing among these items has been corrected")).to_be_visible()


def test_teaching_to_the_end(visit: Callable[..., Page], desk: Any, fill: Callable[..., Any], tmp_path: Path) -> None:
    script, go = tmp_path / "worker.py", tmp_path / "go"
    script.write_text(WORKER, encoding="utf-8")
    desk.app.teacher.command = (sys.executable, str(script), str(go))
    items = fill("abcd", "dcba", "aaaa")
    page = visit()
    page.keyboard.press("t")
    dialog = page.get_by_role("dialog", name="Teach")
    expect(dialog.get_by_role("button", name="Start teaching")).to_be_disabled()
    page.keyboard.press("Escape")
    with desk.client() as client:
        for item in items[:2]:
            client.put(f"/api/items/{item['id']}/correction", json={"text": "abca"})
    expect(page.locator("#progress")).to_have_text("2 of 3 items corrected")
    page.get_by_role("button", name="Teach").click()
    expect(dialog.locator(".plot circle")).to_have_count(2)
    dialog.get_by_role("button", name="Start teaching").click()
    expect(dialog.locator(".stage")).to_have_text("training · 40 % · 2 min left")
    expect(page.locator("#teach-label")).to_have_text("Teaching 40 %")
    dialog.get_by_role("button", name="Cancel").click()
    expect(dialog).to_contain_text("The lesson was cancelled")
    go.write_text("fail", encoding="utf-8")
    dialog.get_by_role("button", name="Teach again").click()
    expect(dialog.get_by_role("alert")).to_have_text("these corrections are too few")
    go.write_text("", encoding="utf-8")
    dialog.get_by_role("button", name="Teach again").click()
    expect(dialog.locator(".outcome")).to_contain_text("Before 14.2 % → after 6.8 % on 40 lines held back")
    expect(dialog.locator(".outcome")).to_contain_text("bundle-2 is in use; what nobody corrected is read again.")
    expect(page.locator(".row.learnt")).to_have_count(2)
    expect(dialog.locator(".plot .lesson")).to_have_count(1)
    with desk.client() as client:
        assert client.get("/api/project").json()["models"]["line"] == "bundle-2"


@pytest.mark.slow
def test_a_real_lesson_from_the_page(visit: Callable[..., Page], desk: Any, fill: Callable[..., Any]) -> None:
    texts = ["".join("abcd"[(number >> 2 * place) % 4] for place in range(4)) for number in range(0, 240, 20)]
    items = fill(*texts)
    with desk.client() as client:
        for item in items:
            client.put(f"/api/items/{item['id']}/correction", json={"text": item["name"][:4]})
    page = visit()
    page.keyboard.press("t")
    dialog = page.get_by_role("dialog", name="Teach")
    dialog.get_by_label("Minutes at most").fill("1")
    dialog.get_by_role("button", name="Start teaching").click()
    expect(dialog.locator(".outcome")).to_contain_text("held back", timeout=120_000)


def test_corrections_are_kept_while_the_service_is_gone(visit: Callable[..., Page], desk: Any, fill: Callable[..., Any]) -> None:
    one, two = fill("aaaa", "bbbb")
    page = visit()
    page.select_option("#sort", "name")
    page.locator(".row", has_text="aaaa.png").click()
    expect(page.locator("#words .word")).to_have_text(["aaaa"])
    page.route("**/correction", lambda route: route.abort())
    page.locator("#words .word").first.focus()
    page.keyboard.type("abab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert").filter(has_text="The service does not answer. 1 correction is kept in this page")).to_be_visible()
    expect(page.locator("#words .word")).to_have_text(["bbbb"])  # work goes on
    page.reload()
    page.wait_for_selector("html[data-ready]")
    expect(page.locator("#offline")).to_contain_text("1 correction is kept")
    with desk.client() as client:
        assert client.get(f"/api/items/{one['id']}").json()["state"] == "read"
    page.unroute("**/correction")
    page.evaluate("window.dispatchEvent(new Event('online'))")
    _correction(desk, one["id"], "abab")
    expect(page.locator("#offline")).to_be_hidden()
    page.route("**/correction", lambda route: route.fulfill(status=422, json={"error": {"message": "the text is too long"}}))
    page.locator(".row", has_text="bbbb.png").click()
    page.locator("#words .word").first.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".notice.bad")).to_contain_text("bbbb.png: the correction was refused: the text is too long")
    expect(page.locator(".notice.bad li")).to_have_text("bbbb")  # nothing is lost
    assert page.evaluate("Object.keys(localStorage).filter((key) => key.includes('outbox'))") == []
    assert two["state"] == "read"


def test_a_service_that_ends_is_noticed(browser: Browser, start: Callable[..., Any], tmp_path: Path) -> None:
    page = browser.new_page()
    with start(project=tmp_path / "other") as found:
        page.goto(found.url)
        page.wait_for_selector("html[data-ready]")
        page.evaluate("1")
        found.app.desk.events.send("failure", {"id": "x", "error": "the disk is full"})
        expect(page.locator(".notice.bad")).to_contain_text("the disk is full")
        page.context.set_offline(True)
    expect(page.locator("#offline")).to_contain_text("The service does not answer")
    page.close()


def test_a_narrow_screen(visit: Callable[..., Page], fill: Callable[..., Any]) -> None:
    page = visit(viewport={"width": 360, "height": 640}, color_scheme="dark")
    expect(page.get_by_role("button", name="Choose files")).to_be_visible()
    fill("abcdabcd" * 6, sound=True)
    page.reload()
    page.wait_for_selector("html[data-ready]")
    fits = "document.scrollingElement.scrollWidth <= 360"
    outside = """() => [...document.querySelectorAll('button, input, select, textarea, h2, p')].filter((each) => each.checkVisibility()
        && !each.closest('.hidden') && each.getBoundingClientRect().width > 1 && each.getBoundingClientRect().right > 361)
        .map((each) => each.outerHTML)"""
    assert page.evaluate(fits) and page.evaluate(outside) == []
    expect(page.locator("#item-view")).to_be_hidden()
    page.locator(".row").click()
    expect(page.locator("#words")).to_be_visible()
    expect(page.locator("#list-view")).to_be_hidden()
    assert page.evaluate(fits) and page.evaluate(outside) == []
    for name in ("Add", "Record", "Write", "Export", "Keys"):
        assert page.locator("nav").get_by_role("button", name=name).is_visible()
    for name in ("Export", "Teach", "Keys", "Write"):
        page.locator("nav").get_by_role("button", name=name).click()
        expect(page.get_by_role("dialog")).to_be_visible()
        assert page.evaluate(fits) and page.evaluate(outside) == [], name
        page.keyboard.press("Escape")
    page.get_by_role("button", name="Back to the list").click()
    expect(page.locator(".row")).to_be_visible()


def test_dark_and_light(visit: Callable[..., Page]) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    page = visit(color_scheme="dark")
    dark = page.evaluate(ground)
    page.get_by_role("button", name="Dark or light").click()
    light = page.evaluate(ground)
    page.reload()
    assert page.evaluate(ground) == light != dark
    assert visit(color_scheme="light").evaluate(ground) == light


def test_scripts_in_names_and_texts_are_only_text(visit: Callable[..., Page], desk: Any, fill: Callable[..., Any]) -> None:
    evil = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script><svg/onload=window.hacked=1>'
    (item,) = fill("abcd")
    with desk.client() as client:
        client.put(f"/api/items/{item['id']}/correction", json={"text": evil})
    page = visit()

    def spoil(body: dict[str, Any]) -> None:
        for each in [body, *body.get("items", [])]:
            if "name" in each:
                each |= {"name": evil, "group": evil, "error": evil, "model": evil}
        if "words" in body:
            body |= {"alternatives": [evil], "earlier": [evil + "2"]}
            body["words"][0]["alternatives"] = [evil]

    _rewrite(page, "**/api/items?*", spoil)
    _rewrite(page, f"**/api/items/{item['id']}", spoil)
    page.select_option("#sort", "name")
    expect(page.locator(".row .file")).to_have_text(f"{evil}/{evil}")
    page.locator(".row").click()
    expect(page.locator("#name")).to_have_text(evil)
    expect(page.locator("#trouble")).to_have_text(evil)
    page.locator("#words .word").first.focus()
    page.keyboard.press("ArrowDown")
    expect(page.locator("#choices [role=option]").first).to_have_text(evil)
    page.keyboard.press("Escape")
    page.keyboard.press("x")
    page.keyboard.press("Escape")
    desk.app.desk.events.send("failure", {"id": "x", "error": evil})
    expect(page.locator(".notice.bad p").last).to_have_text(evil)
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert page.evaluate("window.hacked") is None
    assert page.locator("img:not(#strip img), script:not(head script)").count() == 0
    page.evaluate("""() => {
        const script = document.createElement('script');
        script.textContent = 'window.hacked = 2';
        document.body.append(script);
    }""")  # even if one got in
    assert page.evaluate("window.hacked") is None
    faults = page.context.faults  # type: ignore[attr-defined]
    assert len(faults) == 1 and "Content Security Policy" in faults.pop()


def test_recording_and_writing(visit: Callable[..., Page], desk: Any) -> None:
    page = visit(permissions=["microphone"])
    page.keyboard.press("r")
    dialog = page.get_by_role("dialog", name="Recording")
    _until(page, "document.querySelector('dialog .big')?.textContent > '0:00.4'")
    dialog.get_by_role("button", name="Stop and read").click()
    expect(page.locator("#name")).to_have_text(re.compile(r"recording \d{4}-\d\d-\d\d \d\d-\d\d-\d\d\.wav"))
    page.locator("nav").get_by_role("button", name="Write").click()
    paper = page.get_by_role("img", name="Paper")
    box = paper.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 60, box["y"] + 30)
    page.mouse.down()
    page.mouse.move(box["x"] + 160, box["y"] + 80, steps=8)
    page.mouse.up()
    page.get_by_role("button", name="Read it").click()
    expect(page.locator("#name")).to_have_text(re.compile(r"drawing .*\.png"))
    expect(page.locator(".row")).to_have_count(2)
    with desk.client() as client:
        found = {item["kind"]: item for item in client.get("/api/items").json()["items"]}
        assert set(found) == {"audio", "line"}
        peaks = client.get(f"/api/items/{found['audio']['id']}/peaks?n=10").json()
        assert 0.3 < peaks["seconds"] < 10
        picture = client.get(f"/api/items/{found['line']['id']}/media").content
    from PIL import Image

    width, height = Image.open(io.BytesIO(picture)).size
    assert 150 < width < 500 and 80 < height < 260  # cut to what was written


def test_a_page_shows_its_lines(visit: Callable[..., Page], fill: Callable[..., Any]) -> None:
    sheet, line = fill("abcd", "dcba")
    page = visit()

    def lay_out(body: dict[str, Any]) -> None:
        outline = [[2, 2], [50, 2], [50, 18], [2, 18]]
        body |= {"kind": "page", "width": 56, "height": 20, "words": [], "alternatives": [], "lines": [line | {"outline": outline}]}

    _rewrite(page, f"**/api/items/{sheet['id']}", lay_out)
    page.locator(".row", has_text="abcd.png").click()
    expect(page.locator("#lines li")).to_have_count(1)
    page.locator("#lines button").focus()
    expect(page.locator("polygon.chosen")).to_have_count(1)
    expect(page.get_by_role("button", name="Save and next")).to_be_hidden()
    page.locator("polygon").click()
    expect(page.locator("#name")).to_have_text("dcba.png")
    page.go_back()
    expect(page.locator("#name")).to_have_text("abcd.png")


def test_a_pen_trace_is_a_picture_without_words_over_it(visit: Callable[..., Page], fill: Callable[..., Any]) -> None:
    (item,) = fill("abcd")
    page = visit()
    drawing = '<svg xmlns="http://www.w3.org/2000/svg" width="300" height="100"><polyline points="10,90 40,10 70,90"/></svg>'
    page.route("**/media", lambda route: route.fulfill(content_type="image/svg+xml", body=drawing))
    _rewrite(page, f"**/api/items/{item['id']}", lambda body: body.update(kind="strokes", width=60))
    page.locator(".row").click()
    expect(page.locator("#words .word")).to_have_text(["abcd"])
    _until(page, "document.querySelector('#strip img')?.naturalWidth === 300")
    page.locator("#words .word").focus()
    assert page.locator(".mark").count() == 0 and page.locator("#play").is_hidden()
    page.get_by_role("button", name="Spikes").click()
    _until(page, """() => {
        const canvas = document.querySelector('canvas.spikes'), half = Math.floor(canvas.width / 2);
        const inked = (x) => new Set(new Uint32Array(canvas.getContext('2d').getImageData(x, 0, half, canvas.height - 12).data.buffer)).size > 1;
        return !canvas.hidden && inked(0) && inked(half);
    }""")  # over all of its width


def test_everything_has_a_name_for_screen_readers(visit: Callable[..., Page], fill: Callable[..., Any]) -> None:
    (item,) = fill("abcd")
    page = visit(f"#{item['id']}")
    tree = json.dumps(page.locator("body").aria_snapshot())
    assert 'region \\"Items\\"' in tree and 'listbox \\"Items\\"' in tree and 'heading \\"abcd.png\\"' in tree and "main" in tree
    nameless = page.evaluate("""() => [...document.querySelectorAll('button, input, select, textarea, canvas, img')].filter((each) => {
        const label = each.getAttribute('aria-label') || each.textContent.trim() || each.alt || each.labels?.[0]?.textContent.trim();
        return !label && each.checkVisibility();
    }).map((each) => each.outerHTML)""")
    assert nameless == []
    page.keyboard.press("PageDown")
    expect(page.locator("#live")).to_have_text("This is the last item.")
