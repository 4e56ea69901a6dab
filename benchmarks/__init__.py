"""Benchmarks, one command each: `python -m benchmarks.<name>`; tables are in `results`."""
