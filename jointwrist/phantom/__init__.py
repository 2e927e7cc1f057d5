"""Wrist phantom: radiographs rendered from an atlas of bone surfaces, with every label known to the pixel."""

from __future__ import annotations

from jointwrist.phantom.cohort import Parts
from jointwrist.phantom.config import PhantomConfig
from jointwrist.phantom.wrist import make_wrist
from jointwrist.phantom.write import write_phantom

__all__ = ["Parts", "PhantomConfig", "make_wrist", "write_phantom"]
