"""Import masks drawn with annotation tools into the released layout.

`read_coco`, `read_labelme`, `cvat`, `yolo`, `pictures` and `volumes` give an `AnnotatedRadiograph` per image.
`identify` finds patient, study and side, from a table (`patient_table`) or from file names (`parse_file_names`).
`write_dataset` writes them all, with splits and, if the table has them, pixel spacings and erosion scores.
"""

from jointwrist.data.importers.annotated_dataset import write_dataset
from jointwrist.data.importers.annotated_radiograph import AnnotatedRadiograph
from jointwrist.data.importers.coco_annotations import read_coco
from jointwrist.data.importers.labelme import read_labelme

__all__ = ["AnnotatedRadiograph", "read_coco", "read_labelme", "write_dataset"]
