"""What does the report of a compression hold? One JSON document."""

from __future__ import annotations

from typing import Any

from core.diagnosis import RESEARCH_USE
from dxtree.compressing.compress import Compressed
from dxtree.compressing.judging import Scored
from dxtree.compressing.knee import knee
from dxtree.compressing.making import Made
from dxtree.compressing.rivals import Rival, name_of
from dxtree.compressing.timing import decode_time
from dxtree.speed.machine import Machine
from modalities.compression import sections
from modalities.compression.packing import in_float32, parameters
from modalities.engines.graphs import sha256_of, source_file, source_graph

AGAINST = "bytes of the dense net's ONNX graph with every parameter as float32"


def document(found: Compressed) -> dict[str, Any]:
    """JSON-ready. Bytes are lengths of files; a ratio is `AGAINST` over them.

    Decoding is timed here, on this machine as busy as it is.
    """
    bundle = found.material.bundle
    dense = source_graph(bundle)
    full = in_float32(dense)
    changes = {m.target: found.scored[name_of(m)] for m in found.made if m.target is not None}
    several = len(changes) > 1
    intervals = {target: s.changes["balanced_accuracy"] for target, s in changes.items() if not s.fault}
    return {
        "modality": found.material.run.config.modality,
        "architecture": bundle.require("architecture", str),
        "source": {"digest": bundle.digest, "net": sha256_of(bundle, source_file(bundle))},
        "against": {"what": AGAINST, "bytes": len(full), "parameters": parameters(dense)},
        "temperature": "of the dense net" if found.material.calibrated else "1: the run has no folds yet",
        "judged_on": {
            "lesions": found.lesions,
            "images": found.images,
            "unread": found.unread,
            "auc": found.area,
            "resamples": found.resamples,
            "seed": found.seed,
        },
        "training_images_skipped": found.skipped,
        "compressed": [_made(m, full) for m in found.made],
        "rows": [_row(r, found.scored, len(full)) for r in found.rivals],
        "knee": knee(intervals) if several else None,
        "machine": Machine.here().to_dict(),
        "notice": RESEARCH_USE,
    }


def _made(made: Made, full: bytes) -> dict[str, Any]:
    times = decode_time(made.packed.file, full)
    parts = sections(made.packed.file)
    return {
        "target_ratio": made.target,
        "ratio": made.ratio,
        "reached": made.reached,
        "bytes": len(made.packed.file),
        "sparsity": made.sparsity,
        "bits": made.config.bits,
        "config": made.config.model_dump(mode="json"),
        "digest": made.bundle.digest,
        "decode_seconds": times.decode,
        "parse_seconds": times.parse,
        "decode_over_parse": times.relative,
        "layers": [
            {
                "name": s.name,
                "shape": list(s.shape),
                "nonzero": s.nonzero,
                "values": s.values,
                "index_bits": s.index_bits,
                "codebook_bytes": s.codebook_bytes,
                "index_bytes": s.index_bytes,
                "gap_bytes": s.gap_bytes,
                "bytes": s.total,
            }
            for s in parts
            if s.shape is not None
        ],
        "other_bytes": {s.name.strip("()"): s.total for s in parts if s.shape is None},
    }


def _row(rival: Rival, scored: dict[str, Scored], full: int) -> dict[str, Any]:
    row: dict[str, Any] = {"method": rival.method, "target_ratio": rival.target, "bytes": rival.size}
    own = scored.get(rival.answers) if rival.answers is not None else None
    fault = own.fault if own is not None else None
    if rival.reason is not None or fault is not None:
        row["reason"] = rival.reason or f"it did not answer ({fault})"
    if rival.size is not None:
        row["ratio"] = full / rival.size
    if own is None or fault is not None:
        return row
    return row | {
        **{key: value.to_dict() for key, value in own.values.items()},
        **{f"{key}_change": value.to_dict() for key, value in own.changes.items()},
        "same_answer": own.same_answer,
    }
