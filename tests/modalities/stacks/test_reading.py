"""Does a file that kills, stalls or fools its reader do anything but raise a typed error?"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from core import errors
from modalities.stacks import Channel
from modalities.stacks.limits import LIMITS, MOST_PLANES, check_room
from modalities.stacks.reading import read_in_child

PARSE = "stripes_parse"


def test_a_stack_crosses_the_pipe_whole(stripes: ModuleType) -> None:
    data = stripes.draw("wide", np.random.default_rng(1))
    stack = read_in_child(PARSE, data)
    assert stack.values.dtype == np.float32 and not stack.values.flags.writeable
    assert stack.axis == "depth" and stack.spacing_um == (0.5, 0.25) and stack.bits == 8
    assert stack.positions == (None, *(3.0 * k for k in range(1, len(stack.values))))
    assert stack.channels == (Channel("stripes", 780.0, "nm"),)
    assert stack.notes == ("toy",)
    import stripes_parse

    assert np.array_equal(stack.values, stripes_parse.parse(data, LIMITS).values)


def test_a_path_is_read_as_its_bytes_are(stripes: ModuleType, tmp_path: Path) -> None:
    data = stripes.draw("narrow", np.random.default_rng(1))
    (tmp_path / "one.tif").write_bytes(data)
    found = read_in_child(PARSE, tmp_path / "one.tif")
    assert np.array_equal(found.values, read_in_child(PARSE, data).values)


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"die", errors.CorruptImage),
        (b"nan", errors.CorruptImage),
        (b"refuse", errors.UnsupportedFormat),
        (b"eat", errors.ImageTooLarge),
        (b"no picture", errors.CorruptImage),
        (b"", errors.EmptyInput),
    ],
)
def test_a_hostile_file_is_a_typed_error_and_the_next_one_is_read(
    stripes: ModuleType, data: bytes, fault: type[errors.InputError]
) -> None:
    with pytest.raises(fault):
        read_in_child(PARSE, data)
    assert read_in_child(PARSE, stripes.draw("wide", np.random.default_rng(2))).axis == "depth"


def test_a_file_that_takes_too_long_is_stopped(stripes: ModuleType) -> None:
    with pytest.raises(errors.DecodeTimeout):
        read_in_child(PARSE, b"sleep", replace(LIMITS, seconds=0.5))


def test_more_bytes_than_allowed_are_never_sent(stripes: ModuleType) -> None:
    with pytest.raises(errors.ImageTooLarge, match="at most 4 are read"):
        read_in_child(PARSE, b"12345", replace(LIMITS, max_bytes=4))


@pytest.mark.parametrize(
    ("size", "fault"),
    [
        ((0, 64, 64, 1), errors.CorruptImage),
        ((MOST_PLANES + 1, 64, 64, 1), errors.ImageTooLarge),
        ((1000, 1000, 1000, 1), errors.ImageTooLarge),
        ((1, 8, 64, 1), errors.ImageTooSmall),
        ((1, 16, 1000, 1), errors.ImageTooLarge),
    ],
)
def test_what_does_not_fit_is_refused_before_memory_is_taken(
    size: tuple[int, int, int, int], fault: type[errors.InputError]
) -> None:
    with pytest.raises(fault):
        check_room(*size, LIMITS)
