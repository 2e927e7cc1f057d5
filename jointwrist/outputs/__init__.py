"""Files made from a result.

- `result_files`, `result_json`, `mask_files`: overlay, JSON and masks.
- `overlay`, `overlay_panel`, `labels`, `leader_lines`, `svg`, `sheet`, `comparison_picture`: pictures and their labels.
- `dicom_objects`, `dicom_seg`, `dicom_sr`, `dicom_pr`, `dicom_sc`: segmentation, report, presentation state, capture.
- `dicom_codes`, `dicom_source`, `dicom_instance`: what these share: codes, attributes of the radiograph, new objects.
- `annotation`: for correction in annotation tools.
"""
