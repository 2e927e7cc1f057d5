"""Insertion of erosions into radiographs of real bone, as pairs of the same joint with and without one."""
