"""Which rows are done? Those whose shard stands in the folder: each is written whole or not at all.

A shard holds the diagnoses *and* the faults of its rows, so one rename decides about both. There is no other
journal; `faults.csv` is derived from the shards.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from core.errors import ContractError
from core.files import write_whole
from dxtree.batch.lines import number_of
from dxtree.batch.rows import Block


class Shards:
    """The shards of one run. Who writes here holds the folder's lock."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "shards"

    def path(self, block: Block) -> Path:
        """Where the shard of a block stands, or will."""
        return self._folder / f"{block.index:05d}.jsonl"

    def prepare(self) -> None:
        """Makes the folder and drops what a killed process left half-written, and counts of tries."""
        self._folder.mkdir(exist_ok=True)
        for left in (*self._folder.glob("*.partial"), *self._folder.glob("*.tries")):
            left.unlink(missing_ok=True)

    def missing(self, blocks: Sequence[Block]) -> list[Block]:
        """The blocks whose shard is not there."""
        return [block for block in blocks if not self.path(block).is_file()]

    def write(self, block: Block, lines: Sequence[bytes]) -> None:
        """Writes a whole shard. Raises `OutOfSpace` or `PathRejected`, and `ContractError` for other rows."""
        self._check(block, lines, whole=True)
        write_whole(self.path(block), b"".join(lines))
        self._begun(block).unlink(missing_ok=True)
        self._tries(block).unlink(missing_ok=True)

    def begin(self, block: Block, lines: Sequence[bytes]) -> None:
        """Keeps the first lines of a shard that was interrupted."""
        if lines:
            write_whole(self._begun(block), b"".join(lines))

    def tried(self, block: Block) -> int:
        """How often this was called for a block whose shard is not there, this time included."""
        with self._tries(block).open("ab") as file:
            file.write(b".")
            return file.tell()

    def begun(self, block: Block) -> list[bytes]:
        """The lines that `begin` kept. Raises `ContractError` where they are not the block's first."""
        path = self._begun(block)
        lines = path.read_bytes().splitlines(keepends=True) if path.is_file() else []
        self._check(block, lines, whole=False)
        return lines

    def lines(self, blocks: Sequence[Block]) -> Iterator[bytes]:
        """Every line of every shard, in order. Raises `ContractError` for a shard with other rows."""
        for block in blocks:
            with self.path(block).open("rb") as file:
                lines = list(file)
            self._check(block, lines, whole=True)
            yield from lines

    def _begun(self, block: Block) -> Path:
        return self.path(block).with_suffix(".begun")

    def _tries(self, block: Block) -> Path:
        return self.path(block).with_suffix(".tries")

    def _check(self, block: Block, lines: Sequence[bytes], *, whole: bool) -> None:
        expected = range(block.first, block.first + (block.rows if whole else len(lines)))
        if len(lines) > block.rows or [number_of(line) for line in lines] != list(expected):
            name = self.path(block).stem
            raise ContractError(
                f"shard {name} holds other rows than it should; remove the files {name}.* and run the same "
                "command again"
            )
