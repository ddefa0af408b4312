"""A device that is not the CPU, on a machine that has only a CPU: it refuses what a GPU refuses.

    python tests/far_device.py -k far tests/test_number_systems.py    pytest, with the device there

Tensors of the device ``far`` hold a CPU tensor that no code reaches but by copying it back. As on a GPU, an operation
on tensors of both devices fails unless the CPU's are numbers (0-d) or indices, ``numpy`` fails, and what is created
without a device is on the CPU. Importing this registers the device for the whole process, so tests do it in another.
"""

from __future__ import annotations

import sys

import torch
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

_setup_privateuseone_for_python_backend("far")
torch._C._set_only_lift_cpu_tensors(True)  # torch.tensor(..., device="far") is a copy, which comes here
COPIES = ("_to_copy", "copy_")


class Far(torch.Tensor):
    """A tensor on the device ``far``."""

    @staticmethod
    def __new__(cls, near):
        layout = {"strides": near.stride(), "storage_offset": near.storage_offset(), "dtype": near.dtype}
        return torch.Tensor._make_wrapper_subclass(cls, near.shape, device="far:0", **layout)

    def __init__(self, near):
        self._near = near

    @classmethod
    def __torch_dispatch__(cls, operation, types, args=(), kwargs=None):
        return run(operation, *args, **(kwargs or {}))

    def __repr__(self):
        return repr(self._near)

    def __format__(self, spec):
        return format(self._near, spec)


def run(operation, *args, **kwargs):
    """Run an operation on the CPU tensors behind its arguments; what comes of far tensors is far."""
    name = operation._schema.name.removeprefix("aten::")
    operands = (args[0], args[2:], kwargs) if "index" in name else (args, kwargs)  # indices may be anywhere
    tensors = [value for value in tree_leaves(operands) if isinstance(value, torch.Tensor)]
    far = [isinstance(tensor, Far) for tensor in tensors]
    if any(far) and name not in COPIES and any(t.ndim for t, there in zip(tensors, far, strict=True) if not there):
        raise RuntimeError(f"{name} must have all its tensors on one device")
    there = any(far) if kwargs.get("device") is None else torch.device(kwargs["device"]).type == "far"
    if kwargs.get("device") is not None:
        kwargs["device"] = "cpu"
    args_near, kwargs_near = tree_map(lambda value: value._near if isinstance(value, Far) else value, (args, kwargs))
    out = operation(*args_near, **kwargs_near)
    if name.endswith("_"):
        return args[0]
    return tree_map(lambda value: Far(value) if there and isinstance(value, torch.Tensor) else value, out)


LIBRARY = torch.library.Library("aten", "IMPL")  # other ways to create a tensor end in these two
for _create in (torch.ops.aten.empty_strided.default, torch.ops.aten.empty.memory_format):
    LIBRARY.impl(_create, lambda *args, _create=_create, **kwargs: run(_create, *args, **kwargs), "PrivateUse1")


if __name__ == "__main__":
    import pytest

    sys.exit(pytest.main(["-p", "no:xdist", "-p", "no:cacheprovider", *sys.argv[1:]]))
