"""Does the documentation site build without a warning, reach every page, and keep to itself?"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urldefrag, urlsplit

import pytest

from tests.test_architecture import DOORS

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")
needs_sphinx = pytest.mark.skipif(
    find_spec("myst_nb") is None or find_spec("pydata_sphinx_theme") is None, reason="needs the extra docs"
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site as `scripts/docs` builds it, with its options, in this environment."""
    command = (ROOT / "scripts/docs").read_text("utf-8").split("-m sphinx ", 1)[1]
    options = re.findall(r"--[\w-]+(?: html)?", command)
    target = tmp_path_factory.mktemp("site")
    # A way to another host would be refused here: a proxy where nothing listens.
    closed = dict.fromkeys(("http_proxy", "https_proxy", "all_proxy"), "http://127.0.0.1:9")
    ran = subprocess.run(
        [sys.executable, "-m", "sphinx", *" ".join(options).split(), "--doctree-dir", str(target / "trees"),
         str(DOCS), str(target / "html")],
        capture_output=True, text=True, check=False, env={**os.environ, **closed},
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert not ran.stderr, ran.stderr
    return target / "html"


class Links(HTMLParser):
    """What a page leads to, and what a browser fetches to show it."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.leads: set[str] = set()
        self.fetched: set[str] = set()
        self.ids: set[str] = set()
        self.pictures_without_words: list[str] = []
        self.feed(page.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.ids |= {found[key] for key in ("id", "name") if key in found}
        if tag == "a" and "href" in found:
            self.leads.add(found["href"])
        elif tag == "link" and found.get("rel") not in ("prev", "next", "index", "search", "author"):
            self.fetched.add(found.get("href", ""))
        self.fetched |= {found[key] for key in ("src", "srcset", "poster", "data") if found.get(key)}
        if tag == "img" and not found.get("alt", "").strip():
            self.pictures_without_words.append(found.get("src", "")[:80])


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Links]:
    return {page: Links(page) for page in sorted(site.rglob("*.html")) if "_static" not in page.parts}


@needs_sphinx
def test_every_page_is_reached_from_the_front_page_by_links(site: Path, pages: dict[Path, Links]) -> None:
    seen, waiting = set(), [site / "index.html"]
    while waiting:
        page = waiting.pop()
        if page in seen or page not in pages:
            continue
        seen.add(page)
        targets = (unquote(urlsplit(link).path) for link in pages[page].leads if "://" not in link)
        waiting += [(page.parent / target).resolve() for target in targets if target.endswith(".html")]
    built = {site / source.relative_to(DOCS).with_suffix(".html") for source in DOCS.rglob("*.md")}
    assert sorted(built - seen) == []


@needs_sphinx
def test_every_link_and_anchor_inside_the_site_leads_somewhere(pages: dict[Path, Links]) -> None:
    broken = []
    for page, links in pages.items():
        for link in links.leads:
            path, anchor = urldefrag(link)
            if "://" in link or link == "#" or link.startswith("mailto:"):
                continue
            target = (page.parent / unquote(path)).resolve() if path else page
            if not target.exists() or (
                anchor and target in pages and unquote(anchor) not in pages[target].ids
            ):
                broken.append((page.name, link))
    assert broken == []


@needs_sphinx
def test_no_page_fetches_anything_from_another_host(site: Path, pages: dict[Path, Links]) -> None:
    off_site = [u for links in pages.values() for u in links.fetched if re.match(r"(\w+:)?//", u)]
    assert off_site == []
    for sheet in [*site.rglob("*.css"), *site.rglob("*.html")]:
        # Fonts and pictures of a style sheet, and sheets that import others.
        assert not re.search(r"(?:url\(|@import)\s*['\"]?(?:https?:)?//", sheet.read_text("utf-8")), (
            sheet.name
        )


@needs_sphinx
def test_no_page_has_mathematics_that_a_script_would_have_to_fetch(pages: dict[Path, Links]) -> None:
    assert [page.name for page in pages if 'class="math' in page.read_text("utf-8")] == []


@needs_sphinx
def test_the_notebook_was_run_and_every_figure_says_what_it_shows(pages: dict[Path, Links]) -> None:
    (page,) = (p for p in pages if p.name == "from-image-to-tree.html")
    text = page.read_text("utf-8")
    assert "Squamous cell carcinoma  &lt;- most specific" in text
    assert len(re.findall(r'<img [^>]*src="[^"]*_images/', text)) == 9
    assert [words for links in pages.values() for words in links.pictures_without_words] == []


@needs_sphinx
def test_every_front_door_is_in_the_reference_of_names(site: Path) -> None:
    ids = {i for page in (site / "reference/api").glob("*.html") for i in Links(page).ids}
    doors = [d for d in DOORS if d.split(".")[0] != "dxtree"]
    assert [d for d in doors if f"module-{d}" not in ids] == []
    import core
    import plugins

    names = [f"{door.__name__}.{n}" for door in (core, plugins) for n in door.__all__]
    assert [n for n in names if n not in ids] == []


def test_every_card_is_included_in_a_page_and_copied_in_none() -> None:
    pages = [(p, p.read_text("utf-8")) for p in (DOCS / "reference/cards").glob("*.md")]
    included = {
        (page.parent / target).resolve()
        for page, text in pages
        for target in re.findall(r"{include} (\S+)", text)
    }
    cards = {*(ROOT / "modalities/sets").glob("*/card.md"), *(ROOT / "examples").glob("*/*/card.md")}
    assert len(cards) >= 1
    assert cards <= included


@needs_sphinx
def test_every_built_in_modality_shows_its_card(pages: dict[Path, Links]) -> None:
    from plugins.assembly import load_registry
    from plugins.config import Settings

    (page,) = (p for p in pages if p.match("cards/modalities.html"))
    assert {f"card-{name}" for name in load_registry(Settings()).modalities.names()} <= pages[page].ids


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if find_spec("playwright") is None or CHROMIUM is None:
        pytest.skip("needs playwright, and chromium on the PATH or named by CHROMIUM")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@needs_sphinx
@pytest.mark.slow
@pytest.mark.parametrize("mode", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize(
    "page",
    [
        "index",
        "tutorials/from-image-to-tree",
        "reference/api/core",
        "concepts/limits",
        "reference/cards/default",
    ],
)
def test_axe_finds_nothing_and_nothing_sticks_out(
    site: Path, browser: Any, page: str, width: int, mode: str
) -> None:
    axe = (ROOT / "tests/dxtree/page/vendored/axe.min.js").read_text("utf-8")
    context = browser.new_context(
        viewport={"width": width, "height": 800}, color_scheme=mode, bypass_csp=True
    )
    opened = context.new_page()
    asked: list[str] = []
    opened.on("request", lambda request: asked.append(request.url))
    opened.goto((site / f"{page}.html").as_uri())
    opened.evaluate(axe)
    found = opened.evaluate(
        "axe.run().then(r => r.violations.map(v => [v.id, v.nodes[0].html.slice(0, 200)]))"
    )
    wide = opened.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    context.close()
    assert found == []
    assert wide <= 0
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
