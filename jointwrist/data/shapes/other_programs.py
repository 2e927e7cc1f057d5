"""Name the program that wrote a file of annotations, and say what to do with it."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from jointwrist.data.result_files import describes_result

#: Said of the JSON file of a prediction.
PREDICTED = "is a result of `jointwrist predict`; `predict --for` writes its masks for `data import`"
#: Said of the XML file of CVAT.
XML_OF_CVAT = "is XML of CVAT; give `cvat` as its format"
_SCALE = "is a file of Scale; convert its polygons to COCO"
#: What a folder of DICOM files holds is said by one of them.
_OF_DICOM = "DICOM"
#: How a folder of pictures of any kind is described.
MAY_HOLD_PICTURES = "it may hold masks as pictures"
#: Roots of XML files of programs, with a word that must occur after them.
_ROOTS = (
    ("annotations", "", XML_OF_CVAT),
    ("annotation", "<polygon", "is XML of the LabelMe website; convert it to COCO"),
    ("annotation", "", "holds boxes of Pascal VOC, and a box is not a mask; export polygons as COCO"),
    ("ASAP_Annotations", "", "is XML of ASAP; convert it to COCO"),
    ("Annotations", "", "is XML of ImageScope; convert it to COCO"),
    ("plist", "", "is a property list, as Horos and OsiriX write it; convert it to COCO"),
    ("svg", "", "is a drawing in SVG; convert it to COCO"),
    ("html", "", "is a web page, such as that of a login; download the file again"),
)
#: First bytes of PNG, JPEG and TIFF files.
_PICTURES = (b"\x89PNG", b"\xff\xd8\xff", b"II*\0", b"MM\0*")
#: Place and first bytes of other files.
_MARKS: tuple[tuple[int, bytes, str], ...] = (
    (0, b"Iout", "is an outline of ImageJ; convert outlines to COCO, as with the library roifile"),
    *((0, mark, "is a picture; give a folder of masks with the format `png`") for mark in _PICTURES),
    (0, b"NRRD", "is an NRRD file; save it as a segmentation of 3D Slicer (.seg.nrrd) or as NIfTI"),
    (0, b"ObjectType", "is a MetaImage file; save it as NIfTI"),
    (0, b"\x1f\x8b", "is compressed; give a folder of NIfTI files with the format `nifti`, or unpack it"),
)
#: Class of an object in the meta header of a DICOM file.
_DICOM_CLASS = re.compile(rb"\x02\0\x02\0UI..([0-9.]+)", re.DOTALL)
#: Beginnings of classes of DICOM objects, and what to do with them.
_DICOM_KINDS = (
    (
        b"1.2.840.10008.5.1.4.1.1.66.",
        "is a DICOM segmentation; write each segment as a picture, as with the library highdicom, and give `png` as"
        " the format",
    ),
    (
        b"1.2.840.10008.5.1.4.1.1.481.3",
        "is a DICOM RTSTRUCT, outlines in millimetres; convert them to pixels of the radiograph as COCO",
    ),
    (b"1.2.840.10008.5.1.4.1.1.88.", "is a DICOM report, which holds no masks; export masks or outlines"),
    (b"1.2.840.10008.5.1.4.1.1.11.", "is a DICOM presentation state, which holds no masks; export masks or outlines"),
)
_DICOM_IMAGE = "is a DICOM image; give the masks or outlines that were drawn on it, and save it as PNG or TIFF"
#: Names of files in a folder, and the format or remedy for them.
_IN_FOLDER: tuple[tuple[Callable[[str], bool], str], ...] = (
    (lambda name: name == "annotations.xml", "XML of CVAT; give `cvat` as the format"),
    (lambda name: name in ("data.yaml", "classes.txt"), "a dataset of YOLO; give `yolo` as the format"),
    (
        lambda name: name.startswith("task-") and name.endswith(".npy"),
        "arrays of Label Studio; export its masks as PNG",
    ),
    (lambda name: name == "labelmap.txt", "coloured masks of CVAT; export the task as `CVAT for images 1.1`"),
    (lambda name: name.endswith(".seg.nrrd"), "segmentations of 3D Slicer; give `seg.nrrd` as the format"),
    (lambda name: name.endswith((".nii", ".nii.gz")), "NIfTI files; give `nifti` as the format"),
    (lambda name: name.endswith((".nrrd", ".mha", ".mhd", ".mgz")), "volumes of another format; save masks as NIfTI"),
    (lambda name: name.endswith((".roi", "roiset.zip")), "outlines of ImageJ; convert them to COCO"),
    (lambda name: name.endswith(".dcm"), _OF_DICOM),
    (lambda name: name.endswith(".xml"), "XML files; export them as COCO, or as `CVAT for images 1.1`"),
    (lambda name: name.endswith(".json"), "JSON files; give `labelme`, or `coco` and the file"),
)
#: How many files of a folder are looked at.
_MOST = 10_000
#: How many DICOM files of a folder are opened.
_MOST_DICOM = 50
#: How much of a file is looked at.
_START = 2**16


def written_by(content: Any) -> str:
    """Name the tool that wrote an annotation file in JSON, and what to do with it; empty if it is not known."""
    if describes_result(content):
        return PREDICTED
    match content:
        case {"shapes": list()}:
            return "is a file of labelme; give `labelme` as its format"
        case {"images": list(), "annotations": list(), "categories": list()}:
            return "is a COCO file; give `coco` as its format"
        case {"_via_img_metadata": _}:
            return "is a project of VIA; export its annotations as COCO"
        case {"objects": list(), "size": dict()} | {"classes": list(), "tags": list()}:
            return "is a file of Supervisely; export it as COCO"
        case {"type": "FeatureCollection" | "Feature"} | [{"type": "Feature"}, *_]:
            return "is GeoJSON, as QuPath writes it; convert it to COCO, holes as run lengths"
        case {"instances": list(), "metadata": dict()}:
            return "is a file of SuperAnnotate; export the project as COCO"
        case {"items": list(), "categories": dict()}:
            return "is a file of Datumaro; convert it to COCO"
        case {"annotations": list(), "item": dict()}:
            return "is a file of V7 Darwin; export the dataset as COCO"
        case {"data_row": dict()} | [{"data_row": dict()}, *_]:
            return "is a file of Labelbox; convert it to COCO"
        case [{"label_hash": _, "data_units": _}, *_]:
            return "is a file of Encord; export the project as COCO"
        case {"images": list(), "label_classes": list()}:
            return "is a file of Hasty; export the project as COCO"
        case [{"labels": list(), "externalId": _}, *_]:
            return "is a file of Kili; export the project as COCO"
        case {"labelGroups": list(), "datasets": list()}:
            return "is a file of MD.ai; convert it to COCO"
        case {"markups": list()}:
            return "holds markups of 3D Slicer, which are curves; draw segments and save them as .seg.nrrd"
        case {"Images": list()} if "ROI array" in content or "ROIs" in str(content["Images"])[:_START]:
            return "is a file of Horos or OsiriX; convert it to COCO"
        case [{"image": str(), "annotations": [{"coordinates": dict()}, *_]}, *_]:
            return "holds boxes of Create ML, and a box is not a mask; export polygons as COCO"
        case {"docs": [{"task_id": _, "response": _}, *_]} | [{"task_id": _, "response": _}, *_]:
            return _SCALE
        case {"task_id": _, "response": dict()}:
            return _SCALE
        case [{"annotations": list()} | {"completions": list()}, *_]:
            return "is Label Studio's own JSON; export the project as COCO"
        case [{"id": int(), "annotation_id": int()} | {"id": int(), "annotator": _}, *_]:
            return "is Label Studio's JSON-MIN; export the project as COCO"
        case [{"image_id": _, "category_id": _}, *_]:
            return "is a list of COCO results, which names no images; give a file of instances that holds them"
        case dict() if any(isinstance(value, dict) and "regions" in value for value in content.values()):
            return "holds annotations of VIA; export them as COCO"
    return ""


def program_of_xml(path: Path) -> str:
    """Name the program of an XML file by its root; a general remedy for others, empty if it is no XML."""
    text = _start(path).decode("utf-8", "replace").lstrip("\ufeff \t\r\n")
    if not text.startswith("<"):
        return ""
    root = re.search(r"<([A-Za-z_][\w:.-]*)", text)
    for name, word, said in _ROOTS:
        if root and root[1] == name and word in text:
            return said
    return "is XML of another program; export it as COCO, or as `CVAT for images 1.1`"


def program_of(path: Path) -> str:
    """Name the kind of a file that is not JSON, and what to do with it; empty if it is not known."""
    start = _start(path)
    if start.startswith(b"PK\3\4"):
        return _program_of_archive(path)
    if start[128:132] == b"DICM":
        return _kind_of_dicom(start)
    for place, mark, said in _MARKS:
        if start[place : place + len(mark)] == mark:
            return said
    text = start.decode("utf-8", "replace").lstrip("\ufeff \t\r\n")
    if text.startswith("{") and '"data_row"' in text:
        return "is a file of Labelbox; convert it to COCO"
    if text.startswith("filename,") and "region_shape_attributes" in text:
        return "holds annotations of VIA; export them as COCO"
    if text.startswith("index,shape-type,vertex-index"):
        return "is a table of shapes of napari; save label layers as masks, and convert them to NIfTI"
    if path.suffix.lower() in (".yaml", ".yml") and re.search(r"^names:", text, re.MULTILINE):
        return "describes a dataset of YOLO; give `yolo` as its format"
    if re.fullmatch(r"\d+( [0-9.e+-]+)+\s*", text.partition("\n")[0]):
        return "is a text file of YOLO; give `yolo` as its format, and the folder that also holds data.yaml"
    return program_of_xml(path)


def _program_of_archive(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (OSError, ValueError, zipfile.BadZipFile):
        names = []
    if names and all(name.lower().endswith(".roi") for name in names):
        return "holds outlines of ImageJ; convert them to COCO, as with the library roifile"
    return "is an archive; unpack it"


def what_it_holds(folder: Path) -> str:
    """Say which annotations or masks a folder or one in it holds, and the format or the remedy; empty if unknown."""
    if not folder.is_dir():
        return ""
    paths = [path for _, path in zip(range(_MOST), folder.rglob("*"), strict=False)]
    for fits, named in _IN_FOLDER:
        found = [path for path in paths if fits(path.name.lower())]
        places = [path.parent for path in found]
        said = f"DICOM files: {_dicom_of(found)}" if found and named == _OF_DICOM else named
        if places and folder not in places:
            where = f"its folder {min(places).relative_to(folder).as_posix()} holds {said}"
            return f"{where}, and that folder" if said.endswith("as the format") else where
        if places:
            return f"it holds {said}"
    if any(path.name.lower().endswith((".png", ".tif", ".tiff", ".bmp")) for path in paths):
        return f"{MAY_HOLD_PICTURES}; give `png` as the format"
    return ""


def _kind_of_dicom(start: bytes) -> str:
    found = _DICOM_CLASS.search(start)
    return next((said for kind, said in _DICOM_KINDS if found and found[1].startswith(kind)), _DICOM_IMAGE)


def _dicom_of(files: Sequence[Path]) -> str:
    """Say what the first DICOM file is that is no image, or else the first."""
    kinds = {file: _kind_of_dicom(_start(file)) for file in files[:_MOST_DICOM]}
    file = next((file for file, said in kinds.items() if said != _DICOM_IMAGE), files[0])
    return f"{file.name} {kinds[file]}"


def _start(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_START)
