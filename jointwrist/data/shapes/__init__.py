"""Shapes in annotations: outlines and regions (`region`), and the pixels that they cover (`fill`).

`outline_convention` decides whether outlines run along pixel edges or through pixel centres, `label_names` which bone a
label means, `annotation_json` reads the files, and `trace` outlines masks without losing a pixel.
"""
