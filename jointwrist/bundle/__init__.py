"""Weights as a MONAI bundle: the configurations, and the parts of this package that they name."""
