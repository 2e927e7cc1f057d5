"""The adapter to mamba-ssm's kernel, with the loop in the kernel's place: arguments, dtypes and refusals."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType

import pytest
import torch
from test_scan import arguments

from jointwrist.ops.scan import mamba_ssm_scan, selective_scan


@pytest.fixture
def kernel(monkeypatch):
    """Modules as mamba-ssm installs them; `calls` keeps what the kernel was given."""
    calls = []

    def selective_scan_fn(
        u, delta, A, B, C, D=None, z=None, delta_bias=None, delta_softplus=False, return_last_state=False
    ):
        calls.append({"u": u, "delta": delta, "A": A, "B": B, "C": C, "D": D, "z": z, "delta_bias": delta_bias})
        assert all(t.stride(-1) == 1 for t in (u, delta, B, C)) and A.dtype == torch.float32
        assert delta.dtype == B.dtype == C.dtype == u.dtype
        return selective_scan(u, delta, A, B, C, D, z, delta_bias, delta_softplus, return_last_state, "reference")

    for name in ("selective_scan_cuda", "mamba_ssm", "mamba_ssm.ops", "mamba_ssm.ops.selective_scan_interface"):
        module = ModuleType(name)
        module.__spec__ = ModuleSpec(name, None)
        monkeypatch.setitem(sys.modules, name, module)
    sys.modules["mamba_ssm.ops.selective_scan_interface"].selective_scan_fn = selective_scan_fn
    return calls


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("extras", [False, True])
def test_the_kernel_gets_what_the_loop_gets(kernel, monkeypatch, dtype, extras):
    monkeypatch.setattr(mamba_ssm_scan, "why_not", lambda device, dtype: None)
    values = {name: value.detach() for name, value in arguments(33, 2, extras, dtype=dtype).items()}
    values["u"] = values["u"].transpose(1, 2).contiguous().transpose(1, 2)
    flags = {"delta_softplus": True, "return_last_state": True}
    y, last = selective_scan(**values, **flags, backend="mamba_ssm")
    expected, expected_last = selective_scan(**values, **flags, backend="reference")
    assert len(kernel) == 1 and (kernel[0]["D"] is not None) == extras
    torch.testing.assert_close(y, expected)
    torch.testing.assert_close(last, expected_last)


def test_it_says_why_it_cannot_run(kernel):
    assert "not on a GPU" in mamba_ssm_scan.why_not(torch.device("cpu"), torch.float32)
    assert "float64" in mamba_ssm_scan.why_not(torch.device("cuda"), torch.float64)
    assert mamba_ssm_scan.why_not(torch.device("cuda"), torch.bfloat16) is None
    with pytest.raises(ValueError, match="256 states"):
        mamba_ssm_scan.scan(*(torch.ones(1, 1, 1),) * 2, torch.ones(1, 300), *(None,) * 5, False)


def test_without_the_kernel_the_remedy_is_named():
    if mamba_ssm_scan.find_spec("selective_scan_cuda"):
        pytest.skip("mamba-ssm's kernel is installed")
    with pytest.raises(ValueError, match=r"jointwrist\[cuda\]"):
        selective_scan(**arguments(3, None, False, dtype=torch.float32), backend="mamba_ssm")
