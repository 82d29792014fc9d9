"""Whether gradients accumulated over micro batches give the weights of the whole batch."""
