"""Radiographs in DICOM files. `read.read_dicom` goes from the file to a `Radiograph`, with one module per step.

1. `file`: file to data set, with or without preamble, meta header and transfer syntax.
2. `header`, `check_pixels`: refuse everything but a single grey projection that can be decoded within bounds.
3. `stored_values`: pixel data to stored values and padding (`codestream` reads the headers of compressed images);
   `shutter`: pixels that are hidden like padding.
4. `grayscale`: stored values to grey in [0, 1], by modality LUT, VOI LUT or window, and polarity (`lut` reads tables).
5. `pixel_spacing`, `laterality`, `suitability`, `orientation`: header information on the radiograph.

`elements` gives the values of single elements, including incorrectly written ones.
"""
