"""Parts of the network, which depend on torch only: not on estimators, data or training."""
