"""What may be said about the reading of a file? The worker sends a key, so no text of a file gets through."""

from __future__ import annotations

from core.diagnosis import Notice

REMARKS = {
    "age_unreadable": Notice(
        "DicomAge", "the age in the DICOM file cannot be read as 0 to 120 years; it counts as not known"
    ),
    "burned_in": Notice(
        "DicomBurnedIn", "the DICOM file says that text is drawn into the picture, which may name the patient"
    ),
    "colour_profile": Notice(
        "DicomColourProfile", "the DICOM file has a colour profile that is not named sRGB; it was not applied"
    ),
    "identified": Notice(
        "DicomIdentified",
        "the DICOM file does not say that the patient's identity was removed; only age, sex, site and pixels "
        "entered the case",
    ),
    "modality_given": Notice(
        "DicomModality", "the DICOM file is of a class that stands for another modality than the one given"
    ),
    "pixel_aspect": Notice(
        "DicomPixelAspect", "the pixels of the DICOM file are not square; they were taken as they are stored"
    ),
    "reduced": Notice(
        "DicomReduced", "a large DICOM picture was halved in size, once or more, by means of 2 x 2 pixels"
    ),
    "sex_other": Notice("DicomSex", "the sex in the DICOM file is neither F nor M; it counts as not known"),
    "site_ambiguous": Notice(
        "DicomSite", "the DICOM file names several anatomic regions; the site counts as not known"
    ),
    "site_unknown": Notice(
        "DicomSite",
        "the anatomic region of the DICOM file is not in the table of sites; it counts as not known",
    ),
}
"""Key to notice."""
