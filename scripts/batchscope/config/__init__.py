"""Strict reading of what users write in YAML."""
