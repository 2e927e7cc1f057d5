"""Models of a network's scope in the metadata of a weight file: logistic regressions, and a small network for metal."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from jointwrist.weights.small_network import SmallNetwork

#: Findings that concern a whole radiograph, in the order of reports; names as in `data.sample.Scope`.
FINDINGS = ("implant", "cast", "growth plate", "other projection")
#: The finding that a small network looks for.
NETWORK = "implant"
#: Key in the metadata of a weight file.
KEY = "scope"
_MOST = 2000


@dataclass(frozen=True)
class Logistic:
    """A logistic regression.

    Attributes:
        mean: (F,) of the features.
        scale: (F,) divisors of the features.
        weights: (F,) of the standardised features.
        bias: Added to the logit.
        threshold: Logit from which the finding is called.
    """

    mean: np.ndarray
    scale: np.ndarray
    weights: np.ndarray
    bias: float
    threshold: float

    @property
    def inputs(self) -> int:
        """Number of features that it takes."""
        return len(self.mean)

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Return the logits of (..., F) features, which are clipped at three standard deviations."""
        return np.clip((features - self.mean) / self.scale, -3, 3) @ self.weights + self.bias

    @classmethod
    def of(cls, entry: Any) -> Logistic:
        """Read plain values.

        Raises:
            ValueError: The values do not describe a logistic regression.
        """
        if not isinstance(entry, Mapping):
            raise ValueError("scope must map names to models")
        arrays = [_numbers(entry.get(name)) for name in ("mean", "scale", "weights")]
        bias, threshold = _numbers([entry.get("bias"), entry.get("threshold")])
        if len({len(array) for array in arrays}) != 1 or not (arrays[1] > 0).all():
            raise ValueError("models of scope must have a mean, a positive scale and a weight for every feature")
        return cls(*arrays, float(bias), float(threshold))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, the inverse of `of`."""
        arrays = {name: np.round(getattr(self, name), 5).tolist() for name in ("mean", "scale", "weights")}
        return {**arrays, "bias": round(self.bias, 5), "threshold": round(self.threshold, 5)}


@dataclass(frozen=True)
class ScopeModel:
    """All scope models of a weight file.

    Attributes:
        findings: Models by name, for some of `FINDINGS`; the others are not looked for. That of `NETWORK` is a small
            network, the others are logistic regressions.
        fusion: Models that detect fused bones, by the index of the pair in `inference.scope.neighbours.NEIGHBOURS`;
            empty if fused bones are not looked for.
    """

    findings: Mapping[str, Logistic | SmallNetwork]
    fusion: Mapping[int, Logistic]

    @classmethod
    def of(cls, info: Mapping[str, Any]) -> ScopeModel | None:
        """Return the models in the metadata of a weight file; None if there are none.

        Raises:
            ValueError: The models are damaged.
        """
        entry = info.get(KEY)
        if entry is None:
            return None
        if not isinstance(entry, Mapping) or not entry or not set(entry) <= {*FINDINGS, "fusion"}:
            raise ValueError(f"scope must hold models of some of {', '.join((*FINDINGS, 'fusion'))}")
        pairs = entry.get("fusion", {})
        if not isinstance(pairs, Mapping) or not all(isinstance(pair, str) and pair.isdecimal() for pair in pairs):
            raise ValueError("scope must hold models of fusion by the number of a joint line")
        findings = {name: _finding(name, entry[name]) for name in FINDINGS if name in entry}
        return cls(findings, {int(pair): Logistic.of(model) for pair, model in pairs.items()})

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, the inverse of `of`."""
        entry: dict[str, Any] = {name: model.to_dict() for name, model in self.findings.items()}
        return entry | (
            {"fusion": {str(pair): model.to_dict() for pair, model in self.fusion.items()}} if self.fusion else {}
        )


def _finding(name: str, entry: Any) -> Logistic | SmallNetwork:
    return SmallNetwork.of(entry) if name == NETWORK else Logistic.of(entry)


def _numbers(values: Any) -> np.ndarray:
    if not isinstance(values, list) or len(values) > _MOST:
        raise ValueError(f"models of scope must be lists of at most {_MOST} numbers")
    if not all(type(value) in (int, float) and math.isfinite(value) for value in values):
        raise ValueError("models of scope must be finite numbers")
    return np.array(values, np.float64)
