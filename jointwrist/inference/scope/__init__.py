"""Where the scope of a network's weights ends: fused bones, metal, casts, growth plates, other projections."""
