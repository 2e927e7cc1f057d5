#!/usr/bin/env bash
# dicomweb-client 0.61.2: searching a folder of DICOM files for patients by a pattern (DICOMfileClient).
#
# Guess: patterns match as in DICOM (PS3.4, C.2.2.2.4): * is any text, ? is one character, everything else is itself, and
#        capital letters differ from small ones; a study of 10:15 is found by the time 1015.
# Seen:  patterns are handed to SQL's LIKE. An underscore, which most pseudonyms have, stands for any character, and case
#        does not count: RA_0* finds the patients RA-01, RA101 and ra_03 as well. Where a pattern has a *, its ? is left
#        as it is, and RA?0* finds nobody. A time is compared with the end of the stored one, so that 1015 finds the
#        studies of 15:10:15 and 10:10:15, and misses that of 10:15. None of it warns. A value without a pattern is
#        compared exactly. Search without filters, and filter what comes back yourself.
#
# Exits with 0 as long as that is so, with 1 once it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet dicomweb-client==0.61.2 pydicom==3.0.2 numpy==2.4.6 pillow==13.0.0
cat > search.py <<'PYTHON'
import sys
from fnmatch import fnmatchcase
from importlib.metadata import version
from pathlib import Path

from dicomweb_client.file import DICOMfileClient
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid

STUDIES = {"RA_01": "101500", "RA-01": "151015", "RA101": "101015", "RA_02": "081500", "ra_03": "093000"}


def write(path, patient, time):
    film = Dataset()
    film.file_meta = FileMetaDataset()
    film.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    film.SOPClassUID = film.file_meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    film.SOPInstanceUID = film.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    film.StudyInstanceUID, film.SeriesInstanceUID = generate_uid(), generate_uid()
    film.PatientID, film.PatientName, film.Modality = patient, "Film^Test", "DX"
    film.StudyDate, film.StudyTime, film.StudyID, film.AccessionNumber = "20260105", time, "1", "1"
    film.PatientSex = film.PatientBirthDate = film.ReferringPhysicianName = ""
    film.SeriesNumber = film.InstanceNumber = film.SamplesPerPixel = 1
    film.Rows, film.Columns, film.BitsAllocated, film.BitsStored, film.HighBit = 4, 4, 16, 16, 15
    film.PixelRepresentation, film.PhotometricInterpretation, film.PixelData = 0, "MONOCHROME2", bytes(32)
    film.save_as(path, enforce_file_format=True)


print("dicomweb-client", version("dicomweb-client"))
films = Path("films").absolute()
films.mkdir()
for number, (patient, time) in enumerate(STUDIES.items()):
    write(films / f"{number}.dcm", patient, time)
client = DICOMfileClient(films.as_uri(), in_memory=True)
expected, seen = {}, {}
for pattern in ("RA_01", "RA_0*", "RA_0?", "RA?0*", "1015"):
    keyword = "StudyTime" if pattern == "1015" else "PatientID"
    found = client.search_for_studies(search_filters={keyword: pattern})
    seen[pattern] = sorted(study["00100020"]["Value"][0] for study in found)
    if keyword == "StudyTime":
        expected[pattern] = sorted(patient for patient, time in STUDIES.items() if time.startswith(pattern))
    else:
        expected[pattern] = sorted(patient for patient in STUDIES if fnmatchcase(patient, pattern))
    print(f"{keyword} {pattern}: expected {expected[pattern]}, seen {seen[pattern]}")
same = seen["RA_01"] == expected["RA_01"] and seen["RA_0*"] == seen["RA_0?"] == sorted(STUDIES)
same &= seen["RA?0*"] == [] and seen["1015"] == sorted(patient for patient, time in STUDIES.items() if time.endswith("1015"))
print("as described" if same else "changed")
sys.exit(not same)
PYTHON
env/bin/python search.py
