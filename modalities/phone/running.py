"""What does a LiteRT file answer, in the runtime that a phone has? Needs the extra `phone`."""

from __future__ import annotations

import contextlib
import io
import warnings
from typing import Any

import numpy as np
import numpy.typing as npt

from core.errors import ContractError, MissingExtra
from modalities.engines import finite

FloatArray = npt.NDArray[np.float32]


class PhoneNet:
    """One LiteRT file in its interpreter, on one thread. No thread may call it beside another.

    Raises `MissingExtra` without the runtime, `ContractError` for bytes that are no such net.
    """

    def __init__(self, file: bytes, threads: int = 1) -> None:
        # The runtime's import and start announce renamings and delegates.
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            try:
                from ai_edge_litert.interpreter import Interpreter
            except ImportError as error:
                raise MissingExtra("LiteRT's runtime", "phone") from error
            try:
                self._net: Any = Interpreter(model_content=file, num_threads=threads)
                self._net.allocate_tensors()
            except (ValueError, RuntimeError) as error:
                raise ContractError(f"LiteRT cannot read the file ({type(error).__name__})") from error
        ins, outs = self._net.get_input_details(), self._net.get_output_details()
        if len(ins) != 1 or len(outs) != 1 or any(d["dtype"] is not np.float32 for d in (*ins, *outs)):
            raise ContractError("the file is no net with one float32 input and one float32 output")
        self._input, self._output = ins[0]["index"], outs[0]["index"]
        self.shape: tuple[int, ...] = tuple(int(n) for n in ins[0]["shape"])
        """Shape of the input: 1 x size x size x 3."""
        self.classes = int(outs[0]["shape"][-1])

    @property
    def input_name(self) -> str:
        """Name of the input in the file's only signature."""
        (signature,) = self._net.get_signature_list().values()
        return str(signature["inputs"][0])

    def __call__(self, square: npt.NDArray[np.uint8]) -> FloatArray:
        """uint8 size x size x 3 to logits, one a class.

        Raises `ContractError` for another shape, `NonFiniteOutput` for an answer that is not finite.
        """
        given = np.ascontiguousarray(square[None], np.float32)
        if given.shape != self.shape:
            raise ContractError(f"the net takes {self.shape[1:]}, not {square.shape}")
        self._net.set_tensor(self._input, given)
        self._net.invoke()
        return finite(np.asarray(self._net.get_tensor(self._output)[0], np.float32))
