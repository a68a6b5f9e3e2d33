"""What is known of the data: moments, units, bounds, splits and datasets. No torch modules."""
