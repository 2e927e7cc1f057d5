"""Families of erosions and of look-alikes, drawn if a configuration requests them."""

from __future__ import annotations

from jointwrist.phantom.lesions.draw_families import Plan, carve, plan_families, reshape

__all__ = ["Plan", "carve", "plan_families", "reshape"]
