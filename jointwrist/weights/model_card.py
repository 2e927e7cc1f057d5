"""Model cards in the format of the Hugging Face hub: training data, measured figures, intended use and limits."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCardData

from jointwrist import __version__
from jointwrist.anatomy import WRIST, Anatomy, info_anatomy
from jointwrist.registry import ModelSpec, model_spec
from jointwrist.text import NOTICE
from jointwrist.weights.checkpoint import require_info
from jointwrist.weights.training_history import TrainingHistory, mapping_in

#: The hub's names of licences.
_LICENCES = {"Apache-2.0": "apache-2.0", "BSD-2-Clause": "bsd-2-clause", "MIT": "mit"}
_PIPELINES = {"joint": "image-segmentation", "segmentation": "image-segmentation", "erosion": "image-classification"}
#: Folder of the weights that come with the package, and of their card.
_HERE = Path(__file__).parent
#: What `jointwrist train` writes of its data.
_COUNTS = {"phantom", "wrists", "masks", "scores", "patients", "joints", "eroded"}
_PURPOSES = {
    "joint": "14 bone masks and the erosion of six joint surfaces (Sharp/van der Heijde) of a wrist radiograph.",
    "segmentation": "14 overlapping bone masks of a wrist radiograph.",
    "erosion": "Erosion, yes or no, of one joint surface of a wrist radiograph.",
}
_CITATION = """If you use this model, please cite the software and the RAM-W600 dataset:

```bibtex
@software{jointwrist,
  title   = {jointwrist: bone segmentation and erosion scoring of wrist radiographs in one network},
  author  = {{The jointwrist authors}},
  version = {%s},
  license = {Apache-2.0}
}

@article{ram-w600,
  title   = {RAM-W600: A Multi-Task Wrist Dataset and Benchmark for Rheumatoid Arthritis},
  author  = {{The RAM-W600 authors}},
  journal = {arXiv preprint arXiv:2507.05193},
  year    = {2025},
  doi     = {10.57967/hf/5328}
}
```"""


def file_card(path: Path, name: str) -> str:
    """Return the model card of a weight file; for the shipped weights, the card in their folder.

    Its links into the repository become plain text.

    Args:
        path: Weight file.
        name: As for `model_card`.

    Raises:
        DataError: The file cannot be read.
    """
    if path.parent == _HERE:
        return re.sub(r"\[([^]]+)\]\(\.\./[^)]*\)", r"\1", (_HERE / "README.md").read_text(encoding="utf-8"))
    return model_card(require_info(path), name)


def model_card(info: Mapping[str, Any], name: str) -> str:
    """Return the model card of a weight file: YAML front matter and Markdown.

    Args:
        info: Metadata of the weight file. `training`, as `jointwrist train` writes it, says what the data were,
            and `validation` what was measured on them; other files do not say.
        name: Name under which `Predictor.from_pretrained` finds the file.
    """
    spec = model_spec(info["model"])
    data = ModelCardData(
        license=_LICENCES.get(spec.licence, "other"),
        license_name=None if spec.licence in _LICENCES else "see-the-card",
        library_name="jointwrist",
        pipeline_tag=_PIPELINES[spec.task],
        tags=["radiograph", info_anatomy(info).name, "rheumatoid-arthritis", "bone-erosion", spec.name],
    )
    return f"""---
{data.to_yaml()}
---

# {spec.name}

{_purpose(spec, info_anatomy(info))} {NOTICE}

## Use

{_use(spec, name)}

Written by jointwrist {__version__}.

## The model

{_table(_facts(spec, info))}

## Training data

{_seen(info)}

## Evaluation

{_measured(info)}

## Limits

It is meant for posteroanterior radiographs of adults that show one hand completely. How well it generalises depends on
its training data: look at the masks before you trust a score, and test it on your own radiographs.
{_phantom_limit(info)}
## Licence

The architecture is under {spec.licence}. The weights are under the terms of the people who trained them, and of the
training data.

## Citation

{_CITATION % __version__}
"""


def _purpose(spec: ModelSpec, anatomy: Anatomy) -> str:
    if anatomy.structure == WRIST.structure:
        return _PURPOSES[spec.task]
    bones, joints = len(anatomy.bones), len(anatomy.eroded_joints)
    surfaces = f"{joints} joint surface{'s' if joints != 1 else ''}"
    further = "".join(f" Also {score.name} of {len(score.joints)}." for score in anatomy.further_scores)
    return {
        "joint": f"{bones} bone masks and the erosion of {surfaces} of the anatomy {anatomy.name}.{further}",
        "segmentation": f"{bones} overlapping bone masks of the anatomy {anatomy.name}.",
        "erosion": f"Erosion, yes or no, of one joint surface of the anatomy {anatomy.name}.",
    }[spec.task]


def _use(spec: ModelSpec, name: str) -> str:
    if spec.task == "erosion":
        return (
            f"A classifier of single joint crops: `jointwrist evaluate {name} --data ROOT` measures it, and"
            f' `jointwrist.weights.checkpoint.load_weights("{name}")` loads it.'
        )
    return f"""```python
from jointwrist import Predictor

result = Predictor.from_pretrained("{name}")("radiograph.dcm").single()
result.plot().show()
```"""


def _facts(spec: ModelSpec, info: Mapping[str, Any]) -> list[tuple[str, str]]:
    facts = [
        ("Architecture", spec.paper),
        ("Licence of the architecture", spec.licence),
        ("Parameters with the default options", f"{spec.parameters:,}"),
        (
            "Options",
            ", ".join(f"{key}={value}" for key, value in sorted(info.get("options", {}).items())) or "defaults",
        ),
        ("Input", f"{info.get('image_size', spec.input_size)} px"),
    ]
    if info.get("detail_size", info.get("image_size")) != info.get("image_size"):
        facts.append(("Input of the joint crops", f"{info['detail_size']} px"))
    facts += [(f"Threshold: {name}", f"{value:.4g}") for name, value in sorted(info.get("thresholds", {}).items())]
    calls = mapping_in(info, "calls")
    figures = [calls.get(name) for name in ("false_calls", "films", "phantoms", "wrists_called")]
    if all(map(_number, figures)):
        share, films, phantoms, wrists = figures
        facts.append(
            (
                "Calls",
                f"at most {share:.0%} of the joints of {films} unmodified radiographs and of {phantoms} phantoms"
                f" without erosions are called eroded; {wrists:.0%} of these wrists have a call",
            )
        )
    if "epochs" in info:
        facts.append(("Epochs", str(info["epochs"])))
    config = mapping_in(info, "config")
    if "seed" in config:
        facts.append(("Seed", str(config["seed"])))
    if "protocol" in config:
        facts.append(("Protocol", str(config["protocol"])))
    facts += [(f"`{key}`", str(value)) for key, value in sorted(_recipe(config).items())]
    augment = ", ".join(f"{key}={value}" for key, value in sorted(mapping_in(config, "augment").items()))
    return facts + ([("`augment`", augment)] if augment else [])


def _recipe(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration values that affect the result most."""
    optim = mapping_in(config, "optim")
    return {f"optim.{key}": optim[key] for key in ("lr", "batch_size", "weight_decay", "ema") if key in optim}


def _seen(info: Mapping[str, Any]) -> str:
    """Describe the training data, if the file has a record of them."""
    config = mapping_in(info, "config")
    said = [_stream(mapping_in(config, "stream")) or _folder(info)]
    if config.get("start") and "history" not in info:
        said.append("Training started from other weights, whose training data count as well.")
    if len(info.get("history", ())) > 1:
        said.append(f"With the weights that training started from: {TrainingHistory.of(info)}")
    if inherited := info.get("inherited"):
        patients = sum(len(record["hashes"]) for record in inherited)
        said.append(f"Networks that it builds on were trained on {_count(patients, 'patient')}.")
    return " ".join(said)


def _stream(stream: Mapping[str, Any]) -> str:
    """Describe the phantoms made on the fly, if any."""
    if not stream.get("wrists"):
        return ""
    options = ", ".join(f"{key} {value}" for key, value in sorted(mapping_in(stream, "options").items()))
    return (
        f"Phantom wrists made on the fly, {stream['wrists']} per epoch, seed {stream.get('seed')}"
        f" ({options or 'default distribution'}): no real radiograph, and no erosion scored by a reader."
    )


def _phantom_limit(info: Mapping[str, Any]) -> str:
    """Return the limits of training without real erosions."""
    history = TrainingHistory.of(info)
    if history.real_erosions or any(data.erosions == "unknown" for data in history.data):
        return ""
    return (
        "\nThe network was trained without erosions of patients. Its erosion scores on real radiographs are not"
        " meaningful until they have been evaluated.\n"
    )


def _folder(info: Mapping[str, Any]) -> str:
    training = mapping_in(info, "training")
    if not training.keys() >= _COUNTS:
        whom = f" They are of {_count(len(info['patients']['hashes']), 'patient')}." if "patients" in info else ""
        return f"The file does not say which radiographs, or whether they were real.{whom}"
    kind = "phantom wrists, no real radiographs" if training["phantom"] else "radiographs of a dataset"
    scores = "the erosion scores of the phantom" if training["phantom"] else "erosion scores"
    return (
        f"{training['wrists']} {kind}: {training['masks']} with bone masks, {training['scores']} with {scores}, of"
        f" {_count(training['patients'], 'patient')}. {training['eroded']} of {training['joints']} scored joint"
        " surfaces were eroded."
    )


def _measured(info: Mapping[str, Any]) -> str:
    names = {
        "dsc": "DSC, mean over bones and wrists",
        "nsd": "NSD, tolerance 2 px, mean over bones and wrists",
        "auroc": "AUROC of erosion, over joints",
        "loss": "Loss",
        "epoch": "Epoch",
    }
    figures = mapping_in(info, "validation")
    rows = [(text, f"{figures[name]:.4g}") for name, text in names.items() if _number(figures.get(name))]
    crossed = info.get("cross_validation")
    if isinstance(crossed, list) and crossed:
        return f"By patient-wise folds of the radiographs that it was fine-tuned on:\n\n{_table(_changes(crossed))}"
    if not rows:
        return "The file contains no figures: `jointwrist evaluate` measures them on a dataset."
    return (
        "On the validation split, which was used to choose the epoch and the thresholds: expect lower figures on other"
        f" radiographs.\n\n{_table(rows)}\n\n`jointwrist evaluate` measures it on other data."
    )


def _changes(entries: list[Any]) -> list[tuple[str, str]]:
    """Return the figures before and after fine-tuning, with their intervals."""
    rows = []
    for entry in (entry for entry in entries if isinstance(entry, Mapping)):
        parts = [
            f"{moment} {entry[moment]:.4g} [{entry[f'{moment}_low']:.4g}, {entry[f'{moment}_high']:.4g}]"
            for moment in ("before", "after", "change")
            if all(_number(entry.get(f"{moment}{end}")) for end in ("", "_low", "_high"))
        ]
        rows.append((f"{entry.get('figure', '')} {entry.get('unit', '')}".strip(), ", ".join(parts)))
    return rows


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _table(rows: list[tuple[str, str]]) -> str:
    return "\n".join(["| | |", "|---|---|", *(f"| {key} | {value} |" for key, value in rows)])
