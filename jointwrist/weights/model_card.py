"""Model card of a weight file, written from its metadata and the registry."""

from __future__ import annotations

from typing import Any

from huggingface_hub import ModelCardData

from jointwrist import __version__
from jointwrist.registry import ModelSpec, model_spec
from jointwrist.text import NOTICE

#: The hub's names of licences that it knows.
_LICENCES = {"Apache-2.0": "apache-2.0", "BSD-2-Clause": "bsd-2-clause", "MIT": "mit"}
_PIPELINES = {"joint": "image-segmentation", "segmentation": "image-segmentation", "erosion": "image-classification"}


def model_card(info: dict[str, Any], name: str) -> str:
    """Return the model card of a weight file that `Predictor.from_pretrained` finds under a name."""
    spec = model_spec(info["model"])
    data = ModelCardData(
        license=_LICENCES.get(spec.licence, "other"),
        library_name="jointwrist",
        pipeline_tag=_PIPELINES[spec.task],
        tags=["radiograph", "wrist", "rheumatoid-arthritis", "bone-erosion", spec.name],
    )
    return f"""---
{data.to_yaml()}
---

# {spec.name}

{_purpose(spec)} {NOTICE}

## Use

```python
from jointwrist import Predictor

result = Predictor.from_pretrained("{name}")("radiograph.dcm")
result.plot().show()
```

Written by jointwrist {__version__}.

## The model

{_table(_facts(spec, info))}

## Limits

It knows one projection (posteroanterior) of one hand, whole and in the image, of adults. Whatever it was trained on
decides how far it carries: look at the masks before you believe a score, and test it on your own radiographs.
"""


def _purpose(spec: ModelSpec) -> str:
    return {
        "joint": "14 bone masks and the erosion of six joint surfaces (Sharp/van der Heijde) of a wrist radiograph.",
        "segmentation": "14 overlapping bone masks of a wrist radiograph.",
        "erosion": "Erosion, yes or no, of one joint surface of a wrist radiograph.",
    }[spec.task]


def _facts(spec: ModelSpec, info: dict[str, Any]) -> list[tuple[str, str]]:
    facts = [
        ("Architecture", spec.paper),
        ("Licence of the architecture", spec.licence),
        ("Parameters of the default construction", f"{spec.parameters:,}"),
        (
            "Options",
            ", ".join(f"{key}={value}" for key, value in sorted(info.get("options", {}).items())) or "defaults",
        ),
        ("Input", f"{info.get('image_size', spec.input_size)} px"),
    ]
    if info.get("detail_size", info.get("image_size")) != info.get("image_size"):
        facts.append(("Input of the joint crops", f"{info['detail_size']} px"))
    facts += [(f"Threshold: {name}", f"{value:.4g}") for name, value in sorted(info.get("thresholds", {}).items())]
    if "epochs" in info:
        facts.append(("Epochs", str(info["epochs"])))
    if "seed" in info.get("config", {}):
        facts.append(("Seed", str(info["config"]["seed"])))
    return facts


def _table(rows: list[tuple[str, str]]) -> str:
    return "\n".join(["| | |", "|---|---|", *(f"| {key} | {value} |" for key, value in rows)])
