"""Corruptions: what happens to the input in training, and only there. ``(u, rng) -> damaged u``."""


def none(u, rng):
    """Leave the input as it is."""
    return u
