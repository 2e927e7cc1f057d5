"""The paper's erosion classifiers."""
