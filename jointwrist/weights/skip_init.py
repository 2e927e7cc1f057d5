"""Build a network without drawing its random weights, where those of a file replace them at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from jointwrist.renamed_names import former_names

#: What draws weights. PyTorch passes the functions of `nn.init` themselves, or the methods that they call.
_DRAWS = frozenset(
    {
        Tensor.uniform_, Tensor.normal_, Tensor.erfinv_,
        nn.init.uniform_, nn.init.normal_, nn.init.kaiming_uniform_, nn.init.kaiming_normal_,
    }
)  # fmt: skip


class SkipInit(TorchFunctionMode):
    """Context in which parameters keep whatever memory they are given; buffers are filled as usual.

    `torch.nn.utils.skip_init` does so for a single module. Drawing takes most of the time in which a network of 100
    million parameters is built.
    """

    def __torch_function__(
        self, func: Callable, types: Sequence[type], args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Leave a parameter as it is, and call everything else."""
        kwargs = kwargs or {}
        if func in _DRAWS:
            tensor = args[0] if args else kwargs["tensor"]
            if isinstance(tensor, nn.Parameter):
                return tensor
        return func(*args, **kwargs)


__getattr__ = former_names(__name__, Undrawn="SkipInit")
