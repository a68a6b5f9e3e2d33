"""Training, which is the only part of the package that depends on skorch."""
