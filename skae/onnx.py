"""Export to ONNX: converters of the estimators for skl2onnx.

Importing this module registers the converters. `skl2onnx.to_onnx` then converts a fitted estimator,
or a Pipeline with one, to a graph that computes `transform`, and `reconstruction_to_onnx` makes the
graph of `reconstruct`.
"""

from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from skae._autoencoder import AutoencoderTransformer
from skae._base import BaseAutoencoder
from skae._conv import ConvAutoencoderTransformer
from skae._denoising import DenoisingAutoencoder
from skae._vae import VAETransformer

try:
    import skl2onnx

    from skae._onnx_graph import Graph, data_type_of, decode, encode
except ImportError as error:
    raise ImportError(
        "skae.onnx requires skl2onnx. You can install it with `pip install skl2onnx`, and"
        " onnxruntime to run the graphs."
    ) from error

__all__ = ["reconstruction_to_onnx"]


def reconstruction_to_onnx(estimator, X=None, *, initial_types=None, target_opset=None):
    """Convert `reconstruct` of a fitted estimator, or `denoise`, to an ONNX graph.

    To convert `transform`, import `skae.onnx` and call ``skl2onnx.to_onnx(estimator, X[:1])``.

    Parameters
    ----------
    estimator : estimator of skae
        Fitted estimator.
    X : ndarray of shape (n_samples, n_features) or images, default=None
        Samples, of which one is enough, with the dtype and shape that the input of the graph should
        have. The number of samples of the graph is free. Can be None if `initial_types` is given.
    initial_types : list of tuple, default=None
        Name and type of skl2onnx of each input, instead of X.
    target_opset : int or dict, default=None
        Version of the ONNX operators. None is the latest that skl2onnx supports.

    Returns
    -------
    graph : onnx.ModelProto
        Graph with one output: the reconstruction in the units of X, of the form that `reconstruct`
        returns.

    Raises
    ------
    sklearn.exceptions.NotFittedError
        If the estimator is not fitted.
    TypeError
        If `estimator` is not an estimator of skae, such as a Pipeline.
    ValueError
        If a layer of the network cannot be converted.

    Notes
    -----
    The network computes in float32. If X has the dtype float64, samples are standardized, and
    reconstructions restored, in float64, and the graph returns float64. Other dtypes are converted
    to float32. Missing values are not filled.

    Examples
    --------
    >>> import onnxruntime
    >>> from sklearn.datasets import load_digits
    >>> from skae import DenoisingAutoencoder
    >>> from skae.onnx import reconstruction_to_onnx
    >>> X = load_digits().data.astype("float32")
    >>> denoiser = DenoisingAutoencoder(8, max_iter=1, random_state=0).fit(X)
    >>> graph = reconstruction_to_onnx(denoiser, X[:1])
    >>> session = onnxruntime.InferenceSession(graph.SerializeToString())
    >>> session.run(None, {"X": X})[0].shape
    (1797, 64)
    """
    if not isinstance(estimator, BaseAutoencoder):
        raise TypeError(
            f"estimator={estimator!r} is not an estimator of skae: give the fitted autoencoder"
            " itself. For a Pipeline, give its step, and samples as that step gets them."
        )
    check_is_fitted(estimator)
    return skl2onnx.to_onnx(
        _Reconstruction(estimator), X, initial_types=initial_types, target_opset=target_opset
    )


class _Reconstruction(TransformerMixin, BaseEstimator):
    """Transformer that reconstructs samples, from which skl2onnx makes a graph of its own."""

    def __init__(self, estimator):
        self.estimator = estimator


def _set_shape(operator, shape):
    n_samples = operator.inputs[0].get_first_dimension()
    operator.outputs[0].type = data_type_of(operator)([n_samples, *shape])


def _set_shape_of_codes(operator):
    check_is_fitted(operator.raw_operator)
    _set_shape(operator, [operator.raw_operator.n_components_])


def _convert_transform(scope, operator, container):
    graph = Graph(scope, operator, container)
    encoder = operator.raw_operator.to_module().cpu().encoder
    codes = graph.to_data(encode(graph, encoder, operator.inputs))
    graph.add("Identity", codes, output=operator.outputs[0].full_name)


def _set_shape_of_reconstructions(operator):
    _set_shape(operator, operator.raw_operator.estimator.to_module().decoder.shape)


def _convert_reconstruct(scope, operator, container):
    graph = Graph(scope, operator, container)
    module = operator.raw_operator.estimator.to_module().cpu()
    codes = encode(graph, module.encoder, operator.inputs)
    reconstructions = decode(graph, module.decoder, codes)
    graph.add("Identity", reconstructions, output=operator.outputs[0].full_name)


for _estimator in (
    AutoencoderTransformer,
    ConvAutoencoderTransformer,
    DenoisingAutoencoder,
    VAETransformer,
):
    skl2onnx.update_registered_converter(
        _estimator, f"Skae{_estimator.__name__}", _set_shape_of_codes, _convert_transform
    )
skl2onnx.update_registered_converter(
    _Reconstruction, "SkaeReconstruction", _set_shape_of_reconstructions, _convert_reconstruct
)
