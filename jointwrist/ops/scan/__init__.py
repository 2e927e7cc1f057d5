"""The selective scan of Mamba (arXiv 2312.00752) for CPU and GPU, with the interface of mamba-ssm.

- `dispatch`: `selective_scan`, and the choice of the backend.
- `cpu`, `build`: the CPU kernel and its compilation on first use. `triton_scan`, `mamba_ssm_scan`: kernels for GPUs.
- `chunked`, `blocked`, `reference`: the scan in PyTorch, for every device, for export, and as a loop for tests.
- `operator`, `elementwise`: the scan as one PyTorch operator; bias, softplus, skip and gate for bare recurrences.
"""

from jointwrist.ops.scan.dispatch import available_backends, selective_scan

__all__ = ["available_backends", "selective_scan"]
