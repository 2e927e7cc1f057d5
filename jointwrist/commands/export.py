"""`jointwrist export`: export weights as an ONNX or torch.export program, a MONAI bundle, or a model card."""

from __future__ import annotations

import argparse
from pathlib import Path

from jointwrist.commands.messages import UsageError

_ENDINGS = {".onnx": "onnx", ".pt2": "torch", ".md": "card"}
_FORMATS = (*_ENDINGS.values(), "monai-bundle")


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "export",
        help="write weights as ONNX, as a PyTorch program or as a MONAI bundle, or their model card",
        description="Write weights as a program that runs without jointwrist, or as a MONAI bundle, and check that it"
        " reproduces the model's output; or write the model card of the weights.",
    )
    parser.add_argument("weights", help="weight file, folder of a training run, name of shipped weights, or repository")
    parser.add_argument(
        "out",
        type=Path,
        metavar="OUT",
        help="file to write: NAME.onnx, NAME.pt2 for PyTorch, NAME.md for the model card; for a bundle, a new folder",
    )
    parser.add_argument(
        "--format", choices=_FORMATS, help="needed for monai-bundle, and for a file with another ending"
    )
    parser.set_defaults(run=export)


def export(arguments: argparse.Namespace) -> int:
    """Write weights in another form, or their model card."""
    from jointwrist.files import check_writable, refuse_folder, refuse_input
    from jointwrist.weights.find import find_weights

    kind = _format(arguments.out, arguments.format)
    weights, out = find_weights(arguments.weights), arguments.out
    if kind != "monai-bundle":
        refuse_folder(out)
        refuse_input(out, [weights])
    check_writable(out.parent)
    if kind == "card":
        from jointwrist.files import write_text
        from jointwrist.weights.model_card import file_card

        write_text(out, file_card(weights, arguments.weights))
        print(f"model card: {out}")
    elif kind == "monai-bundle":
        from jointwrist.bundle.write import write_bundle

        write_bundle(weights, out)
        print(f"{out}: a MONAI bundle that reproduces the model's output")
    else:
        from jointwrist.inference.model_export import export_weights

        print(f"{out}: reproduces the model's output, relative difference {export_weights(weights, out, kind):.1e}")
    return 0


def _format(out: Path, stated: str | None) -> str:
    """Return the format of a file.

    Raises:
        UsageError: Neither its ending nor the user states one, or they state different ones.
    """
    by_ending = _ENDINGS.get(out.suffix.lower())
    if by_ending is None and stated is None:
        raise UsageError(f"{out}: end it in .onnx or .pt2 (.md for the model card), or state --format")
    if by_ending and stated and by_ending != stated:
        raise UsageError(f"{out}: its ending is that of {by_ending}, but --format is {stated}; make them agree")
    return by_ending or stated
