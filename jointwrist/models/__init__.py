"""The joint network and its parts.

- `joint`: the whole network. `encoder`, `encoder_sizes`, `decoder`: its shared trunk and the bone masks.
- `erosion_head`, `erosion_shape_head`, `ordinal_head`: the erosion heads and their ordinal output.
- `crops`, `crop_network`, `crop_heat_map`: joint crops, networks on them, and heat maps of classifiers.
- `mamba`, `swin`, `blocks`: blocks. `feature_balance`: gradients of two tasks at shared features.
- `masked_image`: pretraining.
"""
