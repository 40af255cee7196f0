"""Times the training of an LSTM language model in Keras on JAX, and prints one JSON line.

    KERAS_BACKEND=jax python keras_lstm.py --steps 3

Embedding of 100, LSTM of 128, softmax over 10,000 words; Adam on batches of 32 texts of 200 tokens.
"""

import argparse
import json
import os
import time

os.environ["KERAS_BACKEND"] = "jax"

import keras
import numpy as np

WORDS, BATCH, LENGTH, EMBEDDED, HIDDEN = 10_000, 32, 200, 100, 128


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--steps", type=int, default=3)
    steps = parser.parse_args().steps
    network = keras.Sequential([
        keras.layers.Input((LENGTH,), dtype="int32"),
        keras.layers.Embedding(WORDS, EMBEDDED),
        keras.layers.LSTM(HIDDEN, return_sequences=True),
        keras.layers.Dense(WORDS),
    ])  # fmt: skip
    network.compile(keras.optimizers.Adam(1e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    tokens = np.random.default_rng(0).integers(0, WORDS, (BATCH, LENGTH + 1)).astype(np.int32)
    x, y = tokens[:, :-1], tokens[:, 1:]
    loss = [network.train_on_batch(x, y) for _ in range(2)][-1]
    start, began = time.perf_counter(), time.process_time()
    for _ in range(steps):
        loss = network.train_on_batch(x, y)
    assert np.isfinite(loss)
    tokens = steps * BATCH * LENGTH
    rate, of_processor = (tokens / (now - then) for now, then in (
        (time.perf_counter(), start), (time.process_time(), began)
    ))  # fmt: skip
    found = {"tokens_per_second": rate, "tokens_per_processor_second": of_processor}
    print(json.dumps(found | {"version": keras.__version__}))


if __name__ == "__main__":
    main()
