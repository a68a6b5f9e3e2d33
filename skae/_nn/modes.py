"""Modes of torch that a library must not depend on."""

from contextlib import ExitStack, contextmanager

import torch


@contextmanager
def without_ambient_state():
    """Turn gradients on and automatic casting off meanwhile, whatever the caller's thread has set of torch."""
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        for device_type in ("cpu", "cuda"):
            if torch.is_autocast_enabled(device_type):
                stack.enter_context(torch.autocast(device_type, enabled=False))
        yield
