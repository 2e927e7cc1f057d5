"""Datasets in the layout in which RAM-W600 was released (arXiv 2507.05193).

`layout` names folders and identifiers. `listing`, `tables` and `label_files` read them for `ram_w600.RamW600`, which
holds one `case.Case` per radiograph; `writer.DatasetWriter` writes them. `check` finds faults.
`joint_split` chooses the radiographs for training both tasks, `patient_records` recognises patients across trainings.
"""
