"""Make `reference.npz`: weights, inputs and outputs of small layers of PyTorch. Tests read the file alone.

python3.11 -m venv torchvenv && torchvenv/bin/pip install torch==2.13.0+cpu numpy
torchvenv/bin/python tests/nn/pytorch/make.py
"""

import json
from pathlib import Path

import numpy as np
import torch
from torch import nn


def cnn() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(2, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(3, 4, 2),
        nn.ReLU(), nn.Flatten(), nn.Linear(4 * 2 * 1, 5), nn.ReLU(), nn.Linear(5, 2),
    )  # fmt: skip


LAYERS = {
    "dense": (lambda: nn.Linear(3, 4), (2, 3)),
    "dense_no_bias": (lambda: nn.Linear(3, 4, bias=False), (2, 3)),
    "conv1d": (lambda: nn.Conv1d(2, 3, 3, stride=2, dilation=2, padding=1), (1, 2, 9)),
    "conv2d": (lambda: nn.Conv2d(4, 6, (3, 2), groups=2, padding=(1, 0)), (1, 4, 5, 4)),
    "conv3d": (lambda: nn.Conv3d(1, 2, 2, bias=False), (1, 1, 3, 3, 2)),
    "transposed1d": (lambda: nn.ConvTranspose1d(4, 6, 3, stride=2, groups=2), (1, 4, 3)),
    "transposed2d": (lambda: nn.ConvTranspose2d(2, 3, 3, stride=2, padding=1), (1, 2, 3, 3)),
    "batch_norm": (lambda: nn.BatchNorm1d(3), (4, 3)),
    "batch_norm_plain": (lambda: nn.BatchNorm1d(3, affine=False), (4, 3)),
    "layer_norm": (lambda: nn.LayerNorm(5), (2, 5)),
    "group_norm": (lambda: nn.GroupNorm(2, 4), (1, 4, 3)),
    "rms_norm": (lambda: nn.RMSNorm(5, eps=1e-5), (2, 5)),
    "rnn": (lambda: nn.RNN(3, 4), (5, 3)),
    "lstm": (lambda: nn.LSTM(3, 4, num_layers=2, bidirectional=True), (5, 3)),
    "lstm_no_bias": (lambda: nn.LSTM(3, 4, bias=False), (5, 3)),
    "gru": (lambda: nn.GRU(3, 4, num_layers=2, bidirectional=True), (5, 3)),
    "cnn": (cnn, (3, 2, 6, 4)),
}


def main() -> None:
    torch.manual_seed(0)
    arrays: dict[str, np.ndarray] = {}
    for name, (make, shape) in LAYERS.items():
        layer, x = make(), torch.randn(*shape)
        shaken(layer)
        if any(isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d) for part in layer.modules()):
            for _ in range(3):
                layer(torch.randn(*shape) * 2 + 1)  # moves the running statistics
        y = layer.eval()(x)
        keep(arrays, name, layer, {"x": x, "y": y[0] if isinstance(y, tuple) else y})

    layer = nn.Embedding(6, 3)
    index = torch.tensor([4, 0, 5])
    keep(arrays, "embedding", layer, {"x": index, "y": layer(index)})

    query, other, third = torch.randn(3, 8), torch.randn(4, 6), torch.randn(4, 5)
    layer = shaken(nn.MultiheadAttention(8, 2))
    keep(arrays, "attention", layer, {"x": query, "y": layer(query, query, query)[0]})
    layer = shaken(nn.MultiheadAttention(8, 2, kdim=6, vdim=5))
    inputs = {"x": query, "k": other, "v": third}
    keep(arrays, "attention_widths", layer, inputs | {"y": layer(query, other, third)[0]})
    layer = shaken(nn.MultiheadAttention(8, 4, bias=False))
    keep(arrays, "attention_no_bias", layer, {"x": query, "y": layer(query, query, query)[0]})

    # Weights alone: what is refused.
    keep(arrays, "projected_lstm", nn.LSTM(3, 4, proj_size=2), {})
    keep(arrays, "attention_with_bias_k", nn.MultiheadAttention(8, 2, add_bias_kv=True), {})
    # As one array and a table of shapes: a hundred small files in a zip would take four times the room.
    shapes = json.dumps({key: x.shape for key, x in arrays.items()})
    values = np.concatenate([x.ravel() for x in arrays.values()]).astype(np.float32)
    np.savez_compressed(Path(__file__).with_name("reference.npz"), shapes=shapes, values=values)


def shaken(layer: nn.Module) -> nn.Module:
    """Give all weights values of their own: PyTorch begins many of them with zeros and ones."""
    with torch.no_grad():
        for p in layer.parameters():
            p.copy_(torch.randn_like(p) * 0.5)
    return layer


def keep(arrays: dict[str, np.ndarray], name: str, layer: nn.Module, values: dict[str, torch.Tensor]) -> None:
    for key, tensor in layer.state_dict().items():
        if tensor.ndim:  # not `num_batches_tracked`
            arrays[f"{name}/state/{key}"] = tensor.numpy()
    for key, tensor in values.items():
        arrays[f"{name}/{key}"] = tensor.detach().numpy()


if __name__ == "__main__":
    main()
