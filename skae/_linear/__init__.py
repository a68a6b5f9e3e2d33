"""Linear models at which training starts."""
