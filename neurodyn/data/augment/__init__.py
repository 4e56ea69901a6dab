"""Augmentation: what training samples go through on their device."""
