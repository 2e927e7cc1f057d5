"""Insertion of erosions into real radiographs, giving pairs of the same joint with and without an erosion."""
