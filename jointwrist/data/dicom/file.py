"""Open DICOM files, with or without preamble, meta header and transfer syntax."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from jointwrist.errors import DataError

if TYPE_CHECKING:
    from pydicom import Dataset
    from pydicom.uid import UID

DICOM_SUFFIXES = frozenset({".dcm", ".dicom", ".ima"})
#: Largest file that is read, and largest inflated size of a deflated file.
MAX_FILE_BYTES = 2**29
#: The prefix after a preamble of 128 bytes (PS3.10, 7.1).
_PREFIX = b"DICM"
_DATA_SET = 128 + len(_PREFIX)
#: Where a deflated data set begins, from the length that the first element of the meta header states.
_AFTER_META = _DATA_SET + 12
_DIRECTORY = "1.2.840.10008.1.3.10"
_EXPORT = "export it again"


def is_dicom(path: Path) -> bool:
    """Whether a file is DICOM by its ending or its first bytes."""
    if path.suffix.lower() in DICOM_SUFFIXES:
        return True
    if not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            head = file.read(_DATA_SET)
    except OSError:  # reported when the file is read
        return False
    return head[128:] == _PREFIX or _begins_data_set(_without_prefix(head))


def may_be_image(path: Path) -> bool:
    """Whether a DICOM file may hold an image: no presentation state, key object, report or document.

    The meta header tells; a file without one may hold anything.
    """
    from pydicom.filereader import read_file_meta_info
    from pydicom.uid import UID

    try:
        storage = UID(read_file_meta_info(path).get("MediaStorageSOPClassUID", ""))
    except Exception:  # reading the file says what is wrong with it
        return True
    return not storage.keyword or "Image" in storage.keyword


def open_dicom(path: Path, **options) -> tuple[Dataset, tuple[str, ...]]:
    """Read a data set and determine its transfer syntax.

    Files without preamble or transfer syntax are read if their pixels are uncompressed: the encoding of the elements
    can be recognised from the elements themselves.

    Args:
        path: File of at most `MAX_FILE_BYTES`.
        **options: Options of `pydicom.dcmread`.

    Returns:
        The data set, whose `file_meta` has a transfer syntax, and notes on what is missing from the file.

    Raises:
        DataError: The file is not DICOM, is the directory of a disc, or cannot be read without guessing.
    """
    import pydicom
    from pydicom.uid import DeflatedExplicitVRLittleEndian

    with path.open("rb") as file:
        head = file.read(_DATA_SET)
    whole = head[128:] == _PREFIX
    if not whole and not _begins_data_set(_without_prefix(head)):
        raise DataError(
            f"{path}: not a DICOM file (no DICM prefix, and no data set without one); give a picture its own ending"
        )
    source: Path | io.BytesIO = path
    if whole:
        meta = pydicom.filereader.read_file_meta_info(path)
        if meta.get("MediaStorageSOPClassUID") == _DIRECTORY:
            raise DataError(f"{path}: lists the radiographs of a disc; give the folder that contains it")
        if meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
            source = _inflated(path, meta)
    elif head.startswith(_PREFIX):
        source = io.BytesIO(path.read_bytes()[len(_PREFIX) :])
    inflated = whole and source is not path
    dataset = pydicom.dcmread(source, force=not whole or inflated, **options)
    notes = []
    if not whole:
        if not (dataset.get("SOPClassUID") or dataset.get("Modality")):
            raise DataError(f"{path}: neither a DICOM preamble nor the class of an image; {_EXPORT}")
        notes.append("The file has no DICOM preamble; its data set was read without it.")
    _complete_syntax(path, dataset, inflated)
    return dataset, tuple(notes)


def _complete_syntax(path: Path, dataset: Dataset, inflated: bool) -> None:
    """Set a transfer syntax that agrees with how the pixels are stored.

    Raises:
        DataError: The two contradict each other.
    """
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

    if getattr(dataset, "file_meta", None) is None:
        dataset.file_meta = FileMetaDataset()
    syntax = dataset.file_meta.get("TransferSyntaxUID")
    implicit, little = dataset.original_encoding
    native = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian if little else ExplicitVRBigEndian
    encapsulated = "PixelData" in dataset and dataset["PixelData"].is_undefined_length
    if not syntax and encapsulated:
        raise DataError(f"{path}: its pixels are compressed, and no transfer syntax states how; {_EXPORT}")
    if syntax and _is_compressed(path, syntax) != encapsulated and "PixelData" in dataset:
        if encapsulated or len(dataset.PixelData) != _native_length(dataset):
            stored = "compressed" if encapsulated else "uncompressed"
            raise DataError(f"{path}: its transfer syntax is {syntax.name}, and its pixels are {stored}; {_EXPORT}")
        syntax = None
    if not syntax or inflated:
        dataset.file_meta.TransferSyntaxUID = native


def _is_compressed(path: Path, syntax: UID) -> bool:
    if syntax.is_private or not syntax.is_transfer_syntax:
        kind = "private" if syntax.is_private else "unknown"
        raise DataError(f"{path}: {kind} transfer syntax {str(syntax)[:64]}; {_EXPORT} uncompressed")
    return syntax.is_compressed


def _native_length(dataset: Dataset) -> int:
    """Return the number of bytes of uncompressed pixels, padded to an even number."""
    length = int(dataset.Rows) * int(dataset.Columns) * int(dataset.BitsAllocated) // 8
    return length + length % 2


def _inflated(path: Path, meta: Dataset) -> io.BytesIO:
    """Return the inflated data set of a deflated file of limited size."""
    content = path.read_bytes()
    start = _AFTER_META + int(meta.get("FileMetaInformationGroupLength") or 0)
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        data = inflater.decompress(content[start:], MAX_FILE_BYTES)
    except zlib.error:
        data = b""
    if inflater.unconsumed_tail:
        raise DataError(f"{path}: inflates to more than {MAX_FILE_BYTES:,} bytes; not a single radiograph")
    if not inflater.eof:
        raise DataError(f"{path}: damaged deflated file; copy it again or convert it (dcmconv of DCMTK)")
    return io.BytesIO(data)


def _without_prefix(head: bytes) -> bytes:
    """Return the first bytes of a file, without a DICM prefix at its very beginning."""
    return head.removeprefix(_PREFIX)


def _begins_data_set(head: bytes) -> bool:
    """Whether a file begins with an element of group 2 or 8 in place of a preamble."""
    if len(head) < 8:
        return False
    for order in "<>":
        group, element, length = struct.unpack_from(f"{order}HHI", head)
        if group in (0x0002, 0x0008) and element <= 0x0018:
            # an explicit element states its VR; an implicit one here is as short as a UID or a date
            return head[4:6] in (b"UL", b"UI", b"CS", b"OB", b"DA", b"TM", b"LO", b"SH") or (
                order == "<" and length <= 1024
            )
    return False
