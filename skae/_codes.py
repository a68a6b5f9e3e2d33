"""Codes: what lies between encoder and decoder.

A code takes the encoder's output ``h`` of shape (n, width(k)) and gives

- ``mean(h)``: the deterministic code (n, k) that ``transform`` returns,
- ``sample(h, rng)``: the code that the decoder sees in training,
- ``penalty(h)``: what the code adds to the loss of each row (n,), or None in place of the method: nothing.
"""


class Plain:
    """The encoder's output, through an activation, is the code.

    Parameters
    ----------
    activation : callable
        Of the code.
    """

    # The code of centred data divided by one scale; multiplied by it again it has the unit of the data, as PCA's.
    in_unit_of_data = True
    penalty = None

    def __init__(self, activation):
        self._activation = activation

    def width(self, n_components):
        return n_components

    def mean(self, h):
        return self._activation(h)

    def sample(self, h, rng):
        return self.mean(h)
