"""Prediction of radiographs.

- `predictor`, `result`: from radiographs to results.
- `localiser`, `locate`, `placement`: find the wrist, and map between radiograph and network image.
- `networks`, `torch_network`, `onnx_network`: engines that run a network; `model_export`, `program_cache`: ONNX.
- `postprocess`, `resolution`: clean masks, coarse radiographs.
- `joint_space`, `joint_margins`, `joint_edges`: widths of joint spaces, outlines and edges that face each other.
- `scope`: what is outside the scope of the weights.
- `comparison`, `registration`, `space_change`: two visits of one wrist.
- `radiograph_evaluation`: per-case results on the radiographs' own pixels.
"""
