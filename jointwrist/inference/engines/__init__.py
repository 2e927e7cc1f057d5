"""Engines that run a network.

- `networks`: what an engine is, and which one runs the network of a file.
- `torch_network`, `onnx_network`: PyTorch and onnxruntime.
- `program_cache`, `program_parts`: ONNX programs of weight files, made once, and their two parts.
"""
