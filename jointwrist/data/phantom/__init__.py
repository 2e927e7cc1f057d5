"""Wrist phantom: radiographs rendered from an atlas of bone surfaces, with every label known to the pixel."""

from __future__ import annotations

from jointwrist.data.phantom.cohort import Parts
from jointwrist.data.phantom.config import PhantomConfig
from jointwrist.data.phantom.wrist import make_wrist
from jointwrist.data.phantom.write import write_phantom

__all__ = ["Parts", "PhantomConfig", "make_wrist", "write_phantom"]
