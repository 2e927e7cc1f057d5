"""Configuration of training on unlabelled real radiographs with inserted erosions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from jointwrist.config import ConfigError, NotNegative, Positive, Range, Share, ShareBelowOne
from jointwrist.insertion.insert import TRAINING_FAMILIES


@dataclass(frozen=True)
class RadiographsConfig:
    """Pairs of unlabelled radiographs, with and without inserted erosions (joint network).

    Nothing is claimed of what the films show by themselves, except that both films of a pair agree there.

    Attributes:
        folder: Folder of prepared films, which `jointwrist train --radiographs FOLDER` makes; empty trains without.
        share: Share of the films of pairs in a batch; at least one pair.
        families: Families of inserted erosions, some of ragged, round, surface_loss and several; those of studies
            are refused.
        radii: Smallest and largest radius of inserted erosions in mm.
        joints: Largest number of joints of a film with an inserted erosion.
        control: Probability that the film without erosions has the same change in soft tissue.
        weight: Weight of all losses of pairs.
        agreement: Weight of the difference of the joints without an inserted erosion, relative to the others.
        untouched: Probability that the joints without an inserted erosion are held at or below, on average.
        restraint: Weight of the loss where they are above, relative to the others.
    """

    folder: str = ""
    share: ShareBelowOne = 0.25
    families: tuple[str, ...] = TRAINING_FAMILIES
    radii: tuple[Positive, Positive] = (0.8, 3.5)
    joints: Annotated[int, Range(1, 6)] = 3
    control: Share = 0.3
    weight: NotNegative = 1.0
    agreement: NotNegative = 0.5
    untouched: Annotated[float, Range(0.001, 0.999)] = 0.15
    restraint: NotNegative = 1.0

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
