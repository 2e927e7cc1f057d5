"""How well a joint network localises eroded pixels: `python benchmarks/erosion_pixels.py [WEIGHTS] [--wrists 100]`.

On phantoms not used for training: the share of eroded pixels that are still segmented as bone, by the masks and in the
crops of the erosion head, and the AUROC of the heat map against the eroded pixels, crop by crop.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tqdm import tqdm

from jointwrist.benchmark.erosion_pixels import erosion_pixels, erosion_pixels_table
from jointwrist.commands.options import seed_number
from jointwrist.config import build, parse_overrides
from jointwrist.data.sample import as_right_hand
from jointwrist.phantom import PhantomConfig, make_wrist
from jointwrist.weights.checkpoint import load_weights
from jointwrist.weights.find import find_weights

#: Phantoms as varied as those of the shipped weights, at the size of RAM-W600.
PHANTOMS = ["prevalence=0.35", "variation=1.25", "osteopenia=0.95", "relief=0.7", "malalignment=4"]


def main(argv: list[str] | None = None) -> int:
    """Print the table of the weights."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", nargs="?", default="jointwrist_tiny", help="file or name (default: %(default)s)")
    parser.add_argument("--wrists", type=int, default=100, metavar="N", help="phantoms (default: %(default)s)")
    parser.add_argument("--seed", type=seed_number, default=990, help="seed of the phantoms (default: %(default)s)")
    parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="settings of the phantoms")
    arguments = parser.parse_args(argv)
    model, info = load_weights(find_weights(arguments.weights))
    config = build(PhantomConfig, parse_overrides([*PHANTOMS, *arguments.set]))
    figures = []
    for index in tqdm(range(arguments.wrists), "phantoms", unit="wrist"):
        sample = as_right_hand(make_wrist(arguments.seed, index, config))
        figures += erosion_pixels(model, sample, info["image_size"], info.get("detail_size") or info["image_size"])
    caption = f"{arguments.weights} on {arguments.wrists} phantoms of seed {arguments.seed}"
    print(erosion_pixels_table(figures, caption).markdown())
    return 0


if __name__ == "__main__":
    sys.exit(main())
