"""Masks that people drew with an annotation tool, brought into the released layout.

`read_coco` and `read_labelme` give one `AnnotatedRadiograph` a radiograph, `write_dataset` writes them with patients,
sides, splits and, where a table names them, pixel spacings and erosion scores.
"""

from jointwrist.data.importers.annotated_dataset import write_dataset
from jointwrist.data.importers.annotated_radiograph import AnnotatedRadiograph
from jointwrist.data.importers.coco import read_coco
from jointwrist.data.importers.labelme import read_labelme

__all__ = ["AnnotatedRadiograph", "read_coco", "read_labelme", "write_dataset"]
