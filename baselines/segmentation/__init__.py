"""The paper's segmentation networks."""
