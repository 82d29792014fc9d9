"""A normal distribution for each class."""
