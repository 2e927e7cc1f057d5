"""DICOM objects of a prediction, by the names used on the command line and in configurations."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from jointwrist.outputs.dicom_pr import build_pr
from jointwrist.outputs.dicom_sc import build_sc
from jointwrist.outputs.dicom_seg import build_seg
from jointwrist.outputs.dicom_sr import build_sr

if TYPE_CHECKING:
    from pydicom import Dataset

#: Segmentation, structured report, presentation state and secondary capture.
BUILDERS: dict[str, Callable[..., Dataset]] = {"seg": build_seg, "sr": build_sr, "pr": build_pr, "sc": build_sc}
