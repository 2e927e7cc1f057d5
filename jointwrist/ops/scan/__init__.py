"""The selective scan of Mamba (arXiv 2312.00752) with mamba-ssm's call, on every machine."""

from jointwrist.ops.scan.dispatch import available_backends, selective_scan

__all__ = ["available_backends", "selective_scan"]
