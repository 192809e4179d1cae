"""Who said what, when and with which models? An append-only file that shows when it was changed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from core.case import Case
from core.diagnosis import Diagnosis
from core.errors import AuditError
from core.prediction_set import PredictionSet
from dxtree.audit.appending import append, joined, joint, locked
from dxtree.audit.chain import Link
from dxtree.audit.key import key_beside, make_key, name_of, read_key
from dxtree.audit.record import of_diagnosis, of_torn

NO_PLUGINS: Mapping[str, str] = MappingProxyType({})


class AuditTrail:
    """Records diagnoses in `path`, one line each; any number of threads and processes may write one file.

    `key` is the file of the secret behind fingerprints and seals, `path` with `.key` behind it unless named;
    it is made together with the trail. `plugins` maps names to versions (`plugin_versions`), `actor` says
    who asks.

    Called as an observer of a pipeline it answers nothing; its faults then are a notice in the diagnosis.
    `record` raises them instead, for a caller who gives no answer that is not recorded.

    Raises `AuditError` where the file cannot be opened, its end does not hold, or the key of a trail that
    has records is missing.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        key: str | Path | None = None,
        plugins: Mapping[str, str] = NO_PLUGINS,
        actor: str | None = None,
    ) -> None:
        self.path = Path(path)
        self._plugins, self._actor = dict(plugins), actor
        key_file = key_beside(self.path) if key is None else Path(key)
        with locked(self.path) as handle:
            is_new = self.path.stat().st_size == 0
            if not is_new and not key_file.exists():
                raise AuditError(
                    f"{self.path.name} has records and its key {key_file.name} is missing; bring it back or "
                    "begin another trail"
                )
            self._key = make_key(key_file) if is_new else read_key(key_file)
            self._repaired(handle)

    @property
    def key_name(self) -> str:
        """The name under which records mention the key."""
        return name_of(self._key)

    def __call__(self, case: Case, diagnosis: Diagnosis) -> None:
        """Records the diagnosis, as an observer."""
        self.record(case, diagnosis)

    def record(
        self,
        case: Case,
        diagnosis: Diagnosis,
        *,
        actor: str | None = None,
        prediction_set: PredictionSet | None = None,
    ) -> Link:
        """Records the diagnosis; on return it is on the disk. The answer is the new head of the chain.

        `actor` names who asked in place of the trail's own. Raises `OutOfSpace` and `AuditError`; the trail
        then ends as before.
        """
        return self.add(self.content(case, diagnosis, actor=actor, prediction_set=prediction_set))

    def content(
        self,
        case: Case,
        diagnosis: Diagnosis,
        *,
        actor: str | None = None,
        prediction_set: PredictionSet | None = None,
        batch: Mapping[str, str | int] | None = None,
    ) -> dict[str, Any]:
        """What a record of the diagnosis says, its place in the chain apart; `batch` as in `of_diagnosis`."""
        return of_diagnosis(
            case,
            diagnosis,
            self._key,
            plugins=self._plugins,
            actor=self._actor if actor is None else actor,
            prediction_set=prediction_set,
            batch=batch,
        )

    def add(self, content: dict[str, Any]) -> Link:
        """Appends what `content` gave, as `record` does, whose errors it raises."""
        with locked(self.path) as handle:
            return append(handle, self.path, self._repaired(handle), joined(content, self._key))

    def _repaired(self, handle: int) -> Link:
        """Where the next line joins on; that a torn line was moved aside is a record of its own."""
        link, torn = joint(handle, self.path)
        if torn is None:
            return link
        return append(handle, self.path, link, joined(of_torn(*torn, self._key), self._key))
