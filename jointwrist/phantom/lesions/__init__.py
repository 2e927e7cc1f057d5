"""Families of erosions and of findings that resemble them, drawn where a configuration asks for them."""

from __future__ import annotations

from jointwrist.phantom.lesions.draw_families import Plan, carve, plan_families, reshape

__all__ = ["Plan", "carve", "plan_families", "reshape"]
