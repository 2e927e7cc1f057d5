"""Convert checkpoints of the RAM-W600 authors' code to weight files of this package."""

from __future__ import annotations

from pathlib import Path

from jointwrist.engine.config.run_config import RunConfig, SegmentationConfig
from jointwrist.engine.loop.build import model_options, weight_info
from jointwrist.errors import DataError
from jointwrist.registry import create_model, model_spec
from jointwrist.weights.checkpoint import read_checkpoint, save_weights
from jointwrist.weights.official import load_official_state


def convert_checkpoint(source: str | Path, target: str | Path, model_name: str) -> list[str]:
    """Convert a checkpoint of the authors' code to a weight file that `load_weights` reads.

    Its metadata state the authors' training: 512 x 512 images, Dice loss on raw outputs.

    Args:
        source: Checkpoint; see `read_checkpoint`.
        target: Safetensors file; an existing one is replaced, and left as it was if the conversion fails.
        model_name: Registry name of a segmentation or erosion baseline.

    Returns:
        Keys of the checkpoint that have no place in the model and were left out.

    Raises:
        DataError: The checkpoint cannot be read, does not fit, or leaves a parameter unset; or the model is not one
            of the authors' code.
    """
    source, spec = Path(source), model_spec(model_name)
    if spec.task not in ("segmentation", "erosion"):
        raise DataError(f"{model_name} is not a network of the authors' code; there is nothing to convert")
    state, epochs = read_checkpoint(source)
    config = RunConfig(
        model=model_name,
        task=spec.task,
        protocol="official",
        segmentation=SegmentationConfig(raw_output=True, squared=True, bce=0.0),
    )
    model = create_model(model_name, **model_options(config))
    try:
        unplaced = load_official_state(model, state)
    except DataError as error:
        raise DataError(
            f"{source}: no checkpoint of {model_name}: {error}; name the model that it was trained as"
        ) from error
    save_weights(Path(target), model, {**weight_info(config, epochs), "source": source.name})
    return unplaced
