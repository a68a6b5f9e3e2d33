"""How a fit uses the processor: the number of threads, and the precision of products."""

from contextlib import nullcontext

import torch
from torch import nn

from skae._compat import cpu_capabilities
from skae._threads import openmp_threads

# Products of weights and values in the forward pass of a batch, for each thread. With fewer, a
# second thread takes off a quarter of the time of a fit on an idle processor. On a busy one, where
# threads wait for each other at each layer, a fit takes many times as long.
PRODUCTS_PER_THREAD = 2.5e7
# With fewer features than these, training in bfloat16 increases the error: rounding errors of few
# inputs do not average out. With fewer products in a batch, its conversions take what it saves.
BFLOAT16_FEATURES, BFLOAT16_PRODUCTS = 256, 1e7
# Instruction sets that multiply bfloat16 values at least twice as fast as float32 values.
BFLOAT16_INSTRUCTIONS = ("avx512_bf16", "amx_bf16")


def suitable_threads(device, n_products):
    """Context manager in which this thread computes with as many threads as a batch has work for.

    There are never more than before, and afterwards, there are as many as before.

    Parameters
    ----------
    device : torch.device
        Device. Nothing changes unless it is the CPU.
    n_products : int
        Number of products in the forward pass of a batch; see :func:`products_per_sample`.
    """
    most = torch.get_num_threads()
    if device.type != "cpu" or most == 1:
        return nullcontext()
    return openmp_threads(min(most, max(1, int(n_products / PRODUCTS_PER_THREAD))))


def suitable_dtype(device, n_features, n_products):
    """Dtype for the products of the residual paths in training: bfloat16 or float32.

    It is bfloat16 if the processor has instructions for it and the samples have many features.
    The weights, their updates and the linear paths remain in float32, and so does all that is
    computed after training. This is mixed-precision training [1]_.

    Parameters
    ----------
    device : torch.device
        Device.
    n_features : int
        Number of features.
    n_products : int
        Number of products in the forward pass of a batch; see :func:`products_per_sample`.

    References
    ----------
    .. [1] Kalamkar et al. (2019). A study of BFLOAT16 for deep learning training. arXiv:1905.12322.
    """
    is_fast = device.type == "cpu" and any(map(cpu_capabilities().get, BFLOAT16_INSTRUCTIONS))
    is_wide = n_features >= BFLOAT16_FEATURES and n_products >= BFLOAT16_PRODUCTS
    return torch.bfloat16 if is_fast and is_wide else torch.float32


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
            zeros = next(module.parameters()).new_zeros(n_samples, n_features)
            module.decode(module.encode(zeros))
    finally:
        module.train(is_training)
        for hook in hooks:
            hook.remove()
    return n_products
