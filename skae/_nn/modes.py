"""Modes of torch on which the results of a library should not depend."""

from contextlib import ExitStack, contextmanager

import torch


@contextmanager
def without_ambient_state():
    """Context manager in which gradients are enabled, and inference mode and autocast disabled.

    The modes that the caller has set in this thread are restored afterwards.
    """
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        for device_type in ("cpu", "cuda"):
            if torch.is_autocast_enabled(device_type):
                stack.enter_context(torch.autocast(device_type, enabled=False))
        yield
