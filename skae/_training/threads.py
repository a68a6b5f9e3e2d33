"""The number of threads that a fit computes with."""

from contextlib import nullcontext

import torch
from torch import nn

from skae._threads import openmp_threads

# Products of weights and values in the forward pass of a batch, for each thread. With fewer, a
# second thread takes off a quarter of the time of a fit on an idle processor. On a busy one, where
# threads wait for each other at each layer, a fit takes many times as long.
PRODUCTS_PER_THREAD = 2.5e7


def suitable_threads(module, n_features, device, batch_size):
    """Context manager in which this thread computes with as many threads as a batch has work for.

    There are never more than before, and afterwards, there are as many as before.

    Parameters
    ----------
    module : skae._nn.autoencoder.Autoencoder
        Network.
    n_features : int
        Number of features of its input.
    device : torch.device
        Its device. Nothing changes unless it is the CPU.
    batch_size : int
        Number of samples of a gradient step.
    """
    most = torch.get_num_threads()
    if device.type != "cpu" or most == 1:
        return nullcontext()
    n_products = batch_size * products_per_sample(module, n_features)
    return openmp_threads(min(most, max(1, int(n_products / PRODUCTS_PER_THREAD))))


def products_per_sample(module, n_features):
    """Number of products of a weight and a value, by which a sample is encoded and decoded.

    Those of layers with a matrix of weights are counted: fully connected and convolutional ones.
    """
    linear = (module.encoder.linear, module.decoder.linear)  # which are not called as modules
    n_samples, n_products = 2, sum(path.weight.numel() for path in linear if path is not None)

    def count(layer, inputs, outputs):
        nonlocal n_products
        weight = getattr(layer, "weight", None)
        if isinstance(weight, nn.Parameter) and weight.ndim > 1:
            values = inputs[0] if getattr(layer, "transposed", False) else outputs
            n_products += values.numel() * weight[0].numel() // n_samples

    hooks = [layer.register_forward_hook(count) for layer in module.modules()]
    is_training = module.training
    try:
        with torch.no_grad():
            module.eval()
            module.decode(module.encode(torch.zeros(n_samples, n_features)))
    finally:
        module.train(is_training)
        for hook in hooks:
            hook.remove()
    return n_products
