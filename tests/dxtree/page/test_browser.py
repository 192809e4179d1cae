"""Does the page work in a real browser, for everybody, and without a word to another site?"""

from __future__ import annotations

import io
import os
import re
import shutil
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dxtree.page.wording import LANGUAGES, words
from dxtree.service import Judge, KeyRing
from modalities.cnn.attribution import can_take_gradients
from tests.dxtree.service.conftest import running

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")
if find_spec("playwright") is None or CHROMIUM is None:
    pytest.skip("needs playwright, and chromium on the PATH or named by CHROMIUM", allow_module_level=True)

pytestmark = pytest.mark.slow  # ten seconds a test, most of them axe-core's

AXE = (Path(__file__).parent / "vendored" / "axe.min.js").read_text("utf-8")
PHONE, DESKTOP = {"width": 360, "height": 740}, {"width": 1280, "height": 900}
HOSTILE = "<img src=x onerror=alert(1)>.jpg"
MULTI_FRAME = "1.2.840.10008.5.1.4.1.1.7.4"
WAIT = 120_000
"""Milliseconds; long, as a machine that does other things as well is slow and not broken."""


@pytest.fixture(scope="module")
def address(judge: Judge) -> Iterator[str]:
    if can_take_gradients():
        import_module("modalities.cnn.gradients")  # the first map loads torch, on a busy machine for long
    with running(judge, waiting_per_client=64) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def opened(browser: Any, address: str) -> Iterator[Callable[..., Any]]:
    """Opens the page. At the end no other site was asked, and nothing failed or was stored in the browser."""
    contexts, elsewhere, faults = [], [], []

    def watch(request: Any) -> None:
        if not request.url.startswith((address, "data:", "blob:" + address)):
            elsewhere.append(request.url)

    def open_page(language: str = "en", size: Any = DESKTOP, scheme: str = "light", at: str = address) -> Any:
        context = browser.new_context(viewport=size, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(WAIT)
        if at == address:
            page.on("request", watch)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda m: faults.append(m.text) if "Content Security Policy" in m.text else None)
        page.goto(f"{at}/?lang={language}")
        return page

    yield open_page
    for context in contexts:
        for page in context.pages:
            assert page.evaluate("[localStorage.length, sessionStorage.length, document.cookie]") == [
                0,
                0,
                "",
            ]
        assert context.cookies() == []
        context.close()
    assert (elsewhere, faults) == ([], [])


def violations(page: Any) -> list[tuple[str, str]]:
    """What axe-core finds: a rule and where it is broken."""
    # The policy of the page lets no script in; the debugger may put one there.
    page.evaluate(AXE)
    found = page.evaluate("axe.run().then(r => r.violations.map(v => [v.id, v.nodes[0].html.slice(0, 200)]))")
    return [tuple(v) for v in found]


def give(page: Any, jpegs: dict[str, bytes], name: str = "{}.jpg") -> None:
    files = [{"name": name.format(m), "mimeType": "image/jpeg", "buffer": d} for m, d in jpegs.items()]
    page.set_input_files("#files", files)
    for k, modality in enumerate(jpegs):
        page.locator("#images select").nth(k).select_option(modality)


def submit(page: Any) -> None:
    page.click("#case button[type=submit]")
    page.wait_for_selector("#answer .tree")


def open_first_node(page: Any) -> Any:
    node = page.locator("#answer .tree details").first
    if node.get_attribute("open") is None:
        node.locator("summary").first.click()
    return node


def test_two_images_and_an_empty_age_get_a_tree_whose_nodes_show_where_they_hang(
    opened: Callable[..., Any], jpegs: dict[str, bytes]
) -> None:
    page = opened()
    give(page, jpegs)
    page.select_option("#site", "back")
    submit(page)
    missing = page.locator(".inputs div").nth(1).inner_text()
    assert "Age in years" in missing
    assert "Site" not in missing
    node = open_first_node(page)
    node.get_by_role("button", name=re.compile("What moved it")).first.click()
    page.wait_for_selector("#answer caption")
    node.get_by_role("button", name=re.compile("Where in image 2")).first.click()
    page.wait_for_selector("#answer figure")
    sizes = page.evaluate("[...document.querySelectorAll('.stack img')].map(i => [i.naturalWidth, i.width])")
    assert sizes[0] == sizes[1]
    assert sizes[0][0] > 0
    sent: list[str] = []
    page.on("request", lambda r: sent.append(r.url) if "/saliency" in r.url else None)
    page.locator("#method").select_option("occlusion")
    node.get_by_role("button", name=re.compile("Where in image 2")).first.click()
    page.wait_for_selector(f"text={words('en')['where.about.occlusion'][:40]}")
    assert "method=occlusion" in sent[0]
    page.locator("input.opacity").first.fill("25")
    assert page.evaluate("document.querySelector('.heat').style.opacity") == "0.25"
    page.click("[data-language=zh]")
    page.wait_for_selector("text=" + words("zh")["tree.heading"])
    assert page.evaluate("document.documentElement.lang") == "zh"
    assert page.title() == words("zh")["title"]
    assert page.locator("#images li").count() == len(jpegs)
    assert page.input_value("#site") == "back"
    assert page.input_value("#age") == ""
    assert page.input_value("#method") == "occlusion"


def test_of_a_dicom_file_a_frame_is_named_and_its_map_is_the_frame_s(
    opened: Callable[..., Any], jpegs: dict[str, bytes]
) -> None:
    pytest.importorskip("pydicom", reason="the extra dicom is not installed")
    from tests.dicom.conftest import dicom_file

    shown = Image.open(io.BytesIO(jpegs["dermoscopy"])).convert("RGB").resize((300, 200))
    frames = np.stack([np.asarray(shown), np.asarray(shown)[::-1]])
    page = opened("zh")
    page.set_input_files(
        "#files", [{"name": "x", "mimeType": "", "buffer": dicom_file(frames, sop_class=MULTI_FRAME)}]
    )
    page.wait_for_selector("#frames", state="visible")
    assert page.input_value("#images select") == "dicom"
    page.click("#case button[type=submit]")  # the class of a secondary capture tells no modality
    page.wait_for_selector(f"#problem :text('{words('zh')['problem.MultiFrame']}')")
    page.locator("#images select").select_option("dermoscopy")
    page.fill("#frame", "2")
    submit(page)
    buttons = open_first_node(page).locator("> .why button")
    assert buttons.count() == 2
    page.locator("#method").select_option("occlusion")
    buttons.nth(1).click()
    page.wait_for_selector("#answer figure")
    sizes = page.evaluate(
        "[...document.querySelectorAll('.stack img')].map(i => [i.naturalWidth, i.naturalHeight])"
    )
    assert sizes == [[300, 200]] * 2
    page.fill("#frame", "all")
    submit(page)
    page.wait_for_selector("#answer button[hx-post*='image=2']", state="attached")
    assert violations(page) == []
    page.locator("#images .remove").click()
    assert not page.is_visible("#frames")


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_no_view_shuts_anybody_out(opened: Callable[..., Any], size: Any, scheme: str, language: str) -> None:
    page = opened(language, size, scheme)
    assert violations(page) == []
    page.click("#sample")
    page.wait_for_selector("#answer .tree")
    node = open_first_node(page)
    buttons = node.locator("button")
    buttons.nth(0).click()
    page.wait_for_selector("#answer caption")
    buttons.nth(1).click()
    page.wait_for_selector("#answer figure")
    page.fill("#age", "1e9")
    page.click("#case button[type=submit]")
    page.wait_for_selector("#problem .problem")
    page.click("text=" + words(language)["card.link"])
    page.wait_for_selector("#card table")
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.goto(page.url.replace("/?", "/card?"))
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_keyboard_alone_reaches_everything(opened: Callable[..., Any]) -> None:
    page = opened()

    def tab_to(found: str, most: int = 60) -> None:
        for _ in range(most):
            page.keyboard.press("Tab")
            if page.evaluate(f"document.activeElement.matches({found!r})"):
                return
        raise AssertionError(found)

    for stop in ("#files", "#age", "#sex", "#site", "#case [type=submit]", "#sample"):
        tab_to(stop)
    page.keyboard.press("Enter")
    page.wait_for_selector("#answer .tree")
    assert page.evaluate("document.activeElement.matches('#answer h2')")
    tab_to("#answer summary")
    was = page.evaluate("document.activeElement.parentElement.open")
    page.keyboard.press("Space")
    assert page.evaluate("document.activeElement.parentElement.open") is not was
    if was:
        page.keyboard.press("Enter")
    tab_to("#answer .why button:nth-of-type(2)")
    page.keyboard.press("Enter")
    page.wait_for_selector("#answer figure")
    assert page.evaluate("document.activeElement.matches('figcaption')")
    page.keyboard.press("Shift+Tab")
    before = page.input_value("input.opacity")
    page.keyboard.press("ArrowLeft")
    assert int(page.input_value("input.opacity")) == int(before) - 1


def test_nothing_is_sent_before_every_image_has_its_modality(
    opened: Callable[..., Any], jpegs: dict[str, bytes]
) -> None:
    page = opened()
    sent: list[str] = []
    page.on("request", lambda r: sent.append(r.url) if r.method == "POST" else None)
    page.click("#case button[type=submit]")
    assert page.evaluate("document.querySelector('#files').validationMessage") == words("en")["images.needed"]
    files = [{"name": f"{m}.jpg", "mimeType": "image/jpeg", "buffer": d} for m, d in jpegs.items()]
    page.set_input_files("#files", files)
    page.locator("#images select").nth(0).select_option(next(iter(jpegs)))  # else the gate refuses it
    assert page.locator("#images select").nth(1).input_value() == ""
    page.click("#case button[type=submit]")
    page.wait_for_timeout(300)
    assert sent == []
    page.locator("#images .remove").nth(1).click()
    submit(page)
    assert len(sent) == 1


def test_names_of_files_stay_text_and_do_not_leave_the_browser(
    opened: Callable[..., Any], jpegs: dict[str, bytes]
) -> None:
    page = opened()
    bodies: list[bytes] = []
    page.route("**/diagnose*", lambda r: (bodies.append(r.request.post_data_buffer or b""), r.continue_()))
    give(page, jpegs, HOSTILE)
    assert page.locator("#images .name").first.inner_text() == HOSTILE
    assert page.locator("#images img").count() == len(jpegs)
    submit(page)
    assert b"onerror" not in bodies[0]
    assert b"dermoscopy" in bodies[0]


@pytest.mark.parametrize("age", ["abc", "-1", "61,5", "121"])
def test_an_age_that_is_none_is_told_and_not_taken_for_missing(
    opened: Callable[..., Any], jpegs: dict[str, bytes], age: str
) -> None:
    page = opened("zh")
    give(page, jpegs)
    page.fill("#age", age)
    page.click("#case button[type=submit]")
    page.wait_for_selector("#problem .problem")
    text = page.inner_text("#problem")
    assert words("zh")["problem.MetadataError"] in text
    assert "0 to 120" in text
    assert page.locator("#answer .tree").count() == 0


def test_an_answer_to_another_case_than_the_form_s_says_so(
    opened: Callable[..., Any], jpegs: dict[str, bytes]
) -> None:
    page = opened()
    give(page, jpegs)
    submit(page)
    assert page.inner_text("#stale") == ""
    page.select_option("#sex", "male")
    assert page.inner_text("#stale") == words("en")["stale"]
    submit(page)
    page.wait_for_selector("#stale:empty", state="attached")


def test_a_dropped_image_is_taken_and_one_that_misses_the_form_does_not_replace_the_page(
    opened: Callable[..., Any],
) -> None:
    page = opened()
    page.evaluate(
        """() => {
            const data = new DataTransfer();
            data.items.add(new File([new Uint8Array(9)], "dropped.png", {type: "image/png"}));
            const drop = new DragEvent("drop", {dataTransfer: data, bubbles: true, cancelable: true});
            window.kept = !document.querySelector("h1").dispatchEvent(drop);
        }"""
    )
    assert page.evaluate("window.kept")
    assert page.inner_text("#images .name") == "dropped.png"
    page.locator("#images select").select_option("clinical")
    page.click("#case button[type=submit]")
    page.wait_for_selector("#problem .problem")


def test_a_key_goes_with_every_question_and_a_wrong_one_is_told(
    opened: Callable[..., Any], judge: Judge, tmp_path: Path
) -> None:
    ring, file = KeyRing({}), tmp_path / "keys"
    key = ring.add("clinic")
    ring.write(file)
    with running(judge, keys=file) as port:
        page = opened(at=f"http://127.0.0.1:{port}")
        page.fill("#key", "dxt_wrong")
        page.click("#sample")
        page.wait_for_selector("#problem .problem")
        assert words("en")["problem.KeyNeeded"] in page.inner_text("#problem")
        page.fill("#key", key)
        page.click("#sample")
        page.wait_for_selector("#answer .tree")
        open_first_node(page).locator("button").first.click()
        page.wait_for_selector("#answer caption")
        page.click("text=" + words("en")["card.link"])
        page.wait_for_selector("#card table")
        assert violations(page) == []
        page.close()
