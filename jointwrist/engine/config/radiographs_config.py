"""Configuration of training on radiographs with inserted erosions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from jointwrist.config import ConfigError, NotNegative, Positive, Range, Share, ShareBelowOne
from jointwrist.insertion.insert import TRAINING_FAMILIES


@dataclass(frozen=True)
class RadiographsConfig:
    """Pairs of radiographs, with and without inserted erosions (joint network).

    Other joints of the radiographs have no labels in a pair; both radiographs of a pair only have to agree there.

    Attributes:
        folder: Folder of prepared radiographs, made by `jointwrist train --radiographs FOLDER`; empty takes none.
        own: Insert erosions into the training radiographs of the dataset that have bone masks, at joints without a
            score above 0. This gives eroded pixels to datasets that have scores alone, without further radiographs.
        share: Share of a batch that consists of pairs; at least one pair.
        families: Families of inserted erosions: any of ragged, round, surface_loss and several; those of studies are
            refused.
        radii: Smallest and largest radius of inserted erosions in mm.
        joints: Largest number of joints per radiograph with an inserted erosion.
        control: Probability that the radiograph without erosions has the same change in soft tissue.
        weight: Weight of all losses of pairs.
        agreement: Weight of the difference between joints without an inserted erosion, relative to the other losses.
        untouched: Upper limit of the mean probability of joints without an inserted erosion.
        restraint: Weight of the loss above that limit, relative to the other losses.
    """

    folder: str = ""
    own: bool = False
    share: ShareBelowOne = 0.25
    families: tuple[str, ...] = TRAINING_FAMILIES
    radii: tuple[Positive, Positive] = (0.8, 3.5)
    joints: Annotated[int, Range(1, 6)] = 3
    control: Share = 0.3
    weight: NotNegative = 1.0
    agreement: NotNegative = 0.5
    untouched: Annotated[float, Range(0.001, 0.999)] = 0.15
    restraint: NotNegative = 1.0

    @property
    def used(self) -> bool:
        """Whether batches have pairs."""
        return bool(self.folder) or self.own

    def __post_init__(self):
        """Check values that depend on each other.

        Raises:
            ConfigError: A family is unknown or kept for studies, or the radii are in the wrong order.
        """
        foreign = [family for family in self.families if family not in TRAINING_FAMILIES]
        if foreign or not self.families:
            raise ConfigError(
                f"radiographs.families: {', '.join(foreign) or 'none'}; choose among {', '.join(TRAINING_FAMILIES)}"
            )
        if self.radii[0] > self.radii[1]:
            raise ConfigError(f"radiographs.radii: {self.radii[0]} is larger than {self.radii[1]}")
