"""Outlines and regions that people draw."""
