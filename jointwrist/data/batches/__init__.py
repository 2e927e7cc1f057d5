"""From the cases of a dataset to batches.

`torch_datasets` turns cases into tensors, `ram_w600_datasets` does so for one split of a folder, `samplers` and
`hand_pairs` set the order of the batches, `crop_erosions` cuts the erosion pixels of joint crops.
"""
