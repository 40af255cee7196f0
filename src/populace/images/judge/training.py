"""How a judge comes about: trained once by the machinery of any run, kept in the cache, checked by hash."""

import hashlib
import json
import logging
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from populace.core.errors import RunError, UsageError
from populace.core.files import cache_dir, whole, write
from populace.core.population import sweep
from populace.data.example_files import ExampleFiles
from populace.images.classification.classifier import ImageClassifier
from populace.images.classification.networks import CNN
from populace.images.judge.judge import Judge
from populace.optim.schedules import Cosine
from populace.runs.trained_member import Trained, load_trained
from populace.runs.training.launch import train
from populace.supervised.data import Data

VERSION = 1
"""Of what a judge is: those that were kept by another are not looked at."""
STEPS = 1_500
EPOCHS = 60
"""A judge is trained for so many steps, or so many epochs where that is less."""
_FILE = "judge.json"
_SCALED_BY = 10_000  # training images that the scale of the features is taken from
_LOG = logging.getLogger(__name__)


def judge_of(data: Data) -> Judge:
    """Return the judge of labeled images: the kept one, or a new one, which takes about a minute.

    It lies in `judges/` of the cache folder, under a digest of the data. What a kept one holds is compared
    with the hash that was written down when it was made.

    Raises:
        UsageError: images without labels, or in files.
        RunError: the kept one was changed or damaged, or a new one cannot be written.

    """
    folder = cache_dir() / "judges" / f"{VERSION}-{digest(data)[:24]}"
    if not (folder / _FILE).is_file():
        _LOG.info("training a judge of the images; it is kept in %s", folder)
        _make(data, folder)
    return _kept(folder)


def train_judge(data: Data, steps: int = STEPS, seed: int = 0) -> Judge:
    """Return a new judge, trained on the training part of labeled images; `judge_of` also keeps it.

    It takes `steps`, or 60 epochs where these are fewer.

    Raises:
        UsageError: images without labels, or in files.

    """
    trained, accuracy = trained_classifier(data, steps, seed)
    return _judge(trained, accuracy).with_scale(real_images(data, "train"))


def trained_classifier(data: Data, steps: int, seed: int = 0) -> tuple[Trained, float]:
    """Return a small convolutional classifier trained on data, and its accuracy on their test part."""
    check_labeled(data)
    batch = min(128, len(data.train))
    steps = min(steps, EPOCHS * -(-len(data.train) // batch))
    learner = ImageClassifier(
        data=_standardized(data),
        shift=2 if min(data.shape[:2]) >= 16 else 1,
        batch_size=batch,
        learning_rate=2e-3,
        weight_decay=0.01,
        network=CNN(channels=(16, 32), kernel=5, hidden_sizes=(64,), dropout=0.3),
        schedule=Cosine(steps=steps, warmup=min(100, steps // 10)),
    )
    with tempfile.TemporaryDirectory(prefix="populace-judge-") as folder:
        run = train(
            sweep(learner, seeds=[seed]), steps, out=Path(folder) / "run", name="judge", strategy="map",
            evaluate_every=max(1, steps // 4), log_every=max(1, steps // 4),
        )  # fmt: skip
        return run.best(), float(run.results()["members"][0]["test"]["score"])


def check_labeled(data: Data) -> None:
    """Raise a `UsageError` for data that no classifier can be trained on."""
    if data.y.ndim != 1:
        raise UsageError("a judge is a classifier of the real images, and these have no labels; give judge=")
    if isinstance(data.x, ExampleFiles):
        raise UsageError("a judge cannot be trained on images in files; load them, or give judge=")
    if data.outputs < 2 or len(data.shape) != 3:
        raise UsageError(
            f"a judge needs images (height, width, channels) of two classes or more, got {data.outputs} "
            f"of shape {data.shape}"
        )


def digest(data: Data) -> str:
    """Return a SHA-256 of the images, labels and parts of data."""
    found = hashlib.sha256()
    for name in ("x", "y", "origin", "train", "validation", "test_x", "test_y"):
        if (value := getattr(data, name)) is not None:
            array = np.ascontiguousarray(value)
            found.update(f"{name}{array.dtype}{array.shape}".encode())
            found.update(array.reshape(-1).view(np.uint8).data)
    found.update(repr(data.names).encode())
    return found.hexdigest()


def real_images(data: Data, part: str, most: int = _SCALED_BY) -> np.ndarray:
    """Return the first images of a part, as float32 from 0 to 1."""
    _, _, rows = data.part(part)
    x = np.asarray(data.part(part)[0])[np.asarray(rows)[:most]]
    whole = 255.0 if data.x.dtype == np.uint8 else 1.0
    return (x.astype(np.float32) + np.float32(data.origin)) / np.float32(whole)


def _standardized(data: Data) -> Data:
    """Return the same parts of the same images, centered channel by channel."""
    parts = {which: data.examples(which) for which in ("train", "validation", "test")}
    validation: Any = parts["validation"] if data.called("validation") == "validation" else 0
    return Data.from_classes(
        *parts["train"], validation=validation, standardize="channel", names=data.names,
        test=parts["test"] if data.called("test") == "test" else None, classes=data.outputs,
    )  # fmt: skip


def _judge(trained: Trained, accuracy: float, scale: float = 1.0) -> Judge:
    learner: Any = trained.learner
    return Judge.of(trained.model, learner.data, accuracy, scale)


def _make(data: Data, folder: Path) -> None:
    """Train a judge and move it to its place, where another process may have put one meanwhile."""
    trained, accuracy = trained_classifier(data, STEPS)
    judge = _judge(trained, accuracy).with_scale(real_images(data, "train"))
    note = {"sha256": judge.sha256, "accuracy": accuracy, "scale": float(judge.scale), "version": VERSION}
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with whole(folder) as aside:
            trained.save(aside)
            write(aside / _FILE, json.dumps(note, indent=1))
    except OSError as error:
        if (folder / _FILE).is_file():
            return  # another process was quicker
        raise RunError(
            f"cannot keep the judge in '{folder}': {error.strerror or error}; "
            "set POPULACE_CACHE to a folder that can be written"
        ) from None


def _kept(folder: Path) -> Judge:
    damaged = RunError(f"the judge in '{folder}' was changed or damaged; delete that folder to make it anew")
    try:
        note = json.loads((folder / _FILE).read_text(encoding="utf-8"))
        trained = load_trained(folder)
        judge = _judge(trained, note["accuracy"], note["scale"])
        as_made = judge.sha256 == note["sha256"]
    except (OSError, ValueError, LookupError, TypeError, UsageError):
        raise damaged from None
    if not as_made:
        raise damaged
    return judge
