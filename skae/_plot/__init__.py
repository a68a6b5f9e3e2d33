"""Displays as those of scikit-learn. matplotlib is imported when something is drawn."""
