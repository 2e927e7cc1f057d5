"""Prediction of radiographs.

- `predictor`, `result`: from radiographs to results.
- `search`, `placement`: find the wrist, and map between radiograph and network image.
- `engines`: PyTorch and onnxruntime, which run a network; `model_export`: ONNX and torch.export programs.
- `postprocess`, `resolution`: clean masks, coarse radiographs.
- `joint_space`, `joint_margins`, `joint_edges`: widths of joint spaces, outlines and edges that face each other.
- `scope`: what is outside the scope of the weights.
- `comparison`, `space_change`, `followup`: two visits of one wrist.
- `radiograph_evaluation`: per-case results on the radiographs' own pixels.
"""
