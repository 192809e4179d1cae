"""What the page answers without a browser: escaped, guarded, whole in each language, and nothing guessed."""

from __future__ import annotations

import html
import io
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from starlette.testclient import TestClient

from core.case import FIELDS, body_sites
from core.taxonomy import Taxonomy
from dxtree.page.branches import branches
from dxtree.page.card import blocks
from dxtree.page.rendering import TYPES
from dxtree.page.wording import LANGUAGES, language_of, words
from dxtree.service import Judge, KeyRing, ServiceSettings, make_app
from modalities.cnn.attribution import available_methods
from tests.dxtree.service.conftest import PATIENT, form

HOSTILE = "<script>alert(1)</script>"
TEMPLATES = Path(__file__).parents[3] / "dxtree/page/templates"


def told(**case: Any) -> dict[str, str]:
    return {"case": json.dumps(case)}


def test_every_language_has_every_text() -> None:
    texts = {code: dict(words(code)) for code in LANGUAGES}
    first = texts["en"]
    holes = re.compile(r"\{\w*\}")
    for code, found in texts.items():
        assert set(found) == set(first), code
        assert all(text.strip() for text in found.values())
        assert all(sorted(holes.findall(found[k])) == sorted(holes.findall(first[k])) for k in first)
    assert {f"site.{site}" for site in body_sites().ids[1:]} <= set(first)
    assert {f"field.{field}" for field in FIELDS} <= set(first)


def test_every_text_that_a_template_asks_for_exists() -> None:
    asked = {k for p in TEMPLATES.glob("*.html") for k in re.findall(r'w\["([^"]+)"\]', p.read_text("utf-8"))}
    assert len(asked) > 40
    assert asked <= set(words("en"))


@pytest.mark.parametrize(
    ("asked", "accepted", "found"),
    [
        (None, "", "en"),
        (None, "zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        (None, "fr, zh;q=0.5", "zh"),
        ("en", "zh", "en"),
        (HOSTILE, "zh", "zh"),
        (None, HOSTILE, "en"),
    ],
)
def test_a_link_decides_on_the_language_and_else_the_browser(
    asked: str | None, accepted: str, found: str
) -> None:
    assert language_of(asked, accepted) == found


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_form_guesses_nothing(client: TestClient, language: str) -> None:
    page = client.get(f"/?lang={language}")
    assert page.status_code == 200
    assert f'<html lang="{language}">' in page.text
    assert words(language)["research_use"] in page.text
    assert re.search(r'<input id="age"(?![^>]*value=)[^>]*>', page.text)
    assert "selected" not in page.text
    for select in re.findall(r"<select.*?</option>", page.text, re.DOTALL):
        assert '<option value="">' in select


def test_dicom_is_asked_for_where_it_is_read(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pydicom", reason="the extra dicom is not installed")
    page = client.get("/").text
    assert "application/dicom,.dcm" in page
    assert words("en")["images.hint_dicom"].format(most=16) in page
    monkeypatch.setitem(sys.modules, "pydicom", None)
    page = client.get("/").text
    assert ".dcm" not in page
    assert words("en")["images.hint"].format(most=16) in page


@pytest.mark.parametrize("path", ["/", "/card", "/static/page.js"])
def test_nothing_runs_or_loads_that_is_not_from_here(client: TestClient, path: str) -> None:
    answer = client.get(path)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "style-src 'self'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    if path != "/static/page.js":
        assert not re.search(r"<script(?![^>]*src=)|\son\w+=|\sstyle=|https?://", answer.text)
        assert answer.headers["cache-control"] == "no-store"
        sources = re.findall(r'(?:src|href)="([^"]*)"', answer.text)
        assert all(s.startswith(("/", "?")) and not s.startswith("//") for s in sources)


def test_files_are_those_that_are_meant_and_no_others(client: TestClient) -> None:
    for name, kind in TYPES.items():
        answer = client.get(f"/static/{name}")
        assert (answer.status_code, answer.headers["content-type"]) == (200, kind)
    for name in ("README.md", "..%2Froutes.py", "%2e%2e/routes.py", "nothing"):
        assert client.get(f"/static/{name}").status_code == 404


def test_the_answer_is_that_of_the_interface_and_the_page_is_no_part_of_its_contract(
    client: TestClient,
    jpegs: dict[str, bytes],
) -> None:
    page = client.post("/diagnose?lang=en", files=form(jpegs), data=told(patient=PATIENT))
    answer = client.post("/v1/diagnose", files=form(jpegs), data=told(patient=PATIENT)).json()
    assert page.status_code == 200
    assert page.text.count("<details") == len(answer["tree"]) - 1
    assert words("en")["research_use"] in page.text
    shown = re.findall(r'node=([^"&]+)"', html.unescape(page.text))
    assert len(set(shown)) == len(answer["tree"]) - 1
    paths = client.get("/openapi.json").json()["paths"]
    assert not {"/", "/diagnose", "/saliency", "/contributions", "/sample", "/card"} & set(paths)


def test_a_field_that_is_left_empty_is_missing(
    client: TestClient,
    jpegs: dict[str, bytes],
) -> None:
    page = client.post("/diagnose?lang=en", files=form(jpegs), data=told(patient={"sex": "female"})).text
    used, missing = re.findall(r"<dd>(.*?)</dd>", page, re.DOTALL)
    assert "Age in years" in missing
    assert "Age in years" not in used
    assert "Sex" in used
    for age in ("", "abc", HOSTILE):
        refused = client.post("/diagnose", files=form(jpegs), data=told(patient={"age_years": age}))
        assert (refused.status_code, refused.json()["code"]) == (422, "MetadataError")
        assert HOSTILE not in refused.text


def test_names_from_outside_do_not_come_back_as_markup(
    client: TestClient,
    jpegs: dict[str, bytes],
) -> None:
    files = [(m, (HOSTILE, d, HOSTILE)) for m, d in jpegs.items()]
    page = client.post("/diagnose", files=files, data=told(id=HOSTILE))
    assert page.status_code == 200
    assert "alert(1)" not in page.text
    for asked in (
        client.post("/diagnose", files=[(HOSTILE, ("a.jpg", b"x", "image/jpeg"))]),
        client.post("/saliency", params={"node": HOSTILE, "image": "1"}, files=form(jpegs)),
        client.post("/contributions", params={"node": HOSTILE}, files=form(jpegs)),
        client.post("/saliency", params={"node": "Malignant", "image": HOSTILE}, files=form(jpegs)),
    ):
        assert asked.status_code in (400, 422)
        assert asked.headers["content-type"] == "application/problem+json"
        assert asked.headers["x-content-type-options"] == "nosniff"


def test_a_notice_and_a_label_are_escaped() -> None:
    from dxtree.page.rendering import _environment

    taxonomy = Taxonomy.from_paths("drawn", [(HOSTILE,), ("b",)])
    answer = {
        "status": "partial", "answer": HOSTILE, "tree": {"root": 1.0, HOSTILE: 0.8, "b": 0.2},
        "used": [HOSTILE],
        "missing": [HOSTILE], "notices": [{"code": HOSTILE, "text": HOSTILE}],
    }  # fmt: skip
    text = (
        _environment()
        .get_template("answer.html")
        .render(
            w=words("en"),
            answer=answer,
            label=HOSTILE,
            is_root=False,
            branches=branches(answer["tree"], taxonomy, HOSTILE),
            images=[(1, HOSTILE)],
            methods=("auto", "occlusion"),
        )
    )
    assert "<script" not in text
    assert text.count("&lt;script&gt;") >= 6


def test_an_abstention_shows_its_reason_and_no_diagnosis(
    client: TestClient,
) -> None:
    file = io.BytesIO()
    Image.new("RGB", (300, 300), (0, 0, 0)).save(file, "PNG")
    page = client.post("/diagnose?lang=zh", files=[("dermoscopy", ("a.png", file.getvalue(), "image/png"))])
    assert page.status_code == 200
    assert words("zh")["status.abstained"] in page.text
    assert words("zh")["notice.ImageLeftOut"] in page.text
    assert words("zh")["answer.specific"] not in page.text


def test_contributions_of_a_node_sum_up_on_the_page(
    client: TestClient,
    jpegs: dict[str, bytes],
) -> None:
    page = client.post(
        "/contributions", params={"node": "Malignant"}, files=form(jpegs), data=told(patient=PATIENT)
    )
    values = [float(v) for v in re.findall(r'<td class="value">([+-][\d.]+)</td>', page.text)]
    assert len(values) == 2 + len(jpegs) + len(PATIENT)
    assert sum(values[:-1]) == pytest.approx(values[-1], abs=0.01 * len(values))


def test_a_map_has_the_picture_s_geometry(
    client: TestClient,
    jpegs: dict[str, bytes],
) -> None:
    import base64

    turned = Image.open(io.BytesIO(jpegs["dermoscopy"])).resize((400, 240))
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    turned.save(file, "JPEG", exif=exif)
    files = [("dermoscopy", ("a.jpg", file.getvalue(), "image/jpeg"))]
    page = client.post("/saliency", params={"node": "Malignant:Melanoma", "image": "1"}, files=files)
    assert page.status_code == 200, page.text
    found = [
        Image.open(io.BytesIO(base64.b64decode(data))) for data in re.findall(r"base64,([^\"]+)", page.text)
    ]
    assert [i.size for i in found] == [(240, 400)] * 2
    assert [i.format for i in found] == ["JPEG", "PNG"]
    alpha = found[1].getchannel("A")
    assert (
        alpha.getpixel((120, 5)) == alpha.getpixel((120, 395)) == 150
    )  # not seen: above and below the square


def test_what_has_no_map_is_refused(client: TestClient, jpegs: dict[str, bytes]) -> None:
    for params in ({"node": "Malignant"}, {"node": "Malignant", "image": "3"}, {"image": "1"}):
        assert client.post("/saliency", params=params, files=form(jpegs)).status_code == 422
    root = client.post("/saliency", params={"node": "root", "image": "1"}, files=form(jpegs))
    assert root.json()["code"] == "TaxonomyError"


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("method", available_methods())
def test_every_method_that_is_offered_makes_a_map_and_says_what_its_colours_mean(
    client: TestClient, jpegs: dict[str, bytes], method: str, language: str
) -> None:
    offered = client.post(f"/diagnose?lang={language}", files=form(jpegs)).text
    assert f'<option value="{method}">{words(language)[f"method.{method}"]}</option>' in offered
    asked = {"node": "Malignant", "image": "1", "method": method, "lang": language}
    page = client.post("/saliency", params=asked, files=form(jpegs))
    assert page.status_code == 200, page.text
    used = (
        "saliency"
        if method == "auto" and len(available_methods()) > 2
        else method.replace("auto", "occlusion")
    )
    assert html.escape(words(language)[f"where.about.{used}"], quote=False) in html.unescape(page.text)


def test_a_method_that_does_not_exist_is_refused(client: TestClient, jpegs: dict[str, bytes]) -> None:
    for method in ("gradcam", "", HOSTILE):
        asked = {"node": "Malignant", "image": "1", "method": method}
        refused = client.post("/saliency", params=asked, files=form(jpegs))
        assert (refused.status_code, refused.json()["code"]) == (422, "ExplanationError")
        assert refused.headers["content-type"] == "application/problem+json"


def test_without_captum_the_page_maps_by_occlusion_says_so_and_stays_ready(
    client: TestClient, jpegs: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "captum", None)
    page = client.post("/saliency", params={"node": "Malignant", "image": "1"}, files=form(jpegs))
    assert page.status_code == 200, page.text
    assert words("en")["where.about.occlusion"] in html.unescape(page.text)
    assert "made by occlusion" in page.text
    assert 'value="saliency"' not in client.post("/diagnose", files=form(jpegs)).text
    for _ in range(8):
        asked = {"node": "Malignant", "image": "1", "method": "saliency"}
        refused = client.post("/saliency", params=asked, files=form(jpegs))
        assert (refused.status_code, refused.json()["code"]) == (422, "MissingExtra")
    assert client.get("/readyz").status_code == 200


def test_the_sample_is_a_drawn_case_that_is_answered(client: TestClient) -> None:
    sample = client.get("/sample").json()
    assert client.post("/v1/diagnose", json=sample).json()["status"] == "complete"


def test_the_card_tells_which_models_answer(client: TestClient, judge: Judge) -> None:
    whole = client.get("/card")
    part = client.get("/card", headers={"hx-request": "true"})
    assert judge.models.bundle.digest in whole.text
    assert whole.text.startswith("<!doctype html>")
    assert "<html" not in part.text
    assert words("en")["card.demonstration"] in whole.text


def test_a_card_s_markdown_is_text() -> None:
    found = blocks(f"# A\n\n**B** c\nd {HOSTILE}\n\n    code\n\n| a | **b** |\n|---|---|\n| 1 | 2 |\n## E\n")
    assert [b.kind for b in found] == ["heading", "text", "code", "table", "heading"]
    assert found[1].spans == [("B", True), (f" c d {HOSTILE}", False)]
    assert found[3].rows == (("a", "b"), ("1", "2"))
    assert [b.level for b in found if b.kind == "heading"] == [1, 2]


def test_where_keys_are_asked_for_the_form_is_open_and_every_answer_needs_one(
    judge: Judge,
    jpegs: dict[str, bytes],
    tmp_path: Path,
) -> None:
    ring, file = KeyRing({}), tmp_path / "keys"
    key = {"authorization": f"Bearer {ring.add('clinic')}"}
    ring.write(file)
    with TestClient(make_app(judge, ServiceSettings(keys=file))) as client:
        assert 'id="key" type="password"' in client.get("/").text
        assert client.get("/static/page.js").status_code == 200
        for path in ("/sample", "/card"):
            assert client.get(path).status_code == 401
            assert client.get(path, headers=key).status_code == 200
        for path in ("/diagnose", "/contributions?node=Malignant", "/saliency?node=Malignant&image=1"):
            assert client.post(path, files=form(jpegs)).status_code == 401
        assert client.post("/diagnose", files=form(jpegs), headers=key).status_code == 200


def test_another_site_cannot_use_the_page(client: TestClient, jpegs: dict[str, bytes]) -> None:
    for origin in ("https://evil.example", "null"):
        answer = client.post("/diagnose", files=form(jpegs), headers={"origin": origin})
        assert answer.json()["code"] == "ForeignOrigin"


def test_a_service_without_the_page_has_none_of_its_paths(judge: Judge) -> None:
    with TestClient(make_app(judge, ServiceSettings(page=False))) as client:
        for path in ("/", "/card", "/sample", "/static/page.js"):
            assert client.get(path).status_code == 404


def test_branches_stand_by_probability_and_lead_to_the_answer() -> None:
    taxonomy = Taxonomy.from_paths("drawn", [("a", "x"), ("a", "y"), ("b",)])
    tree = {"root": 1.0, "a": 0.7, "a:x": 0.1, "a:y": 0.5, "b": 0.3}
    found = branches(tree, taxonomy, "a:y")
    assert [b.node for b in found] == ["a", "b"]
    assert [b.node for b in found[0].children] == ["a:y", "a:x"]
    assert found[0].is_open
    assert found[0].rest == pytest.approx(0.1)
    assert not any(b.is_open for b in found[0].children)
    assert branches({}, taxonomy, None) == ()
