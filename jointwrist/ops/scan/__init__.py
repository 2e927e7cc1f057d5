"""The selective scan of Mamba (arXiv 2312.00752) for CPU and GPU, with the interface of mamba-ssm."""

from jointwrist.ops.scan.dispatch import available_backends, selective_scan

__all__ = ["available_backends", "selective_scan"]
