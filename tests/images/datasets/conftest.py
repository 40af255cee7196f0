"""Where the loaders look while they are tested, and a CIFAR-10 of 120 pictures."""

import importlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from populace.data import download
from populace.images.datasets import cifar_batch, registry
from tests.images.datasets.files import Batches

cifar10 = importlib.import_module("populace.images.datasets.cifar")  # the module, not its function


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty folder that POPULACE_DATA names, an empty cache, and no network."""
    folder = tmp_path / "given"
    folder.mkdir()
    monkeypatch.setenv("POPULACE_DATA", str(folder))
    monkeypatch.setenv("POPULACE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(download, "PAUSE", 0.0)
    monkeypatch.setattr(registry, "_MNIST_MIRRORS", ("http://127.0.0.1:9/",))
    archive = replace(cifar10._ARCHIVE, urls=("http://127.0.0.1:9/cifar-10-binary.tar.gz",))
    monkeypatch.setattr(cifar10, "_ARCHIVE", archive)
    return folder


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> Batches:
    """Six batches of 20 pictures instead of 10,000, every class equally often in training and in test."""
    monkeypatch.setattr(cifar_batch, "_BATCH", 20)
    rng = np.random.default_rng(1)
    labels = np.concatenate(
        [rng.permutation(np.repeat(np.arange(10), 10)), rng.permutation(np.arange(20) % 10)]
    )
    pictures = rng.integers(0, 256, (120, 32, 32, 3), np.uint8)
    names = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]
    return {
        name: (pictures[20 * i : 20 * i + 20], labels[20 * i : 20 * i + 20]) for i, name in enumerate(names)
    }
