"""Do the Python examples of the pages on integration run, and print what stands there?"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dxtree.cohorts import make_lesion

PAGES = Path(__file__).parents[2] / "docs" / "how-to"
EXAMPLE = re.compile(r"```python\n(.*?)```\n(?:\n```\n(.*?)```\n)?", re.DOTALL)


@pytest.mark.parametrize("page", ["integrate.md", "prevalence.md"])
def test_the_examples_of_a_page_run_one_after_the_other(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "lesion.jpg").write_bytes(make_lesion(7, 0).jpegs["dermoscopy"])
    monkeypatch.chdir(tmp_path)
    examples = EXAMPLE.findall((PAGES / page).read_text("utf-8"))
    assert examples
    names: dict[str, object] = {}
    for source, printed in examples:
        exec(compile(source, page, "exec"), names)  # noqa: S102
        out = capsys.readouterr().out
        if printed:
            assert out == printed
