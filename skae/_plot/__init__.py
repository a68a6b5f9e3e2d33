"""Displays, in the manner of scikit-learn's; matplotlib is imported where something is drawn."""
