"""Benchmarks of skae. They use public names only. `python -m benchmarks` lists the questions."""
