"""Table of the parameters of a network."""

from typing import NamedTuple


class ParameterRow(NamedTuple):
    """Name, shape and count of one parameter tensor."""

    name: str
    shape: tuple
    count: int


class Summary(NamedTuple):
    """Table of the parameters of a network; ``print`` shows it.

    Parameters
    ----------
    rows : list of ParameterRow
        Name, shape and count of each parameter.
    encoder, decoder, total : int
        Number of parameters of the encoder, of the decoder, and of both.
    """

    rows: list
    encoder: int
    decoder: int
    total: int

    def __str__(self):
        cells = [("parameter", "shape", "count")]
        cells += [
            (row.name, " x ".join(map(str, row.shape)), f"{row.count:,}") for row in self.rows
        ]
        totals = {"encoder": self.encoder, "decoder": self.decoder, "total": self.total}
        cells += [(name, "", f"{count:,}") for name, count in totals.items()]
        names, shapes, counts = (max(map(len, column)) for column in zip(*cells, strict=True))
        lines = [
            f"{name:{names}}  {shape:{shapes}}  {count:>{counts}}" for name, shape, count in cells
        ]
        rule = "-" * len(lines[0])
        return "\n".join([lines[0], rule, *lines[1:-3], rule, *lines[-3:]])


def summarize(module):
    """Summarize the parameters of an :class:`skae._nn.autoencoder.Autoencoder`."""
    rows = [ParameterRow(name, tuple(p.shape), p.numel()) for name, p in module.named_parameters()]
    encoder, decoder = (
        sum(row.count for row in rows if row.name.startswith(side))
        for side in ("encoder.", "decoder.")
    )
    return Summary(rows, encoder, decoder, sum(row.count for row in rows))
