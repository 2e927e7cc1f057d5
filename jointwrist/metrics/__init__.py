"""Metrics of masks and erosion scores, and the statistics of their differences.

- `segmentation`: DSC, NSD, VOE, MSD and RAVD of masks; `surface`: their surface distances.
- `segmentation_results`: the rows of one case in the per-case results. `label_map`: upper bound of a label map's DSC.
- `erosion`, `erosion_bootstrap`, `ordinal`, `families`: metrics of erosion and other scores.
- `erosion_call`: comparison of probabilities with the decision threshold.
- `statistics`, `cluster`, `seed_patient_intervals`: intervals and tests over patients, and over seeds and patients.
"""
