"""What does a plugin's author subclass? One class, whose tests are whatever the kit knows by then."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from plugins.assembly import find_model_set, load_registry
from plugins.config import Settings
from plugins.conformance.finding import KEPT_AFTER_ALL, Promise, Unanswerable, check_expected
from plugins.conformance.plan import KEYS, plan


class PluginContract:
    """The conformance kit as a test class; pytest runs every promise as a test of its own::

        class TestConfocal(PluginContract):
            plugin = "my-distribution:confocal"
            expected_failures = {"orientation": "the microscope has no upright"}

    `plugin` is the file of a one-file plugin or the name of an installed one; `enabled` names others that it
    needs. `models` is the name or folder of the model set to try it with. An expected failure names a promise
    by its key, or by "SUBJECT.KEY" for one of several things that the plugin offers, with a reason; once the
    promise is kept, the test fails until the entry is taken out.
    """

    plugin: ClassVar[str | Path]
    enabled: ClassVar[tuple[str, ...]] = ()
    models: ClassVar[str | Path] = "demonstration"
    expected_failures: ClassVar[Mapping[str, str]] = {}

    def __init_subclass__(cls, **given: Any) -> None:
        """Raises `PluginError` for an expected failure of no promise, or without a reason."""
        super().__init_subclass__(**given)
        check_expected(cls.expected_failures, KEYS)

    @classmethod
    def promises(cls) -> list[Promise]:
        """Every promise that applies to the plugin, untested. Raises `PluginError` for no such plugin."""
        name = str(cls.plugin)
        registry = load_registry(Settings((name, *cls.enabled)))
        if name.endswith(".py"):
            name = registry.manager.load_file(name).name
        else:
            name = registry.manager.resolve(name)
        return plan(name, registry, find_model_set(registry, str(cls.models)))

    def pytest_generate_tests(self, metafunc: Any) -> None:
        """One test a promise."""
        if "promise" in metafunc.fixturenames:
            promises = self.promises()
            metafunc.parametrize("promise", promises, ids=[p.title for p in promises])

    def test_it_keeps(self, promise: Promise) -> None:
        """One promise; skipped where another one is broken first, or nothing of its kind is there."""
        import pytest

        reason = promise.expected_in(self.expected_failures)
        try:
            promise.test()
        except Unanswerable as error:
            pytest.skip(str(error))
        except Exception as error:
            if not reason:
                raise
            pytest.xfail(f"{reason} ({error})")
        if reason:
            pytest.fail(KEPT_AFTER_ALL.format(reason), pytrace=False)
