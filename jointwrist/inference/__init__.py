"""Prediction of radiographs.

- `predictor`, `result`: from radiographs to results.
- `localiser`, `locate`, `placement`: find the wrist, and map between radiograph and network image.
- `networks`, `torch_network`, `onnx_network`: engines that run a network; `model_export`, `program_cache`: ONNX.
- `postprocess`, `joint_space`, `resolution`: clean masks, widths of joint spaces, coarse radiographs.
- `scope`: what is outside the scope of the weights.
- `comparison`, `registration`, `space_change`: two visits of one wrist.
- `radiograph_evaluation`: per-case results on the radiographs' own pixels.
"""
