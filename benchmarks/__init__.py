"""Benchmarks of skae. They use its public names only; README.md says which command answers what."""
