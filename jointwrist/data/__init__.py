"""Data: reading radiographs, the dataset and its layout, batches, and exchange with other tools.

- `load`, `images`, `dicom`: from a file to a `radiograph.Radiograph`.
- `dataset`: the released layout: one reader (`ram_w600`), one writer (`writer`), one checker (`check`).
- `batches`: PyTorch datasets and the order of their batches.
- `shapes`, `mask_formats`: outlines and masks in the files of other tools; `importers` convert them to the layout,
  `export_dataset` converts back.
"""
