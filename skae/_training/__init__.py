"""Training, and the only place that knows skorch."""
