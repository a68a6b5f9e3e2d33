"""ONNX graphs: the nodes of encoder, decoder and each layer."""

import numpy as np
import torch
from onnx import TensorProto, numpy_helper
from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType
from torch import nn

from skae._likelihoods.bernoulli import BernoulliLikelihood
from skae._likelihoods.gaussian import GaussianLikelihood
from skae._nn.latents import DeterministicLatent
from skae._nn.networks import (
    ConditionalLinear,
    Conv2d,
    ConvTranspose2d,
    Linear,
    MaxPool2d,
    StridedPointwise,
    ToImages,
    ToSamples,
    Upsample,
    ZeroInsertion,
)
from skae._nn.outputs import StraightThroughClip


def data_type_of(operator):
    """Type of samples and results: double where an input is, else float."""
    is_double = any(isinstance(x.type, DoubleTensorType) for x in operator.inputs)
    return DoubleTensorType if is_double else FloatTensorType


class Graph:
    """Nodes of a graph, which functions of this module add layer by layer.

    Values are names of tensors in the graph; tensors and arrays become its constants.

    Parameters
    ----------
    scope, operator, container : object
        Arguments of a converter of skl2onnx.
    """

    def __init__(self, scope, operator, container):
        self._scope = scope
        self._container = container
        # Samples and results are of this type, while the network computes in float32.
        self.data_type = data_type_of(operator)
        self.is_double = self.data_type is DoubleTensorType
        self.dtype = np.float64 if self.is_double else np.float32

    def add(self, op_type, *inputs, output=None, **attributes):
        """Add a node with one output, and return the name of the output."""
        output = output or self._scope.get_unique_variable_name(op_type.lower())
        names = [value if isinstance(value, str) else self._constant(value) for value in inputs]
        name = self._scope.get_unique_operator_name(op_type)
        self._container.add_node(op_type, names, output, name=name, **attributes)
        return output

    def to_data(self, x):
        """Convert from the type of the network to that of the samples."""
        return self.add("Cast", x, to=TensorProto.DOUBLE) if self.is_double else x

    def to_network(self, x):
        """Convert from the type of the samples to that of the network."""
        return self.add("Cast", x, to=TensorProto.FLOAT) if self.is_double else x

    def layer(self, layer, x):
        """Add the nodes of a layer, and return the name of its output."""
        if type(layer) is nn.Sequential:
            for part in layer:
                x = self.layer(part, x)
            return x
        if type(layer) not in _LAYERS:
            raise _unknown(layer)
        return _LAYERS[type(layer)](self, layer, x)

    def _constant(self, value):
        if isinstance(value, torch.Tensor):
            value = value.numpy(force=True)
        name = self._scope.get_unique_variable_name("constant")
        tensor = numpy_helper.from_array(np.asarray(value), name)
        self._container.add_initializer(name, tensor.data_type, tensor.dims, tensor)
        return name


def _unknown(layer):
    return ValueError(
        f"The network has the layer {layer!r}, which skae.onnx cannot convert: export the network"
        " with torch.onnx.export(estimator.to_module(), ...) instead."
    )


# Encoder and decoder.


def encode(graph, encoder, inputs):
    """Codes in float32, of samples that come in one input or in one for each feature."""
    to = TensorProto.DOUBLE if graph.is_double else TensorProto.FLOAT
    parts = [
        x.full_name if type(x.type) is graph.data_type else graph.add("Cast", x.full_name, to=to)
        for x in inputs
    ]
    x = graph.add("Concat", *parts, axis=1) if len(parts) > 1 else parts[0]
    u = graph.add("Flatten", x, axis=1)
    for mean in _means(graph, encoder.standardize):
        u = graph.add("Sub", u, mean)
    u = graph.to_network(graph.add("Mul", u, graph.dtype(1 / encoder.standardize.scale)))
    h = _anchored_map(graph, encoder.map, u, u)
    latent = encoder.latent
    if isinstance(latent, DeterministicLatent):
        return graph.add("Mul", graph.layer(latent.activation, h), np.float32(encoder.code_scale))
    starts, ends, axes, steps = np.array([[0], [np.iinfo(np.int64).max], [1], [2]])
    return graph.add("Mul", graph.add("Slice", h, starts, ends, axes, steps), latent.scale)


def decode(graph, decoder, codes):
    """Samples in the units of X, of their type, from codes in float32."""
    latent, restore = decoder.latent, decoder.restore
    if isinstance(latent, DeterministicLatent):
        z = graph.add("Div", codes, np.float32(decoder.code_scale))
    else:
        z = graph.add("Mul", codes, latent.gain)
    residual_z, dropout = z, latent.nested_dropout
    if dropout is not None:  # the decoder is conditioned on the number of components
        residual_z = z, dropout.prefix(dropout.lengths[-1]).condition
    raw = _anchored_map(graph, decoder.map, z, residual_z)
    x = graph.to_data(graph.layer(decoder.output, raw))
    x = graph.add("Mul", x, graph.dtype(restore.scale))
    for mean in _means(graph, restore)[::-1]:
        x = graph.add("Add", x, mean)
    for op_type, bound in ("Max", restore.clip.lower), ("Min", restore.clip.upper):
        x = graph.add(op_type, x, bound.numpy(force=True).astype(graph.dtype))
    return graph.add("Reshape", x, np.array([0, *decoder.shape]))


def _means(graph, module):
    """The mean in the type of the samples: in float32 in two parts, the large one first."""
    if graph.is_double:
        return [module.mean.double() + module.mean_rest.double()]
    return [module.mean, module.mean_rest]


def _anchored_map(graph, anchored, x, residual_x):
    residual = graph.layer(anchored.residual, residual_x)
    if anchored.linear is None:
        return residual
    return graph.add("Add", residual, graph.add("MatMul", x, anchored.linear.weight.T))


# Layers.


def _linear(graph, layer, x):
    bias = () if layer.bias is None else (layer.bias,)
    return graph.add("Gemm", x, layer.weight, *bias, transB=1)


def _conditional_linear(graph, layer, codes_and_condition):
    z, condition = codes_and_condition
    return graph.add("Gemm", z, layer.weight, (condition @ layer.biases)[0], transB=1)


def _conv(graph, layer, x, strides=None):
    pads = [*layer.padding, *layer.padding]
    strides = list(strides or layer.stride)
    return graph.add("Conv", x, layer.weight, layer.bias, strides=strides, pads=pads)


def _strided_pointwise(graph, layer, x):
    return _conv(graph, layer, x, layer.strides)


def _conv_transpose(graph, layer, x):
    return graph.add(
        "ConvTranspose",
        x,
        layer.weight,
        layer.bias,
        strides=list(layer.stride),
        pads=[*layer.padding, *layer.padding],
        output_padding=list(layer.output_padding),
    )


def _max_pool(graph, layer, x):
    strides = list(layer.stride)
    return graph.add(
        "MaxPool", x, kernel_shape=list(layer.kernel_size), strides=strides, ceil_mode=1
    )


def _upsample(graph, layer, x):
    """Enlarge images by a matrix for each axis, as every way of upsampling is linear."""
    matrices = []
    for axis, size in enumerate(layer.size):
        # Each image of a batch has one pixel that is not zero, in one row or in one column.
        pixels = torch.eye(-(-size // 2), dtype=torch.float32, device="cpu")
        enlarged = layer(pixels[:, None].unsqueeze(3 - axis))
        matrices.append(enlarged[:, 0].select(2 - axis, 0))
    rows, columns = matrices
    return graph.add("MatMul", rows.T, graph.add("MatMul", x, columns))


def _gelu(graph, layer, x):
    if layer.approximate != "none":
        raise _unknown(layer)
    erf = graph.add("Erf", graph.add("Mul", x, np.float32(0.5**0.5)))
    half = graph.add("Mul", x, np.float32(0.5))
    return graph.add("Mul", half, graph.add("Add", erf, np.float32(1)))


def _silu(graph, layer, x):
    return graph.add("Mul", x, graph.add("Sigmoid", x))


def _elementwise(op_type):
    return lambda graph, layer, x: graph.add(op_type, x)


def _to_images(graph, layer, x):
    images = graph.add("Reshape", x, np.array([0, *layer.image_shape]))
    return graph.add("Transpose", images, perm=[0, 3, 1, 2])


def _to_samples(graph, layer, x):
    return graph.add("Flatten", graph.add("Transpose", x, perm=[0, 2, 3, 1]), axis=1)


def _identity(graph, layer, x):
    return x


def _probabilities(graph, layer, logits):
    if isinstance(layer.offset, torch.Tensor):
        logits = graph.add("Add", logits, layer.offset)
    return graph.add("Sigmoid", logits)


def _mean(graph, layer, raw):
    return graph.layer(layer.mean, raw)


# By exact type, since a subclass may compute something else.
_LAYERS = {
    BernoulliLikelihood: _probabilities,
    ConditionalLinear: _conditional_linear,
    Conv2d: _conv,
    ConvTranspose2d: _conv_transpose,
    GaussianLikelihood: _mean,
    Linear: _linear,
    MaxPool2d: _max_pool,
    StraightThroughClip: _identity,  # the samples are clipped in the units of X
    StridedPointwise: _strided_pointwise,
    ToImages: _to_images,
    ToSamples: _to_samples,
    Upsample: _upsample,
    ZeroInsertion: _upsample,
    nn.GELU: _gelu,
    nn.Identity: _identity,
    nn.Linear: _linear,
    nn.ReLU: _elementwise("Relu"),
    nn.SiLU: _silu,
    nn.Sigmoid: _elementwise("Sigmoid"),
    nn.Tanh: _elementwise("Tanh"),
}
