"""Which text would a spreadsheet run as a formula, and how is it kept from that?"""

from __future__ import annotations

_FORMULA = ("=", "+", "-", "@")


def inert(text: str) -> str:
    """The text with an apostrophe in front where a spreadsheet would run it as a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def plain(text: str) -> str:
    """What `inert` was given, without its apostrophe."""
    return text[1:] if text.startswith("'") and text[1:].startswith(_FORMULA) else text
