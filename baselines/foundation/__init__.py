"""The paper's foundation models."""
