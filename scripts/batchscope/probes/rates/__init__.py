"""The learning-rate range test: a short training whose rate rises from update to update."""
