"""Wrist phantom: radiographs rendered from an atlas of bone surfaces, with every label known to the pixel."""

from __future__ import annotations

from jointwrist.phantom.cohort import Parts
from jointwrist.phantom.phantom_config import PhantomConfig
from jointwrist.phantom.phantom_dataset import write_phantom
from jointwrist.phantom.wrist import make_wrist

__all__ = ["Parts", "PhantomConfig", "make_wrist", "write_phantom"]
