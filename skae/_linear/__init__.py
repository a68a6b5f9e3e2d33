"""The linear models at which training starts."""
