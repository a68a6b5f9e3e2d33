"""The data: sources, moments, standardization, bounds, corruptions, splits and datasets.

No torch module is defined here.
"""
