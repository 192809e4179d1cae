"""How do utilities come from a file into a decision?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dxtree.cli.options import existing

if TYPE_CHECKING:
    from core.decision import Decision, Utilities
    from core.diagnosis import Diagnosis


def read_utilities(path: Path) -> Utilities:
    """Utilities from YAML. Raises `PathRejected` for a file that is not there, `InputError` for its content.

    A key that stands twice is an error: YAML would take the last in silence.
    """
    import yaml

    from core.decision import Utilities
    from core.errors import InputError

    try:
        text = existing(path, "the utilities file").read_text("utf-8-sig")
        twice = _repeated(yaml.compose(text, Loader=yaml.SafeLoader))
        raw = yaml.safe_load(text)
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        raise InputError(f"{path.name} is no YAML in UTF-8 ({type(error).__name__})") from None
    if twice is not None:
        raise InputError(f"{path.name}: {twice!r} stands twice in one list of names; name each once")
    return Utilities.from_dict(raw)


def decided(answer: Diagnosis, utilities: Utilities) -> Decision | None:
    """The decision for an answer; `None` where it abstained, since no answer should be read from it then."""
    from core.decision import decide

    if answer.tree is None or answer.status == "abstained":
        return None
    return decide(answer.tree, utilities)


def _repeated(node: object) -> str | None:
    """A key that stands twice in one mapping of the document."""
    import yaml

    stack = [node]
    while stack:
        here = stack.pop()
        if isinstance(here, yaml.MappingNode):
            keys = [str(key.value) for key, _ in here.value]
            twice = [k for k in keys if keys.count(k) > 1]
            if twice:
                return twice[0]
            stack += [value for _, value in here.value]
        elif isinstance(here, yaml.SequenceNode):
            stack += here.value
    return None
