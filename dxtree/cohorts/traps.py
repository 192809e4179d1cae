"""What must a report on a public data set say, because a reader would otherwise be misled?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

_TRAPS: Mapping[str, Mapping[str, str]] = {
    "milk10k": {
        "site": "the site is `site`; the archive's own anatom_site_general is coarser",
        "prevalence": "most lesions are malignant: biopsied lesions of a referral centre",
    },
    "ham10000": {
        "site": "a missing site tells: such lesions are malignant less often, so report with and without it",
        "lesion_id": "the lesions of the archive (IL_...) and of the Dataverse (HAM_...) have different ids",
        "label": "nevi that were followed up are confirmed without histopathology, cancers never",
    },
    "pad_ufes_20": {
        "sex": "a missing gender tells: in the published table no lesion without one is a cancer, and the "
        "other questions of the interview are missing with it; report with and without it",
        "label": "cancers are confirmed by biopsy, most of the others are not",
    },
    "derm7pt": {
        "age_years": "the set gives no age",
        "label": "cases come from an atlas for teaching: prevalence is not that of any clinic",
    },
    "isic_2019": {
        "lesion_id": "some images have no lesion id; two views of one lesion may then straddle a split",
        "source": "it holds HAM10000 and BCN20000 under the same image ids: split the union together",
    },
    "isic_2020": {
        "label": "the diagnosis of most benign images is unknown; they are labelled Benign and nothing finer",
        "duplicates": "pairs of one picture under two ids; give the organisers' list beside the table",
    },
    "bcn20000": {"source": "part of it is in ISIC 2019 under other image ids; link by picture"},
    "fitzpatrick17k": {
        "lesion_id": "no lesions and no patients are named, and many pictures are near duplicates of others; "
        "link by picture, and call no result leak-free",
        "label": "labels come from the two atlases, few are confirmed by biopsy",
    },
    "ddi": {
        "lesion_id": "no lesions and no patients are named, and there are fewer patients than images",
        "prevalence": "lesions were matched between skin tones: prevalence is not that of any clinic",
    },
    "scin": {
        "age_years": "ages are groups of ten years; a group is no age, so no age is known",
        "label": "a differential by up to three dermatologists from the photograph alone, no biopsy",
    },
}

TRAPS: Mapping[str, Mapping[str, str]] = {**_TRAPS, "fitzpatrick17k_esteva": _TRAPS["fitzpatrick17k"]}
"""By data set and field: what a missing value, a label or an id tells that it should not."""


def traps(cohorts: Iterable[str]) -> tuple[str, ...]:
    """One sentence for each trap of these data sets, `cohort, field: text`; none for an unknown name."""
    return tuple(
        f"{cohort}, {name}: {text}" for cohort in cohorts for name, text in TRAPS.get(cohort, {}).items()
    )
