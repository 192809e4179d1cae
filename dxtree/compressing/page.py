"""How is the report of a compression read? As a page of Markdown."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

_RULE = (
    "the last ratio up to which every 95 % interval of the change of balanced accuracy lies above a "
    "loss of one point."
)


def page(told: dict[str, Any]) -> str:
    """Markdown of what `document` gives."""
    judged, against = told["judged_on"], told["against"]
    lines = [
        f"# Compression of the {told['modality']} net ({told['architecture']})",
        "",
        f"Ratios are against {against['what']}: {against['bytes']:,} bytes, {against['parameters']:,} "
        f"parameters. Bytes are lengths of files.",
        "",
        f"Judged on {judged['images']:,} images of {judged['lesions']:,} lesions held out of training "
        f"({judged['unread']} images could not be read); a lesion's answer is the mean over its images. "
        f"AUC: {judged['auc']}. Brackets are 95 % intervals over {judged['resamples']:,} paired resamples of "
        f"lesions. Temperature: {told['temperature']}.",
        "",
        *_table(
            (
                "method",
                "bytes",
                "ratio",
                "accuracy",
                "balanced accuracy",
                "AUC",
                "Δ accuracy, points",
                "Δ balanced accuracy, points",
                "Δ AUC",
                "same class",
            ),
            (_cells(row) for row in told["rows"]),
        ),
        "",
    ]
    reasons = [f"- {_name(row)}: {row['reason']}" for row in told["rows"] if "reason" in row]
    lines += [*reasons, ""] if reasons else []
    if len(told["compressed"]) > 1:
        found = "none" if told["knee"] is None else f"{told['knee']:g}"
        lines += [f"**Knee: {found}**, {_RULE}", ""]
    for made in told["compressed"]:
        lines += _made(made)
    lines += [told["notice"], ""]
    return "\n".join(lines)


def verdict(made: dict[str, Any]) -> str:
    """What was reached, in a sentence."""
    text = f"1/{made['ratio']:.1f} of the float32 net ({made['bytes']:,} bytes)"
    if made["target_ratio"] is None:
        return text
    return (
        f"{text}, {'as' if made['reached'] else 'not 1/' + format(made['target_ratio'], 'g') + ' as'} asked"
    )


def _made(made: dict[str, Any]) -> Iterable[str]:
    target = f"{made['target_ratio']:g}" if made["target_ratio"] is not None else "a given sparsity"
    yield from (
        f"## Target {target}",
        "",
        f"{verdict(made)}. {made['sparsity']:.2%} of the weights are zero; the others of a layer share at "
        f"most {2 ** made['bits']} values. Decoding took {made['decode_seconds']:.3f} s, "
        f"{made['decode_over_parse']:.1f} times the {made['parse_seconds']:.3f} s of parsing the float32 "
        "graph.",
        "",
    )
    yield from _table(
        ("layer", "shape", "non-zero", "values", "bits an index", "codebook", "indices", "gaps", "bytes"),
        (
            (
                layer["name"],
                " x ".join(str(n) for n in layer["shape"]),
                f"{layer['nonzero']:,}",
                str(layer["values"]),
                f"{layer['index_bits']:.2f}",
                *(f"{layer[k]:,}" for k in ("codebook_bytes", "index_bytes", "gap_bytes", "bytes")),
            )
            for layer in made["layers"]
        ),
    )
    rest = ", ".join(f"{name} {size:,}" for name, size in made["other_bytes"].items())
    yield from ("", f"Other bytes: {rest}.", "")


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    size = "-" if row["bytes"] is None else f"{row['bytes']:,}"
    ratio = f"{row['ratio']:.1f}" if "ratio" in row else "-"
    if "accuracy" not in row:
        return (_name(row), size, ratio, *["-"] * 7)
    return (
        _name(row),
        size,
        ratio,
        _value(row["accuracy"], "{:.3f}"),
        _value(row["balanced_accuracy"], "{:.3f}"),
        _value(row["auc"], "{:.3f}"),
        _value(row["accuracy_change"], "{:+.2f}", 100),
        _value(row["balanced_accuracy_change"], "{:+.2f}", 100),
        _value(row["auc_change"], "{:+.4f}"),
        f"{row['same_answer']:.1%}",
    )


def _name(row: dict[str, Any]) -> str:
    return row["method"] if row["target_ratio"] is None else f"{row['method']} (1/{row['target_ratio']:g})"


def _value(found: dict[str, Any], form: str, scale: float = 1.0) -> str:
    if found["value"] is None:
        return "not defined"
    text = form.format(found["value"] * scale)
    if found["low"] is None:
        return text
    return f"{text} [{form.format(found['low'] * scale)}, {form.format(found['high'] * scale)}]"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterable[str]:
    yield f"| {' | '.join(head)} |"
    yield "|---|" + "---:|" * (len(head) - 1)
    for row in rows:
        yield f"| {' | '.join(row)} |"
