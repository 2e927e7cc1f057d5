"""Phantom findings outside the scope of erosion scoring: fused bones, growth plates, metal and casts."""

from __future__ import annotations

from jointwrist.phantom.scope.draw_scope import OutOfScope, draw_scope

__all__ = ["OutOfScope", "draw_scope"]
