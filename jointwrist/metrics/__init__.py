"""Metrics of masks and erosion scores, and the statistics of their differences."""
