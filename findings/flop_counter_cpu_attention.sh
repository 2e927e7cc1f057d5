#!/usr/bin/env bash
# PyTorch 2.14.1: FlopCounterMode, the counter behind tables of network costs, on the CPU.
#
# Guess: attention costs the same whichever kernel computes it, so scaled_dot_product_attention counts its two matrix
#        products, and a transformer layer as much in evaluation as in training.
# Seen:  the kernel that the CPU takes by default counts as nothing, without a warning; computed by the
#        "math" kernel, the same call counts in full. A transformer layer in evaluation mode, with all its linear layers,
#        costs 0. A table of costs made on a CPU favours networks with attention, the more so the larger the image.
#
# Exits with 0 as long as that is so, with 1 once it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.14.1 numpy
cd "$folder"
cat > count.py <<'PYTHON'
import sys

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

HEADS, TOKENS, WIDTH = 2, 64, 32


def flops(compute):
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        compute()
    return counter.get_total_flops()


def by_math():
    with sdpa_kernel(SDPBackend.MATH):
        F.scaled_dot_product_attention(tokens, tokens, tokens)


torch.manual_seed(0)
tokens = torch.rand(1, HEADS, TOKENS, WIDTH)
products = 2 * HEADS * 2 * TOKENS * TOKENS * WIDTH  # queries by keys, weights by values; 2 for multiply and add
default = flops(lambda: F.scaled_dot_product_attention(tokens, tokens, tokens))
math = flops(by_math)

layer = nn.TransformerEncoderLayer(HEADS * WIDTH, HEADS, 128, dropout=0.0, batch_first=True)
sequence = torch.rand(1, TOKENS, HEADS * WIDTH)
linear = 2 * TOKENS * (HEADS * WIDTH) * (4 * HEADS * WIDTH + 2 * 128)
training = flops(lambda: layer.train()(sequence))
with torch.no_grad():
    torch.testing.assert_close(layer.eval()(sequence), layer.train()(sequence))
evaluation = flops(lambda: layer.eval()(sequence))

print(f"torch {torch.__version__}")
print(f"attention, its two products:            {products:,} expected")
print(f"attention by the math kernel:           {math:,}")
print(f"attention by the default kernel:        {default:,}")
print(f"transformer layer, products and linear: {products + linear:,} expected")
print(f"transformer layer in training mode:     {training:,}")
print(f"transformer layer in evaluation mode:   {evaluation:,}, with the same output")
same = math == products and default == 0 and training == linear and evaluation == 0
print("as described" if same else "changed")
sys.exit(not same)
PYTHON
"$folder/venv/bin/python" count.py
