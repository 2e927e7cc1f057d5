"""Report on the scope of the weights: for each bone, whether it can be judged, and if not, why."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from jointwrist.anatomy import Anatomy, JointSurface

NOT_SEPARABLE, OUTSIDE, COARSE = "not separable", "outside the weights' scope", "coarse radiograph"


class Limit(NamedTuple):
    """Why a bone or a joint surface cannot be judged.

    Attributes:
        status: `NOT_SEPARABLE`, `OUTSIDE`, or `COARSE` (of joint surfaces).
        reason: Finding, such as "no joint line to the Capitate" or "cast"; or how coarse the radiograph is.
    """

    status: str
    reason: str

    def __str__(self) -> str:
        """Return status and reason, as outputs print them."""
        return f"{self.status} ({self.reason})"


@dataclass(frozen=True)
class ScopeReport:
    """What cannot be judged on a radiograph, and why.

    Attributes:
        findings: Findings for which the weights were not trained; of `weights.scope_model.FINDINGS`.
        bones: (C,) limits of each bone.
        logits: Logit of each model minus its threshold, by name; "fusion" is the largest of all joint lines.
    """

    findings: tuple[str, ...]
    bones: tuple[tuple[Limit, ...], ...]
    logits: dict[str, float]

    def of_joint(self, joint: JointSurface) -> tuple[Limit, ...]:
        """Return the limits of a joint surface, which are those of its bone."""
        return self.bones[joint.bone]

    def to_dict(self) -> dict[str, Any]:
        """Return the findings, and the logit of each model minus its threshold."""
        logits = {name: round(value, 3) for name, value in self.logits.items() if math.isfinite(value)}
        return {"findings": list(self.findings), "logits_above_threshold": logits}

    def sentences(self, anatomy: Anatomy) -> tuple[str, ...]:
        """Return notes for the reader of the result, one sentence per status."""
        sentences = []
        for status in (NOT_SEPARABLE, OUTSIDE):
            limited = [bone for bone, limits in enumerate(self.bones) if any(one.status == status for one in limits)]
            if not limited:
                continue
            names = (
                "all bones"
                if len(limited) == len(self.bones)
                else _listed(anatomy.bones[bone].display for bone in limited)
            )
            why = dict.fromkeys(one.reason for bone in limited for one in self.bones[bone] if one.status == status)
            reasons = f" ({_listed(why)})" if status == OUTSIDE else ""
            sentences.append(f"{status.capitalize()}{reasons}: {names}.")
        return tuple(sentences)


def _listed(words: Iterable[str]) -> str:
    return ", ".join(words)


def whole(findings: Sequence[str], anatomy: Anatomy) -> tuple[tuple[Limit, ...], ...]:
    """Return the limits of all bones for findings that concern the whole radiograph."""
    return tuple(tuple(Limit(OUTSIDE, finding) for finding in findings) for _ in anatomy.bones)
