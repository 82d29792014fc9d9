"""Measurements that are not a training."""
