"""Who may ask? Holders of a key, of which the service keeps a hash only."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from pathlib import Path

from core.errors import InputError
from core.files import write_whole

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_LINE = re.compile(r"([A-Za-z0-9_.-]{1,64}) ([0-9a-f]{64})")
PREFIX = "dxt_"


class KeyRing:
    """Names of clients and the sha256 of each one's key.

    A key is 256 random bits, so that no slow hash is needed to keep it from being guessed.
    """

    def __init__(self, hashes: Mapping[str, str]) -> None:
        self.hashes = dict(hashes)

    @classmethod
    def read(cls, path: Path) -> KeyRing:
        """Lines of a name and a hash. Raises `InputError` for a file that is absent or holds others."""
        try:
            lines = path.read_text("utf-8").splitlines()
        except (OSError, UnicodeDecodeError):
            raise InputError("the file of keys cannot be read; make one with: dxtree keys add") from None
        found: dict[str, str] = {}
        for number, line in enumerate(lines, start=1):
            match = _LINE.fullmatch(line.strip())
            if match is None or match[1] in found:
                raise InputError(f"line {number} of the file of keys is no name and hash, or a name's second")
            found[match[1]] = match[2]
        return cls(found)

    def name_of(self, key: str) -> str | None:
        """Whose key it is. Every entry is compared, in constant time."""
        given, found = _hash(key), None
        for name, known in self.hashes.items():
            if hmac.compare_digest(known, given):
                found = name
        return found

    def add(self, name: str) -> str:
        """A new key for a name. Raises `InputError` where the name is taken or cannot be one."""
        if not _NAME.fullmatch(name):
            raise InputError("a key's name is 1 to 64 letters, digits, dots, dashes and underscores")
        if name in self.hashes:
            raise InputError(f"{name!r} has a key already; remove it first")
        key = PREFIX + secrets.token_urlsafe(32)
        self.hashes[name] = _hash(key)
        return key

    def remove(self, name: str) -> None:
        """Raises `InputError` where the name has no key."""
        if self.hashes.pop(name, None) is None:
            raise InputError(f"{name!r} has no key; there are {', '.join(sorted(self.hashes)) or 'none'}")

    def write(self, path: Path) -> None:
        """Replaces the file, readable by its owner alone."""
        text = "".join(f"{name} {found}\n" for name, found in sorted(self.hashes.items()))
        write_whole(path, text.encode())
        path.chmod(0o600)


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()
