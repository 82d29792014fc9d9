"""How gradients of batches scatter about the full gradient, at weights that do not move, and the noise scale."""
