"""Times training steps of models that make images by Keras's `fit` on JAX; prints one JSON line.

    python keras_images.py MODEL [--steps 20]

The networks, losses, batches and optimizers are those of populace's recipes (see `benchmarks/images.py`);
the U-Net's weights are not averaged.
"""

import argparse
import json
import os
import time

os.environ["KERAS_BACKEND"] = "jax"

import keras
import numpy as np
from keras import layers, ops

IMAGES, NOISE_LEVELS = 2048, 1000


def autoencoder() -> keras.Model:
    """Return the convolutional autoencoder."""
    net = keras.Sequential([
        layers.Input((28, 28, 1)), layers.Rescaling(1 / 255),
        layers.Conv2D(16, 3, 2, "same", activation="relu"),
        layers.Conv2D(32, 3, 2, "same", activation="relu"),
        layers.Flatten(), layers.Dense(2), layers.Dense(1568, activation="relu"), layers.Reshape((7, 7, 32)),
        layers.Conv2DTranspose(16, 3, 2, "same", activation="relu"),
        layers.Conv2DTranspose(1, 3, 2, "same", activation="sigmoid"),
    ])  # fmt: skip
    net.compile(keras.optimizers.Adam(2e-3), lambda y, out: ops.mean((y / 255 - out) ** 2))
    return net


class VAE(keras.Model):
    """The dense VAE on pixels drawn black or white."""

    def __init__(self) -> None:
        super().__init__()
        self.draws = keras.random.SeedGenerator(0)
        sizes = [layers.Dense(n, activation="relu") for n in (256, 128)]
        self.encoder = keras.Sequential([layers.Flatten(), *sizes, layers.Dense(4)])
        sizes = [layers.Dense(n, activation="relu") for n in (128, 256)]
        self.decoder = keras.Sequential([*sizes, layers.Dense(784)])

    def call(self, x):
        """Return pixels, logits, and mean and log-variance of the latent, side by side."""
        x = ops.cast(x, "float32") / 255
        x = ops.cast(keras.random.uniform(ops.shape(x), seed=self.draws) < x, "float32")
        mean, log_variance = ops.split(self.encoder(x), 2, -1)
        z = mean + ops.exp(log_variance / 2) * keras.random.normal(ops.shape(mean), seed=self.draws)
        return ops.concatenate([ops.reshape(x, (-1, 784)), self.decoder(z), mean, log_variance], -1)


def vae() -> keras.Model:
    """Return the VAE with its loss."""

    def loss(y, out):
        x, logits, mean, log_variance = ops.split(out, [784, 1568, 1570], -1)
        cross = ops.sum(ops.softplus(logits) - x * logits, -1)
        return cross + 0.5 * ops.sum(mean**2 + ops.exp(log_variance) - 1 - log_variance, -1)

    net = VAE()
    net.compile(keras.optimizers.Adam(2e-3), loss)
    return net


class Masked(layers.Layer):
    """A convolution of what came before in raster order; rows after the center are left out."""

    def __init__(self, outputs: int, kernel: int, kind: str) -> None:
        super().__init__()
        self.outputs, self.kernel_size, self.kind = outputs, kernel, kind

    def build(self, shape):
        """Make weight and mask."""
        half = self.kernel_size // 2
        size = (half + 1, self.kernel_size, shape[-1], self.outputs)
        self.weight, self.bias = self.add_weight(shape=size), self.add_weight(shape=(self.outputs,))
        self.mask = np.ones(size, np.float32)
        self.mask[half, half + (self.kind == "B") :] = 0

    def call(self, x):
        """Map (N, height, width, inputs) to (N, height, width, outputs)."""
        half = self.kernel_size // 2
        x = ops.pad(x, [(0, 0), (half, 0), (half, half), (0, 0)])
        return ops.conv(x, self.weight * self.mask, padding="valid") + self.bias


class PixelCNN(keras.Model):
    """A gated PixelCNN of 7 blocks and 16 channels."""

    def __init__(self, blocks: int = 7, hidden: int = 16) -> None:
        super().__init__()
        self.draws = keras.random.SeedGenerator(0)
        self.enter = Masked(2 * hidden, 7, "A")
        self.parts = [
            (layers.Conv2D(hidden, 1), Masked(2 * hidden, 3, "B"), layers.Conv2D(2 * hidden, 1))
            for _ in range(blocks)
        ]
        self.all = [layer for part in self.parts for layer in part]
        self.mix, self.leave = layers.Conv2D(2 * hidden, 1), layers.Conv2D(2, 1)

    def call(self, x):
        """Return pixels and logits, (N, 28, 28, 3)."""
        x = ops.cast(x, "float32") / 255
        x = ops.cast(keras.random.uniform(ops.shape(x), seed=self.draws) < x, "float32")
        h = self.enter(2 * x - 1)
        for reduce, conv, expand in self.parts:
            a, b = ops.split(conv(ops.relu(reduce(ops.relu(h)))), 2, -1)
            h = h + expand(ops.tanh(a) * ops.sigmoid(b))
        return ops.concatenate([x, self.leave(ops.relu(self.mix(ops.relu(h))))], -1)


def pixelcnn() -> keras.Model:
    """Return the PixelCNN with its loss."""

    def loss(y, out):
        chosen = ops.where(out[..., 0] > 0, out[..., 2], out[..., 1])
        return ops.sum(ops.logaddexp(out[..., 1], out[..., 2]) - chosen, (1, 2))

    net = PixelCNN()
    net.compile(keras.optimizers.Adam(2e-3, global_clipnorm=1.0), loss)
    return net


def block(x, c, outputs: int, groups: int):
    """Return a residual block of x that is told c."""
    h = layers.Conv2D(outputs, 3, padding="same")(ops.silu(layers.GroupNormalization(groups)(x)))
    h = h + layers.Reshape((1, 1, outputs))(layers.Dense(outputs)(c))
    h = layers.Conv2D(outputs, 3, padding="same")(ops.silu(layers.GroupNormalization(groups)(h)))
    return h + (x if x.shape[-1] == outputs else layers.Conv2D(outputs, 1)(x))


class Diffusion(keras.Model):
    """A diffusion model that predicts v, with the U-Net of the recipe `diffusion`."""

    def __init__(self, a: int = 16, b: int = 32, groups: int = 4) -> None:
        super().__init__()
        self.draws = keras.random.SeedGenerator(0)
        share = (np.arange(NOISE_LEVELS + 1) / NOISE_LEVELS + 0.008) / 1.008 * np.pi / 2
        self.kept = np.clip((np.cos(share) / np.cos(share[0])) ** 2, 1e-8, 1).astype(np.float32)
        x, t, told = layers.Input((28, 28, 1)), layers.Input(()), layers.Input((10,))
        angles = t[:, None] * np.exp(-np.log(1e4) * np.arange(a) / a).astype(np.float32)
        c = layers.Dense(4 * a, activation="silu")(ops.concatenate([ops.sin(angles), ops.cos(angles)], -1))
        c = ops.silu(layers.Dense(4 * a)(c) + layers.Dense(4 * a, use_bias=False)(told))
        first = block(layers.Conv2D(a, 3, padding="same")(x), c, a, groups)
        second = block(layers.Conv2D(b, 3, 2, "same")(first), c, b, groups)
        h = block(block(second, c, b, groups), c, b, groups)
        h = block(ops.concatenate([h, second], -1), c, b, groups)
        h = layers.Conv2D(a, 3, padding="same")(layers.UpSampling2D(2)(h))
        h = block(ops.concatenate([h, first], -1), c, a, groups)
        h = layers.Conv2D(1, 3, padding="same")(ops.silu(layers.GroupNormalization(groups)(h)))
        self.net = keras.Model([x, t, told], h)

    def call(self, given):
        """Return the error of every pixel."""
        x, label = 2 * ops.cast(given[0], "float32") / 255 - 1, given[1]
        n = ops.shape(x)[0]
        t = keras.random.randint((n,), 1, NOISE_LEVELS + 1, seed=self.draws)
        kept = ops.take(ops.convert_to_tensor(self.kept), t)[:, None, None, None]
        signal, noise = ops.sqrt(kept), ops.sqrt(1 - kept)
        eps = keras.random.normal(ops.shape(x), seed=self.draws)
        told = ops.one_hot(label, 10) * ops.cast(
            keras.random.uniform((n, 1), seed=self.draws) >= 0.1, "float32"
        )
        out = self.net([signal * x + noise * eps, ops.cast(t, "float32"), told])
        return out - (signal * eps - noise * x)


def diffusion() -> keras.Model:
    """Return the diffusion model with its loss."""
    net = Diffusion()
    net.compile(keras.optimizers.Adam(2e-3, global_clipnorm=1.0), lambda y, error: ops.mean(error**2))
    return net


MODELS = {
    "autoencoder": (autoencoder, 128), "vae": (vae, 128),
    "pixelcnn": (pixelcnn, 64), "diffusion": (diffusion, 64),
}  # fmt: skip


class Clock(keras.callbacks.Callback):
    """Takes the time after some untimed steps, and at the end."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self.after, self.marks = after, []

    def on_train_batch_end(self, batch, logs=None):
        """Take the time after the step that is the last untimed one."""
        if batch + 1 == self.after:
            self.marks.append((time.perf_counter(), time.process_time()))

    def on_epoch_end(self, epoch, logs=None):
        """Take the time."""
        self.marks.append((time.perf_counter(), time.process_time()))


def main() -> None:
    """Train one epoch of so many steps."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model", choices=tuple(MODELS))
    parser.add_argument("--steps", type=int, default=20)
    args = parser.parse_args()
    make, batch = MODELS[args.model]
    draws, before = np.random.default_rng(0), 3
    rows = draws.integers(0, IMAGES, (args.steps + before) * batch)
    x = draws.integers(0, 256, (IMAGES, 28, 28, 1)).astype(np.uint8)[rows]
    label, clock = draws.integers(0, 10, IMAGES)[rows], Clock(before)
    inputs = [x, label] if args.model == "diffusion" else x
    make().fit(
        inputs, x.astype(np.float32), batch_size=batch, epochs=1, verbose=0, callbacks=[clock], shuffle=False
    )
    (began, busy), (ended, after) = clock.marks
    steps = args.steps
    print(json.dumps({
        "seconds": (ended - began) / steps, "processor": (after - busy) / steps, "version": keras.__version__
    }))  # fmt: skip


if __name__ == "__main__":
    main()
