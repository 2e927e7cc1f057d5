"""Encoder layouts, trained for segmentation only, with equal steps on the same phantoms.

    python benchmarks/layouts.py                            all unfinished runs, seed by seed
    python benchmarks/layouts.py --arms hybrid conv         some of them
    python benchmarks/layouts.py --tables                   the table from stored results, no training

The layouts are defined in benchmarks/layouts.yaml. A killed run resumes, finished ones are skipped; their per-case
results are stored in docs/layouts. The trained network is the encoder and the decoder of the joint network, without its
erosion head. Operations are counted, not timed: those of the encoder on one image of the plan's size.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch
from torch import Tensor, nn

from benchmarks.cost import Count
from jointwrist.benchmark.ablations.estimates import MASK_FIGURES, Figures
from jointwrist.benchmark.ablations.kept_results import KeptResults
from jointwrist.benchmark.ablations.plan import Ablations
from jointwrist.benchmark.ablations.runs import Choice, run_plan
from jointwrist.benchmark.ablations.tables import difference, filled
from jointwrist.benchmark.tables.cells import OVER_SEEDS
from jointwrist.benchmark.tables.table import Table, save_tables
from jointwrist.commands.messages import print_log
from jointwrist.commands.options import seed_number
from jointwrist.config import ConfigError
from jointwrist.errors import DataError, StorageError
from jointwrist.files import write_text
from jointwrist.models.decoder import Decoder
from jointwrist.models.encoder import Encoder, build_encoder
from jointwrist.registry import ModelSpec, list_models, register_model

FILE = Path(__file__).with_suffix(".yaml")
KEPT = Path(__file__).resolve().parent.parent / "docs" / "layouts"
MODEL, REGIME, REFERENCE = "encoder_decoder", "stream", "conv"


class EncoderDecoder(nn.Module):
    """Encoder and decoder of `jointwrist_tiny`; (B, 14, H, W) mask logits."""

    def __init__(self, encoder: str = "hybrid", encoder_layout: str = ""):
        super().__init__()
        self.encoder = build_encoder(encoder, layout=encoder_layout)
        self.decoder = Decoder(self.encoder.channels, (96, 64, 48, 32, 24))

    def forward(self, image: Tensor) -> Tensor:
        """Segment (B, 1, H, W) images."""
        return self.decoder(self.encoder(image))[0]


def enter_model() -> None:
    """Register the network for this process only."""
    if MODEL not in list_models():
        spec = ModelSpec(MODEL, "segmentation", None, "this project", "Apache-2.0", __name__, 0, 128)
        register_model(spec)(EncoderDecoder)


def encoder_cost(encoder: Encoder, side: int) -> tuple[int, float]:
    """Parameters of an encoder, and 10^6 operations of a forward pass over one image of `side` pixels."""
    with torch.no_grad(), Count() as counted:
        encoder(torch.zeros(1, 1, side, side))
    return sum(p.numel() for p in encoder.parameters()), sum(o.flops for o in counted.operations) / 1e6


def layout_table(plan: Ablations, rows: KeptResults) -> Table:
    """Every layout: cost, DSC and NSD over seeds and patients, and the NSD's difference from convolutions."""
    figures, lines = Figures.of(rows), []
    for arm in plan.arms:
        runs = rows.of(REGIME, arm)
        if not runs:
            continue
        options = rows.configs[runs[0]]["options"]
        encoder = build_encoder(
            options.get("encoder", "hybrid"), scan_backend="cpu", layout=options.get("encoder_layout", "")
        )
        side = rows.configs[runs[0]]["image_size"]
        parameters, operations = encoder_cost(encoder, side)
        line = {"Layout": f"`{letters(encoder)}`", "what": plan.arms[arm].title, "seeds": len(runs)}
        line |= {"parameters": f"{parameters:,}", "MFLOPs": f"{operations:.0f}"}
        for key, (title, *_) in MASK_FIGURES.items():
            line[title] = figures.over_seeds(runs, key)
            if arm != REFERENCE and (found := difference(rows, figures, REGIME, arm, REFERENCE, key)):
                line[f"{title.split()[0]} minus {REFERENCE}"] = found[1]
        lines.append(line)
    config = rows.configs[rows.runs.index[0]]
    steps = config["stream"]["wrists"] // config["optim"]["batch_size"] * config["optim"]["epochs"]
    caption = (
        f"Layouts of the encoder, masks alone, {steps} steps of {config['optim']['batch_size']} phantoms of"
        f" {config['image_size']} px, tested on {rows.masks.index.get_level_values('case').nunique()} others."
        f" {OVER_SEEDS}. Parameters and operations are those of the encoder."
    )
    return Table("layouts", caption, lines)


def letters(encoder: Encoder) -> str:
    """Layout of an encoder, as `jointwrist.models.encoder_sizes` writes it."""
    return "-".join("".join(map(_letter, stage)) for stage in encoder.stages)


def _letter(block: nn.Module) -> str:
    kind = type(block).__name__
    if kind != "VSSBlock":
        return {"SwinBlock": "a", "ConvBlock": "c"}[kind]
    letter = "m" if block.local is None else "l"
    return letter.upper() if block.op.d_state > 1 else letter


def main(argv: list[str] | None = None) -> int:
    """Run unfinished runs and write the table; return 1 if a run failed, 2 if it could not begin."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plan", type=Path, default=FILE, help="YAML file of the layouts (default: the project's)")
    parser.add_argument("--arms", nargs="+", metavar="NAME", help="names of the file; default: all")
    parser.add_argument("--seeds", nargs="+", type=seed_number, metavar="N", help="seeds; default: those of the file")
    parser.add_argument("--shard", default="1/1", metavar="I/N", help="every N-th run only, from the I-th")
    parser.add_argument("--tables", action="store_true", help="make the table from the stored results; train nothing")
    parser.add_argument("--results", type=Path, default=Path("results/layouts"), help="(default: %(default)s)")
    parser.add_argument("--out", type=Path, default=KEPT, help="folder of rows and table (default: docs/layouts)")
    arguments = parser.parse_args(argv)
    print_log()
    enter_model()
    failed = False
    try:
        plan = Ablations.load(arguments.plan)
        if not arguments.tables:
            choice = Choice(None, arguments.arms, arguments.seeds, arguments.shard)
            failed = run_plan(plan, choice, arguments.results, arguments.out)
        rows = KeptResults.read(arguments.out).with_runs(arguments.results, plan)
        if rows.runs.empty:
            print("no run is finished yet")
            return int(failed)
        rows.write(arguments.out)
        table = layout_table(plan, rows)
        save_tables(arguments.out, [table])
        page = arguments.out.with_suffix(".md")
        if page.is_file():
            write_text(page, filled(page.read_text(encoding="utf-8"), table.markdown()))
        print(table.markdown())
    except (ConfigError, DataError, StorageError) as error:
        print(f"layouts: {error}", file=sys.stderr)
        return 2
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
