"""The fitted model, which maps arrays to arrays.

It holds what is needed after training: no optimizer, no gradients and no averaged weights.
"""

import json
from copy import deepcopy
from dataclasses import fields, replace
from functools import partial

import numpy as np
import torch
from sklearn.utils import gen_batches

from skae._data.sources import chunk_size
from skae._likelihoods import Bernoulli, Gaussian
from skae._nn.autoencoder import AutoencoderSpec
from skae._nn.custom import Custom
from skae._nn.encoder_decoder import (
    Decoder,
    Encoder,
    EncoderDecoder,
    InverseStandardization,
    Standardization,
)
from skae._nn.modes import without_ambient_state
from skae._nn.networks import Conv, Dense
from skae._nn.vae import VAESpec
from skae._scores import ErrorSums


class Model:
    """A fitted autoencoder.

    Parameters
    ----------
    spec : skae._nn.autoencoder.Spec
        Sizes and choices from which the module is built.
    standardizer, target_standardizer : skae._data.standardizer.Standardizer
        Standardizers of the samples and of their reconstructions.
    fill : callable
        Fill of missing values; see :mod:`skae._data.missing`.
    weights : dict of str to ndarray
        Parameters and buffers of the module that `spec` builds.
    device : torch.device
        Device of the module.

    Attributes
    ----------
    module : skae._nn.autoencoder.Autoencoder
        The network, in float32 and in evaluation mode.

    Raises
    ------
    ValueError
        If a weight is not finite, or missing values are not filled.
    RuntimeError
        If the names or shapes of the weights do not match the module.
    """

    def __init__(self, spec, standardizer, target_standardizer, fill, weights, device):
        self.spec = spec
        self.standardizer = standardizer
        self.target_standardizer = target_standardizer
        self.fill = fill
        weights = {name: _in_float32(weight) for name, weight in weights.items()}
        if not all(np.isfinite(weight).all() for weight in weights.values()):
            raise ValueError("A weight is NaN or infinite.")
        if not np.isfinite(fill(np.full((1, spec.n_features), np.nan))).all():
            raise ValueError("A missing value would not be filled.")
        # A module that is made in inference mode could never have gradients.
        with without_ambient_state():
            self.module = build_module(spec, target_standardizer).eval()
            self.module.load_state_dict(
                {name: torch.from_numpy(weight) for name, weight in weights.items()}, assign=True
            )
            self.module.to(device)
        self.device = device
        self._converted = {}  # copies of the module in other dtypes, each made once

    def state(self):
        """Arrays and plain values from which `from_state` restores the model, on any device."""
        network = self.spec.network
        return {
            "spec": _to_json(self.spec),
            # A file refers to a function by its name.
            "function": network.function if isinstance(network, Custom) else None,
            "standardizer": self.standardizer,
            "target_standardizer": self.target_standardizer,
            "fill": self.fill,
            "weights": weights_of(self.module),
        }

    @classmethod
    def from_state(cls, state, device):
        state = dict(state)
        spec = _from_json(state.pop("spec"), state.pop("function", None))
        return cls(spec, **state, device=device)

    @property
    def _code_scale(self):
        """Factor from the network's codes to those that `encode` returns."""
        return self.target_standardizer.scale if self.module.latent.in_units_of_x else 1.0

    def encode(self, X):
        """Encode samples (n, n_features) as latent codes (n, n_components).

        Like every method of this class, it returns the dtype of its input.
        """
        codes = self.apply(_encode, X)
        codes *= X.dtype.type(self._code_scale)
        return codes

    def decode(self, Z):
        """Decode codes, or their first k components (n, k), to samples (n, n_outputs)."""
        k, n_left = Z.shape[1], self.spec.n_components - Z.shape[1]
        scale = Z.dtype.type(self._code_scale)
        return self._decode(Z, k, lambda Z: np.pad(Z / scale, ((0, 0), (0, n_left))))

    def _decode(self, codes, length, prepare):
        """Decode the first `length` components of codes, once `prepare` was applied to them."""
        return self.apply(
            partial(_decode_prefix, length),
            codes,
            prepare,
            self.target_standardizer.inverse_transform,
        )

    def reconstruct(self, X):
        """Reconstructions (n, n_outputs) of samples."""
        return self.apply(
            lambda module, u: module(u).reconstruction,
            X,
            finish=self.target_standardizer.inverse_transform,
        )

    def mean_squared_errors(self, X):
        """Mean squared error of the reconstruction of each sample (n,), over its features.

        Missing values are left out. The error of a sample without any value is zero.
        """
        return np.concatenate(
            [_means(np.square(chunk - self.reconstruct(chunk))) for chunk, _ in X.chunks()]
        )

    def r2(self, X, target, lengths=None, sample_weight=None, corrupt=None):
        """R² of the reconstruction of targets from prefixes of the codes of X.

        Parameters
        ----------
        X, target : ndarray of shape (n, n_features) and (n, n_outputs)
            Samples to encode, and what they should be reconstructed as.
        lengths : iterable of int, default=None
            Numbers of first components to reconstruct from. With None, all components are used.
        sample_weight : ndarray of shape (n,), default=None
            Weights of the samples.
        corrupt : callable, default=None
            Called with some consecutive samples, which of their values are observed and the
            position of the first, it returns corrupted ones and which of their values count.

        Returns
        -------
        scores : ndarray of shape (n_lengths,)
            R² from each prefix.
        """
        return self.error_sums(X, target, lengths, sample_weight, corrupt).scores()

    def error_sums(self, X, target, lengths=None, sample_weight=None, corrupt=None):
        """Sums of errors from which `r2` follows, and which can be merged with others."""
        lengths = [self.spec.n_components] if lengths is None else lengths
        sums = ErrorSums(len(lengths))
        for batch in gen_batches(len(X), self._chunk_size):
            chunk, clean = X[batch], target[batch]
            missing = np.isnan(clean)
            counted = ~missing if missing.any() else None
            if corrupt is not None:
                chunk, counted = corrupt(self.fill(chunk), counted, batch.start)
            codes = self.apply(_encode, chunk.astype(X.dtype, copy=False))
            reconstructions = (self._decode(codes, length, np.array) for length in lengths)
            sums.add(
                clean,
                reconstructions,
                None if sample_weight is None else sample_weight[batch],
                counted,
            )
        return sums

    def apply(self, function, X, prepare=None, finish=None):
        """Apply ``function(module, tensor)`` to prepared samples, a chunk of them at a time.

        Parameters
        ----------
        function : callable
            Function that returns a tensor with an entry for each sample.
        X : ndarray
            Samples, or what else `prepare` takes.
        prepare : callable, default=None
            Function of a chunk of X, applied first. With None, the chunk is filled and
            standardized.
        finish : callable, default=None
            Function of the resulting array of a chunk, applied last. With None, the array is left
            as it is.

        Returns
        -------
        result : ndarray
            Results of all chunks in one array.
        """
        prepare = prepare or self._to_network_units
        dtype = torch.float64 if X.dtype == np.float64 else torch.float32
        device = self._device_for(dtype)
        result = None
        with without_ambient_state(), torch.inference_mode():
            module = self._module_in(dtype, device)
            for batch in gen_batches(len(X), self._chunk_size):
                part = function(module, torch.from_numpy(prepare(X[batch])).to(device)).numpy(
                    force=True
                )
                part = part if finish is None else finish(part)
                # Fill one array: to concatenate the parts at the end would need a second copy.
                if result is None:
                    result = (
                        part
                        if len(part) == len(X)
                        else np.empty((len(X), *part.shape[1:]), dtype=part.dtype)
                    )
                if result is not part:
                    result[batch] = part
        return result

    def _to_network_units(self, X):
        return self.standardizer.transform(self.fill(X))

    @property
    def _chunk_size(self):
        """Number of samples that go through the network together."""
        return chunk_size(max(self.spec.n_features, self.spec.n_outputs))

    def truncated(self, n_components):
        """Model of the first components, whose weights are the leading part of each weight."""
        smaller = replace(self.spec, n_components=n_components)
        shapes = {name: weight.shape for name, weight in smaller.build().state_dict().items()}
        weights = weights_of(self.module)
        weights = {name: weights[name][tuple(map(slice, shape))] for name, shape in shapes.items()}
        fitted = self.standardizer, self.target_standardizer, self.fill
        return Model(smaller, *fitted, weights, self.device)

    def forget_conversions(self):
        """Drop the copies of the module in other dtypes; they are made again when needed."""
        self._converted = {}

    def in_units_of_x(self, shape):
        """Copy of encoder and decoder in the units of X, for samples decoded to a shape."""
        with without_ambient_state():
            module, latent = deepcopy(self.module), deepcopy(self.module.latent)
            module.encoder.trains_linear = True  # no density depends on it here
            given, target = self.standardizer, self.target_standardizer
            encoder = Encoder(
                Standardization(given.mean.copy(), given.scale),
                module.encoder,
                module.latent,
                self._code_scale,
            )
            bounds = target.lower.copy(), target.upper.copy()
            decoder = Decoder(
                module.decoder,
                latent,
                self._code_scale,
                module.output,
                InverseStandardization(target.mean.copy(), target.scale, *bounds),
                shape,
            )
            return EncoderDecoder(encoder, decoder).to(self.device).eval()

    def _module_in(self, dtype, device):
        if dtype == torch.float32:
            return self.module
        if dtype not in self._converted:
            self._converted[dtype] = deepcopy(self.module).to(device, dtype)
        return self._converted[dtype]

    def _device_for(self, dtype):
        """Device to compute that dtype on: the CPU for float64 where the GPU is Apple's.

        Apple's GPUs do not support float64.
        """
        return (
            torch.device("cpu")
            if self.device.type == "mps" and dtype == torch.float64
            else self.device
        )


# Classes that a spec is written to files with as plain values. A spec with any other class is
# pickled as it is.
_CLASSES = {
    cls.__name__: cls
    for cls in (AutoencoderSpec, Bernoulli, Conv, Custom, Dense, Gaussian, VAESpec)
}


def _to_json(spec):
    def names_and_values(part):
        if _CLASSES.get(type(part).__name__) is not type(part):
            raise TypeError
        return {"class": type(part).__name__} | {
            field.name: getattr(part, field.name)
            for field in fields(part)
            if field.name != "function"
        }

    try:
        return json.dumps(spec, default=names_and_values)
    except TypeError:
        return spec


def _from_json(text, function):
    def make(part):
        values = {
            name: tuple(value) if isinstance(value, list) else value for name, value in part.items()
        }
        cls = _CLASSES[values.pop("class")]
        return cls(function, **values) if cls is Custom else cls(**values)

    return json.loads(text, object_hook=make) if isinstance(text, str) else text


def _in_float32(weight):
    """Copy of an array, in float32 unless it holds integers, such as the steps of a layer."""
    weight = np.array(weight)
    return weight.astype(np.float32) if weight.dtype.kind == "f" else weight


def build_module(spec, target_standardizer):
    """Module of a spec, with the bounds of its output set and its weights not yet initialized."""
    module = spec.build()
    if target_standardizer.is_bounded:
        module.set_bounds(*target_standardizer.standardized_bounds)
    return module


def weights_of(module):
    """Parameters and buffers of a module, as arrays."""
    return {name: weight.numpy(force=True) for name, weight in module.state_dict().items()}


def prefix_scores(module, dataset, lengths):
    """R² of the reconstruction of a dataset from the first components, for each of the lengths.

    It is that of the samples of all processes of the group of the dataset.
    """
    sums = ErrorSums(len(lengths))
    with without_ambient_state(), torch.inference_mode():
        for u, target, *others in dataset.batches():
            z = module.encode(u)
            decoded = (_decode_prefix(length, module, z).numpy(force=True) for length in lengths)
            weight, observed = (
                None if part is None else part.numpy(force=True) for part in others[:2]
            )
            sums.add(target.numpy(force=True), decoded, weight, observed)
    parts = dataset.group.gather(sums)
    for part in parts[1:]:
        parts[0].merge(part)
    return parts[0].scores()


def smallest_prefix(module, dataset, score, longest):
    """Smallest number of components at which the R² of a dataset reaches a score.

    It is found by bisection. Where no prefix reaches the score, it is `longest`.
    """
    low, high = 0, longest
    while high - low > 1:
        middle = (low + high) // 2
        if prefix_scores(module, dataset, [middle])[0] < score:
            low = middle
        else:
            high = middle
    return high


def _means(values):
    """Mean of each row without NaN, zero for a row that has nothing else."""
    missing = np.isnan(values)
    if not missing.any():
        return values.mean(axis=1)
    return np.where(missing, 0, values).sum(axis=1) / np.maximum((~missing).sum(axis=1), 1)


def _encode(module, u):
    return module.encode(u)


def _decode_prefix(length, module, z):
    """Decode the first components of codes."""
    return module.decode(z, module.latent.prefix(length))
