"""How sharply the training loss rises around the weights of a run."""
