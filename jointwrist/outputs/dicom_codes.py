"""Coded terms of DICOM results: bones, laterality and the project's private scheme."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydicom.sr.coding import Code

    from jointwrist.anatomy import Anatomy, Bone
    from jointwrist.data.radiograph import Radiograph

#: Designator of codes that no public scheme has; DICOM reserves names beginning with 99 for private schemes.
PRIVATE_SCHEME = "99JOINTWRIST"


def code(scheme: str, value: str, meaning: str) -> Code:
    """Return a coded term."""
    from pydicom.sr.coding import Code

    return Code(value, scheme, meaning)


def bone_code(bone: Bone) -> Code:
    """Return the coded term of a bone, of the private scheme if the anatomy gives none."""
    return code(*(bone.code or (PRIVATE_SCHEME, bone.name, bone.display)))


def content_label(anatomy: Anatomy, ending: str = "") -> str:
    """Return the name of an anatomy as a DICOM code string: at most 16 capitals, digits and underscores."""
    plain = "".join(character if character.isalnum() else "_" for character in anatomy.name.upper())
    return plain[: 16 - len(ending)] + ending


def laterality(radiograph: Radiograph) -> Code | None:
    """Return the coded laterality of a radiograph, or None if it is unknown."""
    from pydicom.sr.codedict import codes

    return {"L": codes.SCT.Left, "R": codes.SCT.Right, None: None}[radiograph.side]
