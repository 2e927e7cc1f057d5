#!/usr/bin/env bash
# transformers 5.24.0: masks of radiographs of different shapes, processed in one batch (Mask2Former, MaskFormer, DETR).
#
# Guess: the image processor pads the films of a batch to a common size and says in pixel_mask where they are. Its
#        post_process_semantic_segmentation and post_process_instance_segmentation, given the sizes of the films, undo
#        that: a bone is returned where it is, whatever other films are in the batch.
# Seen:  the padding is not removed. The whole padded map is stretched to the size of each film, so that on every film
#        that was padded the bones shrink and move towards the upper left corner: with a portrait and a landscape film
#        of 400 x 300 pixels in one batch, a network that is right in every pixel returns a bone of three quarters of
#        its area, 45 to 52 pixels from its place, with a Dice coefficient below 0.35 instead of 0.99. Alone, or among
#        films of one shape, it is right. Masks have the right size, and nothing warns: the score of a network depends
#        on the films that it happens to be batched with. Process films one at a time, or cut the network's maps to
#        pixel_mask first.
#
# Exits with 0 as long as that is so, with 1 once it has changed.
set -euo pipefail
export OMP_NUM_THREADS=1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet --no-compile transformers==5.24.0 torch==2.14.1 torchvision==0.29.1 \
	numpy==2.4.6 pillow==13.0.0
cat > batch.py <<'PYTHON'
import sys
from types import SimpleNamespace

import numpy as np
import torch
import transformers
from transformers import DetrImageProcessor, Mask2FormerImageProcessor, MaskFormerImageProcessor

PORTRAIT, LANDSCAPE = (400, 300), (300, 400)


def bone(shape):
    """One bright bone on a dark film."""
    y, x = (np.arange(size)[:, None] / size for size in shape)
    return ((y - 0.6) / 0.15) ** 2 + ((x.T - 0.65) / 0.12) ** 2 <= 1


def right_network(pixel_values):
    """Masks of background and bone on a grid of a quarter, as these networks return them, right in every cell."""
    bright = torch.nn.functional.avg_pool2d(pixel_values.mean(dim=1, keepdim=True), 4) > 0
    logits = torch.where(bright, 10.0, -10.0)
    classes = torch.tensor([[10.0, -10, -10], [-10, 10, -10]]).expand(len(logits), 2, 3)
    masks = torch.cat([-logits, logits], dim=1)
    return SimpleNamespace(class_queries_logits=classes, masks_queries_logits=masks, logits=classes, pred_masks=masks)


def cut(output, inside, index):
    """Output for one film, without its padding."""
    rows, columns = (int(inside[index].any(dim=dim).sum()) // 4 for dim in (1, 0))
    masks, classes = output.pred_masks[index : index + 1, :, :rows, :columns], output.logits[index : index + 1]
    return SimpleNamespace(class_queries_logits=classes, masks_queries_logits=masks, logits=classes, pred_masks=masks)


def dice(first, second):
    return 2 * (first & second).sum() / (first.sum() + second.sum())


def centre(mask):
    return np.argwhere(mask).mean(axis=0)


print("transformers", transformers.__version__)
same = True
for kind in (Mask2FormerImageProcessor, MaskFormerImageProcessor, DetrImageProcessor):
    print(kind.__name__)
    processor = kind()
    for shapes in ([PORTRAIT], [LANDSCAPE], [PORTRAIT, PORTRAIT], [PORTRAIT, LANDSCAPE]):
        truth = [bone(shape) for shape in shapes]
        films = [np.repeat((40 + 180 * mask).astype(np.uint8)[..., None], 3, axis=2) for mask in truth]
        inputs = processor(images=films, return_tensors="pt")
        output = right_network(inputs["pixel_values"])
        maps = [each.numpy() == 1 for each in processor.post_process_semantic_segmentation(output, target_sizes=shapes)]
        instances = processor.post_process_instance_segmentation(output, target_sizes=shapes)
        for index, (shape, mask, seen) in enumerate(zip(shapes, truth, maps, strict=True)):
            single = cut(output, inputs["pixel_mask"], index)
            mended = processor.post_process_semantic_segmentation(single, target_sizes=[shape])[0].numpy() == 1
            numbers = instances[index]["segmentation"].numpy()
            again = max(dice(numbers == number, mask) for number in np.unique(numbers))
            moved = np.linalg.norm(centre(seen) - centre(mask))
            print(f"  {shape} of {len(shapes)} film(s), {len(set(shapes))} shape(s): Dice {dice(seen, mask):.3f}, as "
                  f"instances {again:.3f}; area x {seen.sum() / mask.sum():.2f}, moved by {moved:.0f} pixels; cut to "
                  f"pixel_mask: {dice(mended, mask):.3f}")
            mixed = len(set(shapes)) > 1
            same &= bool(dice(seen, mask) < 0.35 and again < 0.35 and moved > 40) == mixed
            same &= bool(dice(seen, mask) > 0.98) == (not mixed) and bool(dice(mended, mask) > 0.98)
print("as described" if same else "changed")
sys.exit(not same)
PYTHON
env/bin/python -W ignore batch.py
