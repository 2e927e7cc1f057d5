"""Check that two radiographs are visits of one patient in this order; messages quote neither headers nor names."""

from __future__ import annotations

import re
from datetime import date

import numpy as np

from jointwrist.data.dicom.elements import TAKEN, element_date, element_text
from jointwrist.data.radiograph import Radiograph

#: Elements that are equal on two radiographs of one patient; names, which are spelt in several ways, come last.
_PATIENT = ("PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex")
#: File names of RAM-W600, which begin with the patient.
_RELEASE = re.compile(r"(?P<patient>(EXT_)?\d{4})_\d{4}_[LR]")


def visit_cautions(baseline: Radiograph, followup: Radiograph) -> tuple[str, ...]:
    """Return a caution if the patients differ, and one if the follow-up is older than the baseline."""
    cautions = []
    differing = _differing(baseline, followup)
    if differing:
        cautions.append(
            f"The two radiographs belong to different patients according to their {differing}: check the files."
        )
    before, after = _dates(baseline, followup)
    if before and after and after < before:
        cautions.append(
            "According to the headers, the follow-up was taken before the baseline: check the order of the files."
        )
    return tuple(cautions)


def same_picture_caution(baseline: Radiograph, followup: Radiograph) -> tuple[str, ...]:
    """Return a caution if both radiographs are one picture, as where a file was given or copied twice."""
    same = np.array_equal(baseline.pixels, followup.pixels)
    return ("The two radiographs are the same picture: check the files.",) if same else ()


def _differing(baseline: Radiograph, followup: Radiograph) -> str:
    """Name the header elements (or file names) in which two patients differ; empty if they agree."""
    if baseline.header is None or followup.header is None:
        names = [
            _RELEASE.match(radiograph.source.name) if radiograph.source else None for radiograph in (baseline, followup)
        ]
        return "names" if all(names) and names[0]["patient"] != names[1]["patient"] else ""
    values = {
        name: [element_text(radiograph.header, name).upper() for radiograph in (baseline, followup)]
        for name in (*_PATIENT, "PatientName")
    }
    names = _PATIENT if all(values["PatientID"]) else (*_PATIENT, "PatientName")
    differing = [name for name in names if all(values[name]) and values[name][0] != values[name][1]]
    return f"headers ({', '.join(differing)})" if differing else ""


def _dates(baseline: Radiograph, followup: Radiograph) -> tuple[date | None, date | None]:
    """Return the dates of two radiographs from the first date element that both have."""
    if baseline.header is not None and followup.header is not None:
        for name in TAKEN:
            days = element_date(baseline.header, name), element_date(followup.header, name)
            if None not in days:
                return days
    return None, None
