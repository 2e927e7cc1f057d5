"""Split an ONNX program of a joint network in two, so that masks can be had without the joints.

The first part goes from the image to the mask logits and is all that the localiser needs, in about half the time of
the whole program. The second part takes the tensors that the first one passes on and returns the remaining outputs.
"""

from __future__ import annotations

import json
from pathlib import Path

from jointwrist.errors import require
from jointwrist.files import atomic

#: Key of the description of both parts: names of the outputs of the whole program.
OUTPUTS_KEY = "outputs"


def joints_part(path: Path) -> Path:
    """Return the path of the second part of a program."""
    return path.with_suffix(".joints.onnx")


def split_program(path: Path, info_key: str, masks: str = "mask_logits") -> None:
    """Replace a program by its first part, and write its second part beside it.

    Both parts carry the description of the program with the names of all outputs. A program without further outputs
    is left as it is.

    Args:
        path: ONNX file.
        info_key: Key of the description in the metadata.
        masks: Output of the first part.

    Raises:
        MissingExtraError: The package onnx is not installed.
    """
    onnx = require("onnx", "export")
    program = onnx.load(path)
    outputs = [output.name for output in program.graph.output]
    rest = [name for name in outputs if name != masks]
    if not rest:
        return
    inputs = [entry.name for entry in program.graph.input]
    made, needed = _ancestors(program.graph, masks)
    used = {name for node in program.graph.node if not made.issuperset(node.output) for name in node.input}
    carried = sorted(used & made - {masks})
    entry = next(entry for entry in program.metadata_props if entry.key == info_key)
    entry.value = json.dumps({**json.loads(entry.value), OUTPUTS_KEY: outputs})
    extractor = onnx.utils.Extractor(program)
    first = extractor.extract_model([name for name in inputs if name in needed], [masks, *carried])
    second = extractor.extract_model([name for name in (masks, *carried, *inputs) if name in used], rest)
    for part, target in ((second, joints_part(path)), (first, path)):
        part.metadata_props.extend(program.metadata_props)
        with atomic(target) as temporary:
            onnx.save(part, temporary)


def _ancestors(graph, output: str) -> tuple[set[str], set[str]]:
    """Return the tensors made by the nodes that an output depends on, and the tensors that these nodes take."""
    maker = {name: node for node in graph.node for name in node.output}
    made: set[str] = set()
    needed: set[str] = set()
    waiting = [output]
    while waiting:
        name = waiting.pop()
        needed.add(name)
        if name in maker and name not in made:
            made.update(maker[name].output)
            waiting.extend(maker[name].input)
    return made, needed
