"""How is the site built from the Markdown of this folder, with nothing from elsewhere?

`scripts/docs` builds it. Pages stay readable where they lie: links are relative, and a page that is added
needs no entry, because every section's list is a pattern. Mathematics is written as text, code is coloured
while building, and the theme brings its own fonts, so that a page asks no other host for anything.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

from docutils import nodes
from pydantic import BaseModel

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "docs")]

project = "dxtree"
author = "The dxtree authors"
copyright = "The dxtree authors; code Apache-2.0, shipped models CC BY-NC 4.0"  # noqa: A001
extensions = ["myst_nb", "sphinx.ext.autodoc", "cards", "doors"]
exclude_patterns = ["_build", "deploy", "images"]
default_role = "literal"
# Every type of ours in a signature leads to its entry; what other libraries define has no page here.
nitpicky = True
nitpick_ignore_regex = [
    ("py:.*", r"(?!(?:core|plugins|modalities|fusion)\.)\w+\..*"),
    ("py:.*", r"(?:.*\.)?_\w+"),
    ("py:.*", r"NoneType|FieldInfo|Field|MinLen|MaxLen|Strict|AllowInfNan|Path|Image\.Image"),
    ("py:.*", r".*[\[\]].*"),
    # Front doors of modalities show themselves; a type that stands behind one of them has no page here.
    ("py:.*", r"modalities\.\w+\.\w+\..*"),
    # Aliases, which a signature may show by their name alone.
    ("py:.*", r"Sex|Padded|LoadModality|plugins\.registry\.Spec"),
]

# Markdown: anchors as forges make them.
myst_heading_anchors = 4
myst_links_external_new_tab = False

# Notebooks are text, run at every build, and stop it where a cell fails.
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 60
nb_merge_streams = True

# A kernel leaves nothing in anybody's home, and tells nobody that it talks to this machine alone.
_profile = Path(tempfile.mkdtemp(), "profile_default")
_profile.mkdir()
(_profile / "ipython_kernel_config.py").write_text(
    "c.HistoryManager.enabled = False\nc.IPKernelApp.log_level = 40\n"
)
os.environ["IPYTHONDIR"] = str(_profile.parent)

# The reference of names. What only training and engines need is not imported.
autodoc_mock_imports = [
    "captum", "openvino", "imagehash", "litert_torch", "ai_edge_litert", "ai_edge_quantizer", "onnx", "nncf",
    "ray", "torch", "torchvision", "pyarrow", "pydicom", "highdicom", "pynetdicom", "zstandard", "mapie",
]  # fmt: skip
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
autodoc_default_options = {"members": True, "undoc-members": True, "exclude-members": "model_config"}
python_use_unqualified_type_names = True
toc_object_entries_show_parents = "hide"

html_theme = "pydata_sphinx_theme"
html_title = "dxtree"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = ["site.js"]
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "show_nav_level": 1,
    "navigation_depth": 2,
    "show_toc_level": 1,
    "navbar_align": "left",
    "navbar_end": ["theme-switcher"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "search_bar_text": "Search",
    "use_edit_page_button": False,
}
html_context = {"default_mode": "auto"}

# A page may be nothing but another file of the project, included: that file, to its page.
INCLUDE = re.compile(r"```{include} (\S+)")
INCLUDED = {
    (page.parent / found[1]).resolve(): page
    for page in sorted((ROOT / "docs").rglob("*.md"))
    if (found := INCLUDE.match(page.read_text("utf-8")))
}
LINK = re.compile(r"(?<=\]\()(\.\.?/[^)#\s]+\.md)(?=[)#])")


def links_outside(_app: object, docname: str, source: list[str]) -> None:
    """A link to a file that is included leads to the page that includes it, to another outside to it."""
    folder = (ROOT / "docs" / docname).parent

    def lead(link: re.Match[str]) -> str:
        file = (folder / link[1]).resolve()
        if file in INCLUDED:
            return Path(os.path.relpath(INCLUDED[file], folder)).as_posix()
        outside = file.is_file() and not file.is_relative_to(ROOT / "docs")
        return f"path:{link[1]}" if outside else link[1]

    source[0] = LINK.sub(lead, source[0])


def heads_of_tables(_app: object, tree: nodes.document) -> None:
    """A head without a word goes; an empty cell beside others gets a word that only a screen reader says."""
    for head in list(tree.findall(nodes.thead)):
        empty = [cell for cell in head.findall(nodes.entry) if not cell.astext().strip()]
        if len(empty) == len(list(head.findall(nodes.entry))):
            head.parent.remove(head)
            continue
        for cell in empty:
            cell += nodes.paragraph("", "", nodes.inline("", "row", classes=["visually-hidden"]))


def language_of_page(_app: object, name: str, _template: str, context: dict[str, Any], _tree: object) -> None:
    """A page that ends in `.zh` is Chinese."""
    if name.endswith(".zh"):
        context["language"] = "zh-Hans"


def named_fields(
    _app: object, _what: str, _name: str, thing: Any, _options: object, _signature: str, returned: str
) -> tuple[str, str] | None:
    """Fields in place of the `**data` of pydantic's own constructor; nothing where nobody constructs."""
    if getattr(thing, "_is_protocol", False):
        return "", returned
    if not (isinstance(thing, type) and issubclass(thing, BaseModel)):
        return None
    fields = thing.model_fields.items()
    shown = [key if field.is_required() else f"{key}={field.default!r}" for key, field in fields]
    return f"(*, {', '.join(shown)})", returned


def setup(app: Any) -> None:
    """What Sphinx calls."""
    app.connect("source-read", links_outside)
    app.connect("doctree-read", heads_of_tables)
    app.connect("html-page-context", language_of_page)
    app.connect("autodoc-process-signature", named_fields)
