"""The parts of the network, in torch alone: they know nothing of estimators, of numpy data or of training."""
