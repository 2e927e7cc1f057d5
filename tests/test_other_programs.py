"""Files and folders of programs that outline bones but are not read: the message names the program and the remedy."""

from __future__ import annotations

import io
import json
import re
import zipfile

import pytest
from annotation_files import write_labelme
from pydicom import Dataset, uid
from pydicom.dataset import FileMetaDataset
from test_predict_command import predict, radiograph, weights  # noqa: F401  (fixtures)

from jointwrist.cli import main
from jointwrist.data.importers import read_coco, read_labelme
from jointwrist.data.importers.cvat import read_cvat
from jointwrist.data.importers.volumes import read_nifti, read_seg_nrrd
from jointwrist.data.importers.yolo import read_yolo
from jointwrist.data.shapes.other_programs import what_it_holds
from jointwrist.errors import DataError

LABELBOX = {"data_row": {"id": "x", "external_id": "a.png"}, "media_attributes": {}, "projects": {}}
#: JSON as the programs' documentation shows it, of one outline or none.
JSON = {
    "Labelbox": ([LABELBOX], "is a file of Labelbox; convert it to COCO"),
    "Supervisely's classes": ({"classes": [], "tags": []}, "is a file of Supervisely; export it as COCO"),
    "Encord": ([{"label_hash": "a", "data_units": {}}], "is a file of Encord; export the project as COCO"),
    "Hasty": ({"images": [], "label_classes": []}, "is a file of Hasty; export the project as COCO"),
    "Kili": ([{"id": "1", "externalId": "a", "labels": []}], "is a file of Kili; export the project as COCO"),
    "MD.ai": ({"labelGroups": [], "datasets": []}, "is a file of MD.ai; convert it to COCO"),
    "3D Slicer's markups": ({"markups": [{"type": "ClosedCurve"}]}, "holds markups of 3D Slicer, which are curves"),
    "Horos": ({"Images": [{"ImageIndex": 0, "ROIs": []}]}, "is a file of Horos or OsiriX; convert it to COCO"),
    "Scale": ([{"task_id": "a", "type": "imageannotation", "response": {"annotations": []}}], "is a file of Scale"),
    "Scale's pages": ({"docs": [{"task_id": "a", "response": {}}], "total": 1}, "is a file of Scale; convert its poly"),
    "predict": ({"source": "a.png", "bones": [], "joints": []}, "is a result of `jointwrist predict`; `predict --for`"),
}


@pytest.mark.parametrize("name", JSON)
def test_json_of_another_program_is_refused_by_its_name(tmp_path, name):
    content, message = JSON[name]
    (tmp_path / "a.json").write_text(json.dumps(content))
    for read in (read_coco, read_labelme):
        with pytest.raises(DataError) as refused:
            read(tmp_path / "a.json")
        assert f"a.json: {message}" in str(refused.value)


def archive(*names):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name in names:
            file.writestr(name, b"")
    return buffer.getvalue()


def dicom(kind):
    """A DICOM file without pixels."""
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = kind, uid.generate_uid()
    buffer = io.BytesIO()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


ROWS = "\n".join(json.dumps(LABELBOX) for _ in range(2))
#: First bytes of other files.
FILES = {
    "Labelbox's lines": (ROWS.encode(), "is a file of Labelbox; convert it to COCO"),
    "VIA's table": (b"filename,file_size,region_shape_attributes\na.png,9,{}\n", "holds annotations of VIA"),
    "napari's table": (
        b"index,shape-type,vertex-index,axis-0,axis-1\n0,polygon,0,1,1\n",
        "is a table of shapes of napari",
    ),
    "YOLO": (b"3 0.1 0.1 0.9 0.1 0.9 0.9\n", "is a text file of YOLO; give `yolo` as its format"),
    "Pascal VOC": (b"<annotation><object><bndbox/></object></annotation>", "holds boxes of Pascal VOC"),
    "LabelMe's website": (b"<annotation><object><polygon/></object></annotation>", "is XML of the LabelMe website"),
    "ASAP": (b'<?xml version="1.0"?><ASAP_Annotations/>', "is XML of ASAP; convert it to COCO"),
    "ImageScope": (b'<Annotations MicronsPerPixel="1"/>', "is XML of ImageScope; convert it to COCO"),
    "OsiriX": (b'<?xml version="1.0"?><!DOCTYPE plist><plist/>', "is a property list, as Horos and OsiriX write it"),
    "Inkscape": (b"<svg/>", "is a drawing in SVG; convert it to COCO"),
    "ImageJ": (b"Iout\0\xe4" + bytes(60), "is an outline of ImageJ; convert outlines to COCO"),
    "ImageJ's archive": (archive("a.roi", "b.roi"), "holds outlines of ImageJ; convert them to COCO"),
    "archive": (archive("annotations.xml"), "is an archive; unpack it"),
    "DICOM": (dicom(uid.DigitalXRayImageStorageForPresentation), "is a DICOM image; give the masks"),
    "DICOM, damaged": (bytes(128) + b"DICM", "is a DICOM image; give the masks"),
    "SEG": (dicom(uid.SegmentationStorage), "is a DICOM segmentation; write each segment as a picture"),
    "RTSTRUCT": (dicom(uid.RTStructureSetStorage), "is a DICOM RTSTRUCT, outlines in millimetres; convert them"),
    "report": (dicom(uid.Comprehensive3DSRStorage), "is a DICOM report, which holds no masks"),
    "state": (dicom(uid.GrayscaleSoftcopyPresentationStateStorage), "is a DICOM presentation state, which holds"),
    "PNG": (b"\x89PNG\r\n\x1a\n", "is a picture; give a folder of masks"),
    "JPEG": (b"\xff\xd8\xff\xe0", "is a picture; give a folder of masks"),
    "TIFF": (b"II*\0", "is a picture; give a folder of masks"),
    "web page": (b"<!DOCTYPE html>\n<html><body></body></html>", "is a web page, such as that of a login; download"),
    "NRRD": (b"NRRD0004\n", "is an NRRD file; save it as a segmentation of 3D Slicer"),
    "MetaImage": (b"ObjectType = Image\n", "is a MetaImage file; save it as NIfTI"),
    "nothing known": (b"hello", "not valid JSON"),
}


@pytest.mark.parametrize("name", FILES)
def test_any_other_file_is_refused_by_its_kind(tmp_path, name):
    content, message = FILES[name]
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(DataError) as refused:
        read_coco(tmp_path / "a.json")
    assert f"a.json: {message}" in str(refused.value)


FOLDERS = {
    "annotations.xml": "XML of CVAT; give `cvat`",
    "task-1-annotation-2-by-1-tag-Lunate-0.npy": "arrays of Label Studio; export its masks as PNG",
    "labelmap.txt": "coloured masks of CVAT; export the task as `CVAT for images 1.1`",
    "data.yaml": "a dataset of YOLO; give `yolo`",
    "a.seg.nrrd": "segmentations of 3D Slicer; give `seg.nrrd`",
    "sub/a.nii.gz": "NIfTI files; give `nifti`",
    "a.mha": "volumes of another format; save masks as NIfTI",
    "RoiSet.zip": "outlines of ImageJ; convert them to COCO",
    "a.dcm": "DICOM files: a.dcm is a DICOM image; give the masks",
    "a.xml": "XML files; export them as COCO",
}


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_without_the_format_says_what_it_holds(tmp_path, name):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"")
    (tmp_path / "film.png").write_bytes(b"")
    said = what_it_holds(tmp_path)
    assert said.startswith(f"its folder sub holds {FOLDERS[name]}" if "/" in name else f"it holds {FOLDERS[name]}")
    assert said.endswith(", and that folder") == ("/" in name)
    with pytest.raises(DataError, match=f"holds no JSON files; {re.escape(said)}"):
        read_labelme(tmp_path)
    with pytest.raises(DataError, match=f"is a folder; {re.escape(said)}"):
        read_coco(tmp_path)


@pytest.mark.parametrize(
    ("read", "name", "remedy"),
    [
        (read_cvat, "task/annotations.xml", "its folder task holds XML of CVAT; give `cvat` as the format, and that"),
        (read_nifti, "sets/masks/a.nii", "its folder sets/masks holds NIfTI files; give `nifti` as the format, and"),
        (read_yolo, "task/annotations.xml", "its folder task holds XML of CVAT; give `cvat` as the format, and that"),
        (read_yolo, "a.roi", "it holds outlines of ImageJ; convert them to COCO"),
    ],
)
def test_a_folder_that_holds_the_files_deeper_is_told_where(tmp_path, read, name, remedy):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")
    with pytest.raises(DataError, match=f"holds no .*; {remedy}"):
        read(tmp_path)


def test_a_segmentation_among_dicom_images_is_named(tmp_path):
    for name, kind in (("a", uid.DigitalXRayImageStorageForPresentation), ("b", uid.SegmentationStorage)):
        (tmp_path / f"{name}.dcm").write_bytes(dicom(kind))
    assert what_it_holds(tmp_path).startswith("it holds DICOM files: b.dcm is a DICOM segmentation; write each segment")


def test_a_long_line_of_numbers_is_looked_at_once(tmp_path):
    path = tmp_path / "grid.json"
    path.write_text("12 " + "-3 " * 60 + "a\n")  # doubled the time with each number
    with pytest.raises(DataError, match=r"grid\.json: not valid JSON"):
        read_coco(path)


def test_pictures_of_masks_are_guessed(tmp_path):
    (tmp_path / "a.png").write_bytes(b"")
    for read in (read_nifti, read_seg_nrrd):
        with pytest.raises(DataError, match="it may hold masks as pictures"):
            read(tmp_path)
    with pytest.raises(DataError, match=r"a\.png: is a file; give the folder that holds the masks"):
        read_nifti(tmp_path / "a.png")


def test_results_beside_annotations_are_left_out(tmp_path, masked, predict, capsys):  # noqa: F811
    folder = write_labelme(tmp_path / "drawn", masked[:2])
    first, second = sorted(folder.glob("*.json"))
    first.unlink()  # not drawn yet: predicted in the folder of the others
    words = ["predict", str(first.with_suffix(".png")), "-o", str(folder), "--field", "whole"]
    assert main(words) == 0 and first.is_file() and second.is_file()
    capsys.readouterr()
    assert main(["data", "import", "labelme", str(folder), str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert "1 radiograph of 1 patient" in said and "results of `jointwrist predict` left out: 1" in said
    second.unlink()
    assert main(["data", "import", "labelme", str(folder), str(tmp_path / "again")]) == 2
    assert "drawn: is a result of `jointwrist predict`" in capsys.readouterr().err
