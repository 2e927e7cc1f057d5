"""Data sheet of a phantom dataset, as a dataset card of the Hugging Face hub.

Its questions are those of Gebru et al., Datasheets for Datasets (arXiv 1803.09010).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from huggingface_hub import DatasetCardData

from jointwrist import __version__
from jointwrist.phantom.cohort import CohortEntry
from jointwrist.text import number_of

#: Upper ends of the hub's size categories.
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))


def data_sheet(recipe: Mapping[str, Any], entries: Sequence[CohortEntry], scores: Sequence[Sequence[int]]) -> str:
    """Return the data sheet of phantom wrists on disk: YAML front matter and Markdown.

    Args:
        recipe: Seed and distribution of the wrists.
        entries: Patient, labels and split of every wrist.
        scores: Six erosion scores of every wrist that is scored.
    """
    data = DatasetCardData(
        license="cc-by-3.0",
        pretty_name="Wrist phantoms",
        annotations_creators="machine-generated",
        source_datasets=["original"],
        task_categories=["image-segmentation", "image-classification"],
        size_categories=next((name for size, name in _SIZES if len(entries) < size), "n>1M"),
        tags=["synthetic", "radiograph", "wrist", "rheumatoid-arthritis", "bone-erosion"],
    )
    levels = Counter(score for wrist in scores for score in wrist)
    counted = ", ".join(f"score {score}: {levels[score]}" for score in sorted(levels))
    eroded = sum(number for score, number in levels.items() if score > 0)
    splits = ("train", "val", "test")
    rows = [
        (what, *(str(sum(chosen(entry) and entry.split == split for entry in entries)) for split in splits))
        for what, chosen in (
            ("radiographs", lambda entry: True),
            ("with bone masks", lambda entry: entry.has_masks),
            ("with erosion scores", lambda entry: entry.has_scores),
        )
    ]
    patients = (str(len({entry.patient for entry in entries if entry.split == split})) for split in splits)
    return f"""---
{data.to_yaml()}
---

# Wrist phantoms

{number_of(len(entries), "synthetic radiograph")} of artificial wrists, in the layout of RAM-W600 (arXiv 2507.05193).
**No person was radiographed.** Patients are numbers; ages, sexes, dates, centres and diagnoses in `Metadata.xlsx` are
random and mean nothing.

## Motivation

They are for running, testing and training software for wrist radiographs without a dataset. Figures on them say nothing
about real radiographs.

## Composition

| | train | val | test |
|---|---:|---:|---:|
{_table([*rows, ("patients", *patients)])}

A radiograph with masks has 14 overlapping ones, with pisiform and triquetrum in one; a radiograph with scores has six
Sharp/van der Heijde erosion scores from 0 to 5, joint boxes and joint crops.
{eroded} of {sum(levels.values())} scored joint surfaces are eroded ({counted or "none is scored"}).
`PhantomTruth` holds the pixels of every erosion, the bones before erosion, the family of erosions or look-alikes at
each joint surface, and what lies outside the scope of erosion scoring (fused bones, growth plates, metal, casts).
Splits are by patient.

## How they were made

`jointwrist data phantom` of jointwrist {__version__} rendered fifteen bone surfaces, varied, posed and eroded at
random. A score is measured from the eroded share of the visible joint surface. The same seed and settings give the same
files.

| | |
|---|---|
{_table([(f"`{key}`", str(value)) for key, value in recipe.items()])}

## Uses

Suitable for: trying software, tests, pretraining, ablations. Not suitable for: measuring how well a method works on
patients. The anatomy is that of one wrist with variations, posteroanterior but for the share `projections`. Erosions
are idealised shapes of the families requested; fused bones, growth plates, metal and casts occur only if their share
above is not 0.

## Distribution and licence

The bone surfaces derive from the upper-extremity model of Holzbaur, Murray and Delp (Annals of Biomedical Engineering
33, 829-840, 2005), as distributed with OpenSim under CC BY 3.0, approximated by spherical harmonics and varied. Keep
this credit with the images. The software is under Apache-2.0.

## Maintenance

Another version of the software may make other wrists from the same seed: report the version with your figures.
"""


def _table(rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
