"""The distribution that phantom wrists are drawn from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from jointwrist.config import ConfigError, NotNegative, Positive, Range, Share, check_ranges
from jointwrist.phantom.family_names import family_shares


@dataclass(frozen=True)
class PhantomConfig:
    """Distribution of phantom wrists.

    Attributes:
        size: Side of the square radiograph in pixels.
        prevalence: Share of joint surfaces that are eroded, as a mean over patients, who differ widely.
        severity: Probabilities of the target scores 1, 2, 3, 4, 5 of an eroded joint; the score itself is measured.
        cyst_rate: Mean number of bone cysts per wrist.
        osteophyte_rate: Mean number of osteophytes per wrist.
        notch_rate: Mean number of notches away from the joint surfaces per wrist.
        left_fraction: Share of left hands among the patients with one radiograph.
        field_of_view: Range of the side of the radiograph in mm.
        variation: Strength of the variation of shape, pose and imaging style; 1 resembles clinical radiographs.
        osteopenia: Largest share of spongy bone missing in patches, as near inflamed joints.
        relief: How much the metacarpals differ from the atlas in width, density and spongy heads, and the probability
            of each process that the smooth atlas lacks (ulnar styloid, lip of the ulnar notch, tubercles, condyles) and
            of each pad, tendon and fat plane in the soft tissue.
        malalignment: Standard deviation in degrees of the independent rotation of each carpal bone (carpal
            malalignment: DISI, VISI, rotated scaphoid); the ulna turns three times as far about its shaft (forearm
            rotation).
        off_centre: Distance of the wrist from the image centre, relative to the usual distance.
        families: Shares of the families of erosions (cluster, round, long, ragged, several, undermined, surface,
            open_cyst, diffuse, collapse) and of findings that resemble them (cyst, vessel, notch, osteophyte, overlap,
            narrowed, osteopenia), each relative to the others of its kind. `all` sets those that are not named: `{all:
            1, undermined: 0}` leaves one out. By default, erosions are clusters of bites.
        ankylosis: Share of wrists with fused carpal bones, some with metacarpals or the radius.
        implants: Share of wrists with plates, screws or wires.
        casts: Share of wrists in a cast.
        growth_plates: Share of wrists whose growth plates of radius and ulna are open.
        narrowing: Share of the six sites of joint-space narrowing that are narrowed, by 15 % of their width or more.
        projections: Share of wrists in an oblique or lateral projection instead of posteroanterior.
        look_alikes: Share of the joint surfaces without erosion that have a look-alike, if `families` names any.
    """

    size: Annotated[int, Range(32)] = 600
    prevalence: Share = 0.063
    severity: tuple[NotNegative, NotNegative, NotNegative, NotNegative, NotNegative] = (0.55, 0.25, 0.12, 0.03, 0.05)
    cyst_rate: NotNegative = 0.6
    osteophyte_rate: NotNegative = 0.4
    notch_rate: NotNegative = 0.25
    left_fraction: Share = 0.5
    field_of_view: tuple[Positive, Positive] = (77.0, 108.0)
    variation: NotNegative = 1.0
    osteopenia: Share = 0.0
    relief: Share = 0.0
    malalignment: NotNegative = 0.0
    off_centre: NotNegative = 1.0
    ankylosis: Share = 0.0
    implants: Share = 0.0
    casts: Share = 0.0
    growth_plates: Share = 0.0
    projections: Share = 0.0
    families: Mapping[str, float] = field(default_factory=dict)
    look_alikes: Share = 0.3
    narrowing: Share = 0.0

    def __post_init__(self) -> None:
        """Refuse impossible values."""
        check_ranges(self)
        family_shares(self.families)
        if sum(self.severity) <= 0:
            raise ConfigError(f"severity must have a weight above 0, not {self.severity}")
        if self.field_of_view[0] > self.field_of_view[1]:
            raise ConfigError(f"field_of_view must be an increasing range in mm, not {self.field_of_view}")
