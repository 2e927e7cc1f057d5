"""What must hold for every value, on values that hypothesis makes up."""

from __future__ import annotations

import dataclasses
import io
import math
import types
import typing

import bad_files
import numpy as np
import pytest
import torch
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from jointwrist.config import ConfigError, Range, build, digest, parse_overrides, read_yaml, to_dict
from jointwrist.data.dataset.layout import identifier_in, parse_identifier
from jointwrist.data.numpy_files import read_npy
from jointwrist.data.preprocess import unpack_bits
from jointwrist.data.sample import pack_masks, unpack_masks
from jointwrist.engine.run_config import RunConfig
from jointwrist.errors import DataError
from jointwrist.weights.checkpoint import load_state, read_checkpoint

pytestmark = pytest.mark.trust

QUICK = settings(
    max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

parts = st.text("abcXYZ0189-", min_size=1, max_size=6).filter(lambda text: text != "EXT")
sides = st.sampled_from("LR")


@QUICK
@given(parts, parts, sides, st.booleans())
def test_an_identifier_is_its_parts(patient, study, side, external):
    patient = f"EXT_{patient}" if external else patient
    found = parse_identifier(f"{patient}_{study}_{side}")
    assert found == (patient, study, side, external)
    assert found.stem == f"{patient}_{study}"


@settings(QUICK, max_examples=200)
@given(st.one_of(st.text(max_size=20), st.from_regex(r"[A-Za-z0-9_-]{1,12}_[LR]?", fullmatch=True)))
def test_any_text_is_an_identifier_or_refused(text):
    try:
        found = parse_identifier(text)
    except DataError as error:
        assert repr(text) in str(error)
    else:
        assert f"{found.stem}_{found.side}" == text


@QUICK
@given(parts, parts, sides, st.sampled_from(["", ".rf.0a1b", "-copy", " (2)"]), st.sampled_from([".png", ".jpg", ""]))
def test_annotation_tools_may_append_to_a_name(patient, study, side, tail, ending):
    identifier = f"{patient}_{study}_{side}"
    assert identifier_in(f"{identifier}{tail}{ending}", {identifier}) == identifier
    assert identifier_in(f"other_{identifier}{tail}{ending}", {identifier}) is None


@QUICK
@given(
    arrays.arrays(bool, arrays.array_shapes(min_dims=3, max_dims=3, max_side=16)), st.sampled_from([1, 255, 0.5, -1])
)
def test_masks_survive_packing_whatever_stands_for_true(masks, value):
    bits = pack_masks(masks * value)
    assert bits.dtype == np.uint16
    np.testing.assert_array_equal(unpack_masks(bits, len(masks)), masks)
    np.testing.assert_array_equal(unpack_bits(torch.from_numpy(bits.astype(np.int32))[None], len(masks))[0] > 0, masks)


@QUICK
@given(arrays.arrays(np.uint16, arrays.array_shapes(min_dims=2, max_dims=2, max_side=9)))
def test_bits_survive_unpacking(bits):
    np.testing.assert_array_equal(pack_masks(unpack_masks(bits, 16)), bits)


plain = st.one_of(st.booleans(), st.integers(-(2**40), 2**40), st.floats(allow_nan=False), st.text(max_size=8))
keys = st.from_regex(r"[a-z_]{1,8}", fullmatch=True)


def values_of(hint) -> st.SearchStrategy:
    """Values of a type that a configuration's field may have."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return numbers_of(*arguments)
    if dataclasses.is_dataclass(hint):
        hints = typing.get_type_hints(hint, include_extras=True)
        return st.builds(hint, **{field.name: values_of(hints[field.name]) for field in dataclasses.fields(hint)})
    if origin is typing.Literal:
        return st.sampled_from(arguments)
    if origin in (typing.Union, types.UnionType):
        return st.one_of(*(st.none() if a is type(None) else values_of(a) for a in arguments))
    if origin is tuple:
        if arguments[-1] is Ellipsis:
            return st.lists(values_of(arguments[0]), max_size=3).map(tuple)
        return st.tuples(*map(values_of, arguments))
    if origin is dict:
        return st.dictionaries(keys, st.one_of(plain, st.lists(plain, max_size=2)), max_size=2)
    return {
        bool: st.booleans(),
        int: st.integers(-(2**40), 2**40),
        float: st.floats(allow_nan=False),
        str: st.text(max_size=8),
    }[hint]


def numbers_of(kind: type, within: Range) -> st.SearchStrategy:
    """Numbers of a range."""
    low, high = within.low, None if within.high == math.inf else within.high
    if kind is int:
        return st.integers(int(low) + (within.open == "low"), 2**40 if high is None else high - (within.open == "high"))
    ends = {"exclude_min": within.open == "low", "exclude_max": within.open == "high"}
    return st.floats(low, high, allow_nan=False, allow_infinity=False, **ends)


configs = values_of(RunConfig)


def overrides(tree: dict, prefix: str = "") -> list[str]:
    """The same values as items of the command line; a mapping without values cannot be said there."""
    items = []
    for key, value in tree.items():
        if isinstance(value, dict):
            items += overrides(value, f"{prefix}{key}.")
        else:
            text = yaml.safe_dump(value, default_flow_style=True, width=10**6).removesuffix("\n...\n").strip("\n")
            items.append(f"{prefix}{key}={text}")
    return items


@QUICK
@given(configs)
def test_a_configuration_survives_yaml_and_the_command_line(tmp_path, config):
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump(to_dict(config)), encoding="utf-8")
    for values in (to_dict(config), read_yaml(path), parse_overrides(overrides(to_dict(config)))):
        assert build(RunConfig, values) == config
        assert digest(build(RunConfig, values)) == digest(config)


@settings(QUICK, max_examples=200)
@given(st.lists(st.one_of(st.text(max_size=12), st.from_regex(r"[a-c.]{0,4}=[\[\]{}:&*!|>%@\-1a ]{0,5}")), max_size=3))
def test_any_command_line_value_is_taken_or_refused(items):
    try:
        build(RunConfig, {"model": "m", "task": "joint", **parse_overrides(items)})
    except ConfigError as error:
        assert str(error)


@pytest.fixture(scope="module")
def trapped(tmp_path_factory):
    """Files that would leave another behind if they were unpickled, by the reader that must not do it."""
    target = tmp_path_factory.mktemp("trap") / "ran"
    trap = bad_files.Trap(target)
    objects = np.empty(3, object)
    objects[:] = [trap, np.zeros(3), "text"]
    sound, pickled = io.BytesIO(), io.BytesIO()
    torch.save({"model": {"weight": torch.ones(2, 3)}, "epoch": 3}, sound)
    torch.save({"model": {"weight": torch.ones(2, 3)}, "args": trap}, pickled)
    contents = {
        "radiograph.npy": (read_npy, bad_files.array(objects, allow_pickle=True)),
        "state.pt": (load_state, pickled.getvalue()),
        "model.pth": (read_checkpoint, pickled.getvalue()),
        "sound_state.pt": (load_state, sound.getvalue()),
        "sound_model.pth": (read_checkpoint, sound.getvalue()),
    }
    return target, contents


@pytest.mark.parametrize("name", ["radiograph.npy", "state.pt", "model.pth", "sound_state.pt", "sound_model.pth"])
@settings(QUICK, max_examples=80)
@given(st.data())
def test_damaged_files_are_never_run(name, trapped, tmp_path, data):
    target, contents = trapped
    reader, content = contents[name]
    damaged = bytearray(content)
    for _ in range(data.draw(st.integers(0, 4))):
        place = data.draw(st.integers(0, len(damaged) - 1))
        damaged[place] = data.draw(st.integers(0, 255))
    keep = data.draw(st.one_of(st.just(len(damaged)), st.integers(0, len(damaged))))
    path = tmp_path / name
    path.write_bytes(damaged[:keep])
    try:
        reader(path)
    except DataError as error:
        assert name in str(error)
    assert not target.exists()


def test_the_traps_do_spring(trapped, tmp_path):
    target, contents = trapped
    (tmp_path / "radiograph.npy").write_bytes(contents["radiograph.npy"][1])
    np.load(tmp_path / "radiograph.npy", allow_pickle=True)
    assert target.exists()
    target.unlink()
    (tmp_path / "model.pth").write_bytes(contents["model.pth"][1])
    torch.load(tmp_path / "model.pth", weights_only=False)
    assert target.exists()
    target.unlink()
