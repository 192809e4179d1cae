# ruff: noqa: E501 - table rows of a template are one line each
"""Writes the model card of a model set from its evaluations, into the set.

dxtree evaluate --cohort milk10k --data DIR --lesions validation --models SET --json > milk10k.json
dxtree evaluate --cohort ham10000 --data DIR --lesions validation --models SET --json > ham10000.json
python scripts/make_card.py SET milk10k.json ham10000.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from core.manifest import write_bundle
from plugins.model_set import MANIFEST, MODALITY_MANIFEST, ModelSet, read_bundle

METRICS = {"balanced_accuracy": "balanced accuracy", "accuracy": "accuracy", "auc_malignant": "AUC malignant",
           "brier": "Brier", "ece": "ECE"}  # fmt: skip
SETS = {
    "official": "official classes",
    "leaves": "training classes",
    "level2": "second level",
    "level1": "first level",
}

ABOUT = """# Model card: {name}

**For research use only. Not a medical device.** It must not decide about a patient.

{description}

| | |
|---|---|
| licence | {licence}: the training data are non-commercial |
| modalities | {modalities} |
| nets | {nets} |
| training classes | {classes} of the tree `{taxonomy}` (partition: {preset}, at most {max_size} images a class) |
| fusers | {fusers}; {default} answers by default |
| training images | {images} |
| lesions | {training:,} in the training part, {validation:,} held out; the split is by lesion id over the union of both sets |
| bundles | {digests} |

## What it was measured on

The lesions held out of training, which chose nothing: neither a net, nor a fuser, nor a temperature; only the limits of
the gate are set on them. Intervals are 95 %, from resamples of whole lesions. Each table comes from the command above it.
"""

LIMITS = """
## Limits

- The images come from a few specialist centres; {tone}
- Neither data set publishes patient ids: two lesions of one patient may stand on both sides of the split.
- Prevalence is that of the data sets (MILK10k: two thirds malignant; HAM10000: here a third), not of a clinic.
- What the tree does not hold, or no training image showed, cannot be answered; the gate does not notice it.
- HAM10000's missing sites are informative in themselves; `logistic:no_site` shows what is left without the site.
- Diagnoses of the first level are Benign, Indeterminate and Malignant as the ISIC Archive labels them.
"""


def main() -> None:
    """Writes `card.md` into the set and the set's manifest anew."""
    folder, *evaluations = map(Path, sys.argv[1:])
    models = ModelSet.open(folder)
    text = _about(models)
    for path in evaluations:
        text += _evaluation(json.loads(path.read_text("utf-8")))
    tone = "skin tone classes 0 and 1 of MILK10k's scale are almost absent."
    text += LIMITS.format(tone=tone)
    manifest = {k: v for k, v in models.bundle.manifest.items() if k not in ("format", "files")}
    write_bundle(folder, MANIFEST, manifest, {**models.bundle.files, "card.md": text.encode()})
    ModelSet.open(folder)


def _about(models: ModelSet) -> str:
    manifest, report = models.bundle.manifest, models.partition.report
    bundles = {
        m: read_bundle(models.folder / m, MODALITY_MANIFEST).manifest for m in sorted(models.modalities)
    }
    lesions = json.loads(models.bundle.files["lesions.json"])
    nets = {
        m: f"{m}: {b['architecture']}, {b['training']['config']['epochs']} epochs at "
        f"{b['training']['config']['size']} pixels, read at {b['preprocessing']['size']}"
        for m, b in bundles.items()
    }
    return ABOUT.format(
        name=manifest["name"],
        description=manifest.get("description", ""),
        licence=manifest["licence"],
        modalities=", ".join(bundles),
        nets="; ".join(nets.values()),
        classes=len(models.partition.classes),
        taxonomy=models.partition.taxonomy.name,
        preset=report.preset,
        max_size=report.max_size,
        fusers=", ".join(sorted(models.fusers)),
        default=models.default_fuser,
        images=", ".join(f"{b['training']['images']:,} {m}" for m, b in bundles.items()),
        training=len(lesions["training"]),
        validation=len(lesions["validation"]),
        digests=", ".join(f"{m}: `{d[:16]}`" for m, d in sorted(models.modalities.items())),
    )


def _evaluation(found: dict[str, Any]) -> str:
    command = f"dxtree evaluate --cohort {found['cohort']} --data DIR --lesions {found['lesions']}"
    lines = [
        f"\n## {found['cohort']}: {found['n_lesions']:,} lesions, {found['n_images']:,} images\n\n    {command}\n"
    ]
    for key, title in SETS.items():
        rows = {n: r[key] for n, r in found["pipelines"].items() if key in r}
        if rows:
            lines.append(_table(title, rows))
    lines.append(_differences(found))
    lines.append(_subgroups(found))
    return "\n".join(lines)


def _table(title: str, rows: dict[str, Any]) -> str:
    first = next(iter(rows.values()))
    head = f"### {title[0].upper()}{title[1:]} ({first['n']:,} lesions, {first['classes']} classes)\n\n"
    head += f"| pipeline | {' | '.join(METRICS.values())} |\n|---|{'---|' * len(METRICS)}\n"
    body = [f"| {name} | {' | '.join(_interval(row[m]) for m in METRICS)} |" for name, row in rows.items()]
    return head + "\n".join(body) + "\n"


def _differences(found: dict[str, Any]) -> str:
    chosen = [
        d
        for d in found["differences"]
        if d["label_set"] == "official" and d["metric"] in ("balanced_accuracy", "auc_malignant")
    ]
    head = "### Differences, paired, official classes\n\n| pipeline | against | metric | difference | verdict |\n|---|---|---|---|---|\n"
    return (
        head
        + "\n".join(
            f"| {d['pipeline']} | {d['against']} | {METRICS[d['metric']]} | {_interval(d, sign='+')} | {d['verdict']} |"
            for d in chosen
        )
        + "\n"
    )


def _subgroups(found: dict[str, Any]) -> str:
    head = "### Subgroups (default fuser; fewer than 30 lesions: insufficient; worst first)\n\n"
    head += "| by | group | lesions | balanced accuracy | AUC malignant |\n|---|---|---|---|---|\n"
    pipelines = found["subgroups"]["pipelines"]
    name = next(n for n in ("logistic", "bayes", *pipelines) if n in pipelines)
    rows = []
    for g in pipelines[name]:
        numbers = [
            _interval(g[m]) if g["sufficient"] else "insufficient"
            for m in ("balanced_accuracy", "auc_malignant")
        ]
        rows.append(f"| {g['by']} | {g['group']} | {g['n']} | {numbers[0]} | {numbers[1]} |")
    return head + "\n".join(rows) + "\n"


def _interval(found: dict[str, Any] | None, sign: str = "") -> str:
    if found is None or found["value"] is None:
        return "not defined"
    if found["low"] is None:
        return f"{found['value']:{sign}.3f}"
    return f"{found['value']:{sign}.3f} [{found['low']:{sign}.3f}, {found['high']:{sign}.3f}]"


if __name__ == "__main__":
    main()
