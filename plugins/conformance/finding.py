"""What is promised, and was it kept?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Generic, TypeVar

from core.errors import DxtreeError, PluginError, did_you_mean

Subject = TypeVar("Subject")


class Unanswerable(Exception):
    """A promise that cannot be tested here; the text says why. Another promise tells the fault, if any."""


@dataclass(frozen=True)
class Rule(Generic[Subject]):
    """One promise about a kind of thing.

    `key` is its name in expected failures; `test` raises where it is broken.
    """

    key: str
    text: str
    test: Callable[[Subject], None]


@dataclass(frozen=True)
class Promise:
    """A rule about one thing that a plugin offers; `subject` is its name, "" for the plugin itself."""

    key: str
    title: str
    test: Callable[[], None]
    subject: str = ""

    def expected_in(self, failures: Mapping[str, str]) -> str:
        """The reason why this promise is expected to be broken: by "SUBJECT.KEY", else by its key; or ""."""
        return failures.get(f"{self.subject}.{self.key}") or failures.get(self.key, "")

    @classmethod
    def of(cls, rule: Rule[Subject], subject: Subject, name: str = "") -> Promise:
        """The rule for one subject, called `name` in the report."""
        title = f"{name}: {rule.text}" if name else rule.text
        return cls(rule.key, title, lambda: rule.test(subject), name)


@dataclass(frozen=True)
class Finding:
    """One promise, and whether it was kept; `detail` says what was found.

    `expected` is the declared reason of a failure that was expected: such a finding counts as passed.
    """

    check: str
    passed: bool
    detail: str = ""
    expected: str = ""
    key: str = ""

    def to_dict(self) -> dict[str, object]:
        """The finding as JSON."""
        return asdict(self)


def found(promise: Promise, expected: Mapping[str, str]) -> Finding | None:
    """Tests a promise; `None` where it cannot be tested.

    What is expected to fail must fail: where the promise is kept after all, the finding is a failure.
    """
    reason = promise.expected_in(expected)
    try:
        promise.test()
    except KeyboardInterrupt:
        raise
    except Unanswerable:
        return None
    except BaseException as error:  # whatever the plugin raises is the finding
        text = error.safe_message if isinstance(error, DxtreeError) else f"{type(error).__name__}: {error}"
        return Finding(promise.title, bool(reason), text, reason, promise.key)
    if reason:
        told = KEPT_AFTER_ALL.format(reason)
        return Finding(promise.title, passed=False, detail=told, key=promise.key)
    return Finding(promise.title, passed=True, key=promise.key)


KEPT_AFTER_ALL = "it was expected to fail ({}) and does not; take it out of the expected failures"


def expect(kept: bool, otherwise: str = "it does not hold") -> None:
    """Raises `PluginError` with `otherwise` unless the promise is kept."""
    if not kept:
        raise PluginError(otherwise)


def check_expected(expected: Mapping[str, str], keys: tuple[str, ...]) -> None:
    """Raises `PluginError` for an expected failure of no promise, or without a reason."""
    for name, reason in expected.items():
        key = name.rpartition(".")[2]
        if key not in keys:
            raise PluginError(
                f"no promise is called {key!r}; there are {', '.join(keys)}{did_you_mean(key, keys)}"
            )
        if not isinstance(reason, str) or not reason.strip():
            raise PluginError(f"the expected failure {name!r} needs a reason as text")
