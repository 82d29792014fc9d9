"""Features that know nothing of the labels."""
