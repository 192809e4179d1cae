"""Makes the pictures of the page in `docs/images`: the drawn sample, answered, in a real browser.

    python scripts/make_page_pictures.py

Needs the extras serve, explain and trust, playwright, and chromium on the PATH or named by CHROMIUM. The rule
behind the prediction set is fitted on drawn lesions that the demonstration nets have not seen.
"""

from __future__ import annotations

import io
import os
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import uvicorn
from PIL import Image

from core.case import Case, ImageInput
from core.cells import Cells
from core.set_rule import SetRule
from dxtree.cohorts.synthetic import make_lesion
from dxtree.service import Judge, ServiceSettings, make_app
from dxtree.service.running import configuration
from fusion.prediction_sets import fit_rule
from plugins.assembly import assemble, find_model_set, load_registry

OUT = Path(__file__).parents[1] / "docs" / "images"
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 800}
VIEWS = (
    ("page-desktop-light-en", DESKTOP, "light", "en", True),
    ("page-desktop-dark-zh", DESKTOP, "dark", "zh", False),
    ("page-phone-light-zh", PHONE, "light", "zh", False),
    ("page-phone-dark-en", PHONE, "dark", "en", True),
)
"""Name, size, colours, language, and whether a map is shown."""
LESIONS, SEED, COVERAGE, LEVEL = 60, 4711, 0.9, 2
WAIT = 300_000


def main() -> None:
    """Writes the four pictures."""
    from playwright.sync_api import sync_playwright

    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    with _serving(_judge()) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for name, size, scheme, language, is_mapped in VIEWS:
            context = browser.new_context(viewport=size, color_scheme=scheme)
            page = context.new_page()
            page.set_default_timeout(WAIT)
            page.goto(f"{address}/?lang={language}")
            _ask(page, is_mapped=is_mapped)
            # Whole colours: a palette loses the few that a map or a bar hangs on.
            picture = Image.open(io.BytesIO(page.screenshot(full_page=True))).convert("RGB")
            picture.save(OUT / f"{name}.png", optimize=True)
            context.close()
        browser.close()


def _ask(page: Any, *, is_mapped: bool) -> None:
    page.click("#sample")
    page.wait_for_selector("#answer .tree")
    node = page.locator("#answer .tree details").first
    if is_mapped:
        page.locator("#method").select_option("saliency")
        node.locator(".why button").nth(2).click()
        page.wait_for_selector("#answer figure")
    else:
        node.locator(".why button").first.click()
        page.wait_for_selector("#answer caption")
    page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")


def _judge() -> Judge:
    import_module("modalities.cnn.gradients")  # loads torch before anybody waits for a map
    registry = load_registry()
    models = find_model_set(registry, "demonstration")
    judge = Judge(registry, models, assemble(registry, models))
    judge.warm()
    return Judge(registry, models, judge.pipeline, sets=_rule(judge))


def _rule(judge: Judge) -> SetRule:
    partition = judge.pipeline.partition
    trees, labels = [], []
    for number in range(LESIONS):
        lesion = make_lesion(SEED, number)
        images = [ImageInput(modality=view, data=data) for view, data in lesion.jpegs.items()]
        tree = judge.pipeline.diagnose(Case(images=tuple(images), patient=lesion.patient)).tree
        if tree is not None:
            trees.append([float(v) for v in tree.leaf.values])
            labels.append(lesion.label)
    cells = Cells(partition, LEVEL)
    names = [f"drawn {n}" for n in range(len(labels))]
    return fit_rule(cells, cells.values(np.array(trees)), cells.truth(labels), names, coverage=COVERAGE)


@contextmanager
def _serving(judge: Judge) -> Iterator[str]:
    settings = ServiceSettings(port=0, answer_seconds=600, wait_seconds=600)
    server = uvicorn.Server(configuration(make_app(judge, settings), settings))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(30)


if __name__ == "__main__":
    main()
