"""The loss of the same weights in batches of several sizes, in training mode and in inference mode."""
