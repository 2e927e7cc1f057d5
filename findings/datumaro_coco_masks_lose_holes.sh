#!/usr/bin/env bash
# datumaro 1.13.12: COCO masks (RLE) read and written again, with nothing done in between.
#
# Guess: a dataset of masks that is read and written in the same format keeps its masks, holes included.
# Seen:  every RLE mask with iscrowd 0, which is how single bones are stored, is written as polygons of its outer
#        contours. A hole, such as a closed cyst or a screw left out of the bone, is filled; a bone of two parts and a
#        bone without holes lose pixels of their rim; and the field "area" is that of the new outline, so that the file
#        agrees with itself. With iscrowd 1 the same mask comes back pixel by pixel. Export with segmentation_mode="mask",
#        and set iscrowd back to 0 afterwards if a reader wants it so.
#
# Exits with 0 as long as that is so, with 1 once it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet datumaro==1.13.12 pycocotools==2.0.11
cat > rewrite.py <<'PYTHON'
import json
import sys
from importlib.metadata import version
from pathlib import Path

import datumaro as dm
import numpy as np
from PIL import Image
from pycocotools import mask as coco

HEIGHT, WIDTH = 240, 320


def disk(x, y, radius):
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    return (columns - x) ** 2 + (rows - y) ** 2 < radius**2


def decode(segmentation):
    codes = coco.frPyObjects(segmentation, HEIGHT, WIDTH)
    return coco.decode(coco.merge(codes) if isinstance(codes, list) else codes).astype(bool)


def write(masks, crowd, folder):
    annotations = []
    for number, mask in enumerate(masks, start=1):
        code = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
        box, code["counts"] = coco.toBbox(code).tolist(), code["counts"].decode()
        annotations.append({
            "id": number, "image_id": 1, "category_id": number, "iscrowd": crowd, "area": int(mask.sum()), "bbox": box,
            "segmentation": code,
        })
    images = [{"id": 1, "file_name": "film.png", "height": HEIGHT, "width": WIDTH}]
    categories = [{"id": number, "name": f"bone {number}"} for number in range(1, len(masks) + 1)]
    for part in ("annotations", "images/train"):
        (folder / part).mkdir(parents=True)
    Image.new("L", (WIDTH, HEIGHT)).save(folder / "images/train/film.png")
    dataset = {"images": images, "categories": categories, "annotations": annotations}
    (folder / "annotations/instances_train.json").write_text(json.dumps(dataset))


print("datumaro", version("datumaro"))
bones = {"plain": disk(120, 110, 60), "with a hole": disk(120, 110, 60) & ~disk(120, 110, 20)}
bones["of two parts"] = disk(60, 60, 30) | disk(200, 150, 40)
changed = {}
for crowd, options in ((0, {}), (1, {}), (0, {"segmentation_mode": "mask"})):
    name = f"iscrowd {crowd}{', segmentation_mode=mask' if options else ''}"
    before, after = Path(f"{len(changed)} in"), Path(f"{len(changed)} out")
    write(bones.values(), crowd, before)
    dm.Dataset.import_from(str(before), "coco_instances").export(str(after), "coco_instances", **options)
    for annotation in json.loads((after / "annotations/instances_train.json").read_text())["annotations"]:
        bone, mask = list(bones.items())[annotation["category_id"] - 1]
        seen = decode(annotation["segmentation"])
        changed[name, bone] = int((seen & ~mask).sum()), int((mask & ~seen).sum())
        print(f"{name}, bone {bone}: expected {mask.sum()} pixels, seen {seen.sum()}, area stated {annotation['area']:.0f}")
        print("  pixels added and lost:", *changed[name, bone])
plain = {bone: changed.pop(("iscrowd 0", bone)) for bone in bones}
same = (
    plain["with a hole"][0] > 1200
    and all(lost > 100 for _, lost in plain.values())
    and all(pixels == (0, 0) for pixels in changed.values())
)
print("as described" if same else "changed")
sys.exit(not same)
PYTHON
env/bin/python -W ignore rewrite.py
