"""Detection of radiographs outside a network's scope: fused bones, metal, casts, growth plates, other projections."""
