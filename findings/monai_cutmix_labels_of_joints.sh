#!/usr/bin/env bash
# MONAI 1.6.1: labels of images that CutMix combines (CutMix, CutMixd).
#
# CutMix pastes a rectangle of another film of the batch into each film. Its paper mixes labels by area: a joint with
# 5 % of an eroded one is 5 % eroded. The example in the documentation of the class trains with the labels it returns.
#
# Guess: a healthy joint with a small piece of an eroded one keeps nearly all of its label.
# Seen:  it gets the whole label of the other joint, whatever the size of the piece. Labels are cut as images are; a row
#        of labels has no height or width, so that the rectangle is all of it. The method that mixes them,
#        apply_on_labels, is never called. As most of each joint is its own and its label that of another one, a network
#        learns little: trained on joints whose brightness alone tells the erosions, it gives a probability of 0.59 to
#        eroded and 0.37 to healthy ones, and with labels mixed by area 0.97 and 0.03. Masks are right, as they are cut
#        like the images; MixUp refuses rows of labels with an error. Here nothing warns. Compute the share of the area,
#        and mix the labels yourself.
#
# Exits with 0 as long as that is so, with 1 once it has changed.
set -euo pipefail
export OMP_NUM_THREADS=1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet --no-compile monai==1.6.1 torch==2.14.1 numpy==2.4.6
cat > cutmix.py <<'PYTHON'
import sys

import monai
import torch
from monai.transforms import CutMix, CutMixd, MixUp

JOINTS, SIDE = 64, 32
calls, mix_by_area = [], CutMix.apply_on_labels


def counted(mixer, *given):
    calls.append(mixer)
    return mix_by_area(mixer, *given)


CutMix.apply_on_labels = counted
draw = torch.Generator().manual_seed(0)


def batch():
    """Joints whose brightness tells the erosion, and their labels: (JOINTS, 1, SIDE, SIDE), (JOINTS, 2)."""
    eroded = torch.rand(JOINTS, generator=draw) < 0.5
    images = torch.randn(JOINTS, 1, SIDE, SIDE, generator=draw) * 0.1 + eroded.float().view(-1, 1, 1, 1)
    return images, torch.nn.functional.one_hot(eroded.long(), 2).float()


def mixed_by_area(before, after, labels, order):
    """Labels by the share of pixels that are new, and that share."""
    share = (before != after).float().mean(dim=(1, 2, 3)).unsqueeze(1)
    return (1 - share) * labels + share * labels[order], share[:, 0]


print("MONAI", monai.__version__)
same = True
images, labels = batch()
for name in ("CutMix", "CutMixd"):
    if name == "CutMix":
        transform = mixer = CutMix(JOINTS)
        mixer.set_random_state(1)
        cut, found = transform(images, labels)
    else:
        transform = CutMixd(keys="image", label_keys="erosion", batch_size=JOINTS)
        transform.set_random_state(1)
        mixer = transform.mixer
        cut, found = (transform({"image": images, "erosion": labels})[key] for key in ("image", "erosion"))
    order = mixer._params[1]
    expected, share = mixed_by_area(images, cut, labels, order)
    small = (share < 0.1) & (labels != labels[order]).any(dim=1)
    print(f"{name}: {int(small.sum())} joints with less than 10 % of a joint of the other label; their own label "
          f"weighs at least {(expected * labels).sum(dim=1)[small].min():.2f} expected, at most "
          f"{(found * labels).sum(dim=1)[small].max():.2f} seen; all labels are the other joint's: "
          f"{torch.equal(found, labels[order])}")
    kept = (expected * labels).sum(dim=1)[small].min()
    same &= bool(small.sum() > 5 and kept > 0.9 and torch.equal(found, labels[order]))

mixer = CutMix(JOINTS)
mixer.set_random_state(1)
masks = (images > 0.5).float()
cut, found = mixer(images, masks)
print(f"masks are cut as the images: {torch.equal(found, (cut > 0.5).float())}")
same &= torch.equal(found, (cut > 0.5).float())
try:
    MixUp(JOINTS)(images, labels)
    refused = False
except ValueError as error:
    refused = True
    print(f"MixUp refuses such labels: {error}")
same &= refused


def probabilities(ours):
    """Mean probability of erosion of eroded and of healthy joints, after training with CutMix."""
    model = torch.nn.Linear(1, 2)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.15)
    mixer = CutMix(JOINTS)
    mixer.set_random_state(2)
    for _ in range(500):
        images, labels = batch()
        cut, found = mixer(images, labels)
        if ours:
            found, _ = mixed_by_area(images, cut, labels, mixer._params[1])
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(model(cut.mean(dim=(2, 3))), found).backward()
        optimiser.step()
    images, labels = batch()
    erosion = model(images.mean(dim=(2, 3))).softmax(dim=1)[:, 1]
    return [erosion[labels[:, 1] == level].mean().item() for level in (1, 0)]


expected, found = probabilities(ours=True), probabilities(ours=False)
print(f"probability of erosion of eroded and healthy joints: {expected[0]:.2f} and {expected[1]:.2f} with mixed "
      f"labels, {found[0]:.2f} and {found[1]:.2f} with those of CutMix")
same &= bool(expected[0] - expected[1] > 3 * (found[0] - found[1]))
print(f"calls of apply_on_labels: {len(calls)}")
same &= not calls
print("as described" if same else "changed")
sys.exit(not same)
PYTHON
env/bin/python -W ignore cutmix.py
