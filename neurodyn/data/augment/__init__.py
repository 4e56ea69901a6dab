"""Augmentation: how training batches are varied on their device; one class per kind of data."""
