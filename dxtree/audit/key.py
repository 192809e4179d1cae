"""With which secret are inputs fingerprinted and records sealed? 32 random bytes in a file of their own."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
from contextlib import suppress
from pathlib import Path

from core.errors import AuditError

ENDING = ".key"
"""A trail's key stands beside it under the trail's name and this ending, unless another is named."""

_BYTES = 32


def key_beside(trail: Path) -> Path:
    """Where a trail's key is looked for when none is named."""
    return trail.with_name(trail.name + ENDING)


def read_key(path: Path) -> bytes:
    """The key of a file: 64 hexadecimal digits. Raises `AuditError`."""
    try:
        text = path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise AuditError(f"the key {path.name} cannot be read ({type(error).__name__})") from None
    if not re.fullmatch(f"[0-9a-f]{{{2 * _BYTES}}}", text):
        raise AuditError(f"{path.name} is no key; a key is {2 * _BYTES} hexadecimal digits")
    return bytes.fromhex(text)


def make_key(path: Path) -> bytes:
    """Writes a new key that its owner alone can read, or reads the one that is there.

    Raises `AuditError` where it can be neither written nor read.
    """
    if path.exists():
        return read_key(path)
    partial = path.with_name(f"{path.name}.{os.getpid()}-{secrets.token_hex(4)}.partial")
    try:
        handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(_BYTES) + "\n")
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(partial, path)  # unlike a rename it never replaces the key that another made
    except OSError as error:
        raise AuditError(f"the key {path.name} cannot be written ({type(error).__name__})") from None
    finally:
        partial.unlink(missing_ok=True)
    return read_key(path)


def name_of(key: bytes) -> str:
    """16 digits that tell keys apart and tell nothing of the key."""
    return hmac.new(key, b"name", hashlib.sha256).hexdigest()[:16]


def fingerprint(key: bytes, what: str, content: bytes) -> str:
    """HMAC-SHA256 of some content: who lacks the key cannot try what it was made of."""
    return hmac.new(key, what.encode() + b"\0" + content, hashlib.sha256).hexdigest()
