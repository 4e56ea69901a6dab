"""Benchmarks, one command each: `neurodyn bench <name>`. Tables are in `results`."""
