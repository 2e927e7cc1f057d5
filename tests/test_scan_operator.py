"""The scan as an operator: PyTorch's checks of it, its promises of shape, dtype and strides, one node when compiled."""

from __future__ import annotations

import pytest
import torch
from test_scan import DEVICES, arguments, leaves, relative
from torch._subclasses.fake_tensor import FakeTensorMode

from jointwrist.ops.scan import selective_scan
from jointwrist.ops.scan.dispatch import why_not
from jointwrist.ops.scan.operator import backward_operator, forward_operator

#: Kernel modules behind the operator, by the backends that use them.
KERNELS = {"cpu": "cpu", "triton": "triton_scan"}
PLACES = [(name, device) for name, device in zip(KERNELS, ("cpu", "cuda"), strict=True) if device in DEVICES]
every_kernel = pytest.mark.parametrize(
    ("backend", "device"), [place for place in PLACES if why_not(*place) is None], indirect=["device"]
)
NAMES = ("u", "delta", "A", "B", "C", "D", "z", "delta_bias")
LAYOUTS = {
    "contiguous": lambda v: v,
    "channel last": lambda v: v.transpose(1, -1).contiguous().transpose(1, -1),
    "batch last": lambda v: v.movedim(0, -1).contiguous().movedim(-1, 0),
    "every other step": lambda v: v.repeat_interleave(2, -1)[..., ::2],
    "one sequence twice": lambda v: v[:1].expand_as(v),
}


def inputs(device, extras=True, dtype=torch.float32):
    values = arguments(70, 2, extras, channels=4)
    return [leaves(values, device=device, dtype=dtype).get(name) for name in NAMES]


@every_kernel
@pytest.mark.parametrize("extras", [False, True], ids=["bare", "extras"])
def test_pytorch_finds_no_fault(backend, device, extras):
    given = inputs(device, extras)
    torch.library.opcheck(forward_operator, (*given, True, True, KERNELS[backend]))
    given = [None if value is None else value.detach() for value in given]
    y, last, states = forward_operator(*given, True, True, KERNELS[backend])
    torch.library.opcheck(backward_operator, (y, last, states, *given, True, KERNELS[backend]))


@every_kernel
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_results_have_the_shapes_dtypes_and_strides_that_were_promised(backend, device, layout, dtype):
    given = [value.detach() for value in inputs(device, dtype=dtype)]
    given = [LAYOUTS[layout](value) if value.ndim > 2 else value for value in given]
    given[2] = given[2].mT.contiguous().mT

    def passes(given):
        y, last, states = forward_operator(*given, True, True, KERNELS[backend])
        gradients = backward_operator(torch.ones_like(y), torch.ones_like(last), states, *given, True, KERNELS[backend])
        return [(value.shape, value.dtype, value.stride()) for value in (y, last, states, *gradients)]

    with FakeTensorMode() as mode:
        promised = passes([mode.from_tensor(value) for value in given])
    assert passes(given) == promised


@every_kernel
def test_a_compiled_scan_is_one_node_and_the_same_numbers(backend, device):
    nodes = []

    def keep(module, _):
        nodes.extend(node.target for node in module.graph.nodes if node.op == "call_function")
        return module.forward

    def scan(*given):
        return selective_scan(*given, delta_softplus=True, return_last_state=True, backend=backend)

    given = inputs(device)
    torch.compiler.reset()
    found = torch.compile(scan, backend=keep, fullgraph=True)(*given)
    expected = scan(*given)
    assert nodes.count(torch.ops.jointwrist.selective_scan.default) == 1
    assert not any(getattr(node, "__name__", "") in ("exp", "softplus", "silu") for node in nodes)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)
    sums = [sum(value.square().sum() for value in result) for result in (found, expected)]
    for one, other in zip(*(torch.autograd.grad(total, given) for total in sums), strict=True):
        assert relative(one, other.cpu().double()) < 1e-5
