"""Cluster-robust variance of the difference between two groups of cases, several of which can belong to one patient."""

from __future__ import annotations

import numpy as np


def cluster_robust(residuals: np.ndarray, group: np.ndarray, patients: np.ndarray) -> tuple[float, float]:
    """CR2 variance of the difference of two means, and its degrees of freedom (Bell and McCaffrey, 2002).

    Args:
        residuals: (N,) values minus the mean of their group.
        group: (N,) bool, both values present.
        patients: (N,) cluster of each case.

    Returns:
        Variance of mean inside minus mean outside, and the degrees of freedom of its t statistic under independence.
    """
    design = np.stack([np.ones(len(group)), group], 1)
    bread = np.linalg.inv(design.T @ design)
    hat = design @ bread @ design.T
    rest = np.eye(len(group)) - hat
    scores, rows = [], []
    for patient in np.unique(patients):
        own = np.flatnonzero(patients == patient)
        values, vectors = np.linalg.eigh(rest[np.ix_(own, own)])
        # a patient who is the only one of a group leaves no residual
        root = vectors @ np.diag(np.where(values > 1e-9, np.maximum(values, 1e-9) ** -0.5, 0.0)) @ vectors.T
        weights = root @ design[own] @ bread[1]
        scores.append(weights @ residuals[own])
        rows.append(weights @ rest[own])
    products = np.array(rows) @ np.array(rows).T
    return float(np.sum(np.square(scores))), float(np.trace(products) ** 2 / np.sum(products**2))
