"""The JAX engine: Keras models and optimizers on JAX."""
