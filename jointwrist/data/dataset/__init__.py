"""Datasets in the layout in which RAM-W600 was released."""
