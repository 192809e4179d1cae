"""How does a template become an answer? Escaped, and under a policy that lets nothing else run or load."""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from dxtree.page.wording import LANGUAGES, language_of, words

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
TYPES = {
    "htmx.min.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
    "page.css": "text/css; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
}
"""The files that are served, and as what."""


def rendered(request: Request, template: str, **values: Any) -> Response:
    """A page or a part of one in the language of the request."""
    language = language_of(request.query_params.get("lang"), request.headers.get("accept-language", ""))
    text = (
        _environment()
        .get_template(template)
        .render(w=words(language), languages=LANGUAGES, versions=_versions(), **values)
    )
    headers = {
        "Content-Security-Policy": POLICY,
        "Content-Language": language,
        "Vary": "Accept-Language, HX-Request",
    }
    return HTMLResponse(text, headers=headers)


def static(name: str) -> Response | None:
    """One of our own files; `None` for any other name."""
    if name not in TYPES:
        return None
    headers = {"Cache-Control": "public, max-age=86400", "Content-Security-Policy": POLICY}
    return Response(_file(name), media_type=TYPES[name], headers=headers)


@cache
def _file(name: str) -> bytes:
    return resources.files("dxtree.page").joinpath("static", name).read_bytes()


@cache
def _versions() -> dict[str, str]:
    """A browser keeps a file for as long as its address stays, and the address changes with the file."""
    return {name: f"/static/{name}?v={sha256(_file(name)).hexdigest()[:12]}" for name in TYPES}


@cache
def _environment() -> Environment:
    found = Environment(
        loader=PackageLoader("dxtree.page", "templates"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters["percent"] = _percent
    found.filters["width"] = lambda p: f"{100 * min(1.0, max(0.0, p)):.2f}%"
    return found


def _percent(p: float) -> str:
    """One decimal, and neither certain nor impossible because of it."""
    if 0 < p < 0.0005:
        return "< 0.1 %"
    return "> 99.9 %" if 0.9995 <= p < 1 else f"{100 * p:.1f} %"
