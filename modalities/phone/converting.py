"""How does a net become a LiteRT file of some precision? Needs the extra `phone`."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from core.errors import ContractError, MissingExtra

if TYPE_CHECKING:
    from torch import nn

Precision = Literal["fp32", "fp16", "int8", "int8-dynamic"]
"""`fp16` stores weights in 16 bits and computes as the phone likes. `int8` has weights and activations in 8
bits, with ranges seen on images. `int8-dynamic` has weights in 8 bits and finds ranges while it runs.
Whatever it is, input and output stay float32."""
PRECISIONS: tuple[Precision, ...] = get_args(Precision)

SIGNATURE = "serving_default"
Squares = Sequence[npt.NDArray[np.uint8]]
"""Preprocessed pictures, uint8 size x size x 3, RGB."""


def convert(graph: nn.Module, size: int) -> bytes:
    """An fp32 LiteRT file of a module that takes float32 1 x size x size x 3.

    Raises `MissingExtra` without LiteRT's converter, and `ContractError` where it cannot convert the net.
    """
    import torch

    with _quiet():
        litert = _litert()
        try:
            made = litert.convert(graph.eval(), (torch.zeros(1, size, size, 3),))
            return bytes(made.model_content())
        except Exception as error:  # torch.export, MLIR and the converter raise whatever they like
            raise ContractError(f"LiteRT cannot convert this net ({type(error).__name__})") from error


def quantise(fp32: bytes, precision: Precision, squares: Squares = ()) -> bytes:
    """The same net with smaller numbers; `fp32` itself for that precision.

    `squares` are pictures to see the ranges of activations on, which `int8` alone needs: from 1 up, better
    some dozens. Raises `ContractError` where they are missing or the net cannot be quantised.
    """
    if precision == "fp32":
        return fp32
    if precision == "int8" and not len(squares):
        raise ContractError(
            "int8 needs pictures to see the ranges of activations on; int8-dynamic needs none"
        )
    with _quiet():
        tool = _quantizer(fp32)
        try:
            _prepare(tool, precision)
            seen = _seen(fp32, tool, squares) if precision == "int8" else None
            return bytes(tool.quantize(seen).quantized_model)
        except Exception as error:  # the quantiser raises ValueError, RuntimeError and flatbuffers' own
            raise ContractError(
                f"LiteRT cannot make this net {precision} ({type(error).__name__})"
            ) from error


def _litert() -> Any:
    try:
        import litert_torch
    except ImportError as error:
        raise MissingExtra("an export for phones", "phone") from error
    return litert_torch


def _quantizer(fp32: bytes) -> Any:
    try:
        from ai_edge_quantizer.quantizer import Quantizer
    except ImportError as error:
        raise MissingExtra("an export for phones", "phone") from error
    return Quantizer(fp32)


def _prepare(tool: Any, precision: Precision) -> None:
    from ai_edge_quantizer import qtyping, recipe

    names = qtyping.TFLOperationName
    if precision == "fp16":
        half = qtyping.OpQuantizationConfig(
            weight_tensor_config=qtyping.TensorQuantizationConfig(
                num_bits=16, dtype=qtyping.TensorDataType.FLOAT
            ),
            compute_precision=qtyping.ComputePrecision.FLOAT,
            explicit_dequantize=True,
        )
        tool.update_quantization_recipe(".*", names.ALL_SUPPORTED, half, "float_casting")
        return
    tool.load_quantization_recipe(
        recipe.dynamic_wi8_afp32() if precision == "int8-dynamic" else recipe.static_wi8_ai8()
    )
    if precision == "int8":
        # Input and output stay float32, so that an app need not know about scales.
        for end in (names.INPUT, names.OUTPUT):
            tool.update_quantization_recipe(".*", end, algorithm_key="no_quantize")


def _seen(fp32: bytes, tool: Any, squares: Squares) -> dict[str, Any]:
    """Least and largest value of every tensor over all pictures.

    The quantiser's own calibration of several pictures averages over them with a weight of .95 for what it
    saw before, so that the first one decides and values beyond its range are cut off.
    """
    from modalities.phone.running import PhoneNet

    name, found = PhoneNet(fp32).input_name, dict[str, Any]()
    for square in squares:
        # A list, for the calibrator counts it first and would find a generator used up.
        given = [{name: square[None].astype(np.float32)}]
        for tensor, here in tool.calibrate({SIGNATURE: given}, num_threads=1).items():
            before = found.get(tensor) or here
            found[tensor] = here and {
                **here,
                "min": np.minimum(before["min"], here["min"]),
                "max": np.maximum(before["max"], here["max"]),
            }
    return found


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps LiteRT's progress off the streams, one of which may carry our JSON, and its warnings off too."""
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        yield
