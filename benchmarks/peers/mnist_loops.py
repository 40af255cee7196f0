"""Trains the network of `benchmarks/mnist.py` in a plain PyTorch loop, or in Keras; prints one JSON line.

python mnist_loops.py torch|keras FILE.npz
"""

import json
import sys
import time

import numpy as np

GOAL, EPOCHS, BATCH = 0.99, 10, 128


def by_torch(data: dict) -> dict:
    """Train as PyTorch's tutorials do, everything in memory."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    x, test_x = (
        (torch.tensor(data[k]).permute(0, 3, 1, 2).float() / 255 - 0.1307) / 0.3081 for k in ("x", "test_x")
    )
    y, test_y = (torch.tensor(data[k]).long() for k in ("y", "test_y"))
    network = nn.Sequential(
        nn.Conv2d(1, 16, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(1568, 128), nn.ReLU(), nn.Dropout(0.3), nn.Linear(128, 10),
    )  # fmt: skip
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    start, epoch, accuracy = time.perf_counter(), 0, 0.0
    while epoch < EPOCHS:
        epoch += 1
        network.train()
        for rows in torch.randperm(len(x)).split(BATCH):
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(x[rows]), y[rows]).backward()
            optimizer.step()
        network.eval()
        with torch.no_grad():
            hits = sum(
                (network(a).argmax(1) == b).sum().item() for a, b in zip(test_x.split(250), test_y.split(250))
            )
        accuracy = hits / len(test_y)
        if accuracy >= GOAL:
            break
    return {"seconds": time.perf_counter() - start, "epochs": epoch, "accuracy": accuracy, "compiled": 0.0}


def by_keras(data: dict) -> dict:
    """Train by `fit`, an epoch at a time; the first two batches are compiled before the clock starts."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(0)
    x, test_x = ((data[k].astype(np.float32) / 255 - 0.1307) / 0.3081 for k in ("x", "test_x"))
    network = keras.Sequential([
        layers.Input((28, 28, 1)),
        layers.Conv2D(16, 5, padding="same", activation="relu"), layers.MaxPooling2D(2),
        layers.Conv2D(32, 5, padding="same", activation="relu"), layers.MaxPooling2D(2),
        layers.Flatten(), layers.Dense(128, activation="relu"), layers.Dropout(0.3), layers.Dense(10),
    ])  # fmt: skip
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile(optimizer=keras.optimizers.Adam(1e-3), loss=loss, metrics=["accuracy"])
    began = time.perf_counter()
    network.fit(x[: 2 * BATCH], data["y"][: 2 * BATCH], batch_size=BATCH, verbose=0)
    network.evaluate(test_x[:500], data["test_y"][:500], batch_size=250, verbose=0)
    compiled = time.perf_counter() - began
    start, epoch, accuracy = time.perf_counter(), 0, 0.0
    while epoch < EPOCHS:
        epoch += 1
        network.fit(x, data["y"], batch_size=BATCH, verbose=0)
        accuracy = network.evaluate(test_x, data["test_y"], batch_size=250, verbose=0)[1]
        if accuracy >= GOAL:
            break
    return {
        "seconds": time.perf_counter() - start,
        "epochs": epoch,
        "accuracy": accuracy,
        "compiled": compiled,
    }


if __name__ == "__main__":
    print(json.dumps({"torch": by_torch, "keras": by_keras}[sys.argv[1]](dict(np.load(sys.argv[2])))))
