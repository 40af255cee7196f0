"""Times training steps of models that make images, as plain PyTorch loops; prints one JSON line.

    python torch_images.py MODEL [--steps 20] [--threads 2] [--library]

The networks, losses, batches and optimizers are those of populace's recipes (see `benchmarks/images.py`). A
masked convolution leaves out the rows that are masked as a whole: quicker than a masked whole kernel.
With `--library` the VAE is that of pythae around the same networks, and the U-Net is that of diffusers which
comes nearest: the same channels, with one block more at each resolution upwards, and a shortcut by attention
left out.
"""

import argparse
import json
import time

import torch
from torch import nn
from torch.nn import functional as f
from torch_unet import UNet, diffusers_unet

IMAGES = 2048


def grey(rows: torch.Tensor) -> torch.Tensor:
    """Return a batch of images from 0 to 1, (N, 1, 28, 28)."""
    return DATA[rows].float() / 255


def autoencoder():
    """Return the step of the convolutional autoencoder, squared error."""
    net = nn.Sequential(
        nn.Conv2d(1, 16, 3, 2, 1), nn.ReLU(), nn.Conv2d(16, 32, 3, 2, 1), nn.ReLU(),
        nn.Flatten(), nn.Linear(1568, 2),
        nn.Linear(2, 1568), nn.ReLU(), nn.Unflatten(1, (32, 7, 7)),
        nn.ConvTranspose2d(32, 16, 3, 2, 1, 1), nn.ReLU(), nn.ConvTranspose2d(16, 1, 3, 2, 1, 1),
        nn.Sigmoid(),
    )  # fmt: skip
    optimizer = torch.optim.Adam(net.parameters(), 2e-3)

    def step(rows):
        x = grey(rows)
        descend(optimizer, f.mse_loss(net(x), x))

    return step


def vae():
    """Return the step of the dense VAE on pixels drawn black or white."""
    encoder = nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 4))
    decoder = nn.Sequential(nn.Linear(2, 128), nn.ReLU(), nn.Linear(128, 256), nn.ReLU(), nn.Linear(256, 784))
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], 2e-3)

    def step(rows):
        x = torch.bernoulli(grey(rows)).flatten(1)
        mean, log_variance = encoder(x).chunk(2, 1)
        z = mean + torch.exp(log_variance / 2) * torch.randn_like(mean)
        kl = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(1)
        cross = f.binary_cross_entropy_with_logits(decoder(z), x, reduction="none").sum(1)
        descend(optimizer, (cross + kl).mean())

    return step


def pythae_vae():
    """Return the step of pythae's VAE around the same networks."""
    from pythae.models import VAE, VAEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder

    class Encoder(BaseEncoder):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU())
            self.mean, self.log_variance = nn.Linear(128, 2), nn.Linear(128, 2)

        def forward(self, x):
            h = self.body(x.flatten(1))
            return ModelOutput(embedding=self.mean(h), log_covariance=self.log_variance(h))

    class Decoder(BaseDecoder):
        def __init__(self) -> None:
            super().__init__()
            sizes = [nn.Linear(2, 128), nn.ReLU(), nn.Linear(128, 256), nn.ReLU(), nn.Linear(256, 784)]
            self.body = nn.Sequential(*sizes, nn.Sigmoid())

        def forward(self, z):
            return ModelOutput(reconstruction=self.body(z).reshape(-1, 1, 28, 28))

    plan = VAEConfig(input_dim=(1, 28, 28), latent_dim=2, reconstruction_loss="bce")
    net = VAE(plan, Encoder(), Decoder())
    optimizer = torch.optim.Adam(net.parameters(), 2e-3)

    def step(rows):
        descend(optimizer, net({"data": torch.bernoulli(grey(rows))}).loss)

    return step


def gan_networks(norm: bool):
    """Return generator and critic."""
    generator = nn.Sequential(
        nn.Linear(64, 3136, bias=False), nn.Unflatten(1, (64, 7, 7)), nn.BatchNorm2d(64), nn.ReLU(),
        nn.ConvTranspose2d(64, 32, 4, 2, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU(),
        nn.ConvTranspose2d(32, 1, 4, 2, 1), nn.Tanh(),
    )  # fmt: skip
    critic = nn.Sequential(
        nn.Conv2d(1, 16, 4, 2, 1), nn.LeakyReLU(0.2),
        nn.Conv2d(16, 32, 4, 2, 1, bias=not norm), *([nn.BatchNorm2d(32)] if norm else []), nn.LeakyReLU(0.2),
        nn.Flatten(), nn.Linear(1568, 1),
    )  # fmt: skip
    return generator, critic


def dcgan():
    """Return the step of a DCGAN: one of the critic, one of the generator."""
    generator, critic = gan_networks(norm=True)
    first = torch.optim.Adam(generator.parameters(), 1e-3, (0.5, 0.999))
    second = torch.optim.Adam(critic.parameters(), 4e-4, (0.5, 0.999))

    def step(rows):
        real = 2 * grey(rows) - 1
        with torch.no_grad():
            made = generator(torch.randn(len(rows), 64))
        descend(second, (f.softplus(-critic(real)).mean() + f.softplus(critic(made)).mean()) / 2)
        descend(first, f.softplus(-critic(generator(torch.randn(len(rows), 64)))).mean())

    return step


def wgan_gp(critic_steps: int = 3):
    """Return the step of a WGAN-GP: three of the critic, one of the generator."""
    generator, critic = gan_networks(norm=False)
    first = torch.optim.Adam(generator.parameters(), 1e-3, (0.5, 0.9))
    second = torch.optim.Adam(critic.parameters(), 1e-3, (0.5, 0.9))

    def step(rows):
        parts = rows.chunk(critic_steps)
        for part in parts:
            real = 2 * grey(part) - 1
            with torch.no_grad():
                made = generator(torch.randn(len(part), 64))
            alpha = torch.rand(len(part), 1, 1, 1)
            between = (alpha * real + (1 - alpha) * made).requires_grad_()
            (slope,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
            penalty = ((slope.flatten(1).square().sum(1) + 1e-12).sqrt() - 1).square().mean()
            descend(second, critic(made).mean() - critic(real).mean() + 10 * penalty)
        descend(first, -critic(generator(torch.randn(len(parts[0]), 64))).mean())

    return step


class Masked(nn.Module):
    """A convolution of what came before in raster order; rows after the center are left out."""

    def __init__(self, inputs: int, outputs: int, kernel: int, kind: str) -> None:
        super().__init__()
        self.pad = kernel // 2
        self.conv = nn.Conv2d(inputs, outputs, (self.pad + 1, kernel))
        mask = torch.ones_like(self.conv.weight)
        mask[:, :, self.pad, self.pad + (kind == "B") :] = 0
        self.register_buffer("mask", mask)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, inputs, height, width) to (N, outputs, height, width)."""
        x = f.pad(x, (self.pad, self.pad, self.pad, 0)) if self.pad else x
        return f.conv2d(x, self.conv.weight * self.mask, self.conv.bias)


class Gated(nn.Module):
    """A gated residual block of a PixelCNN."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.reduce, self.expand = nn.Conv2d(2 * hidden, hidden, 1), nn.Conv2d(hidden, 2 * hidden, 1)
        self.conv = Masked(hidden, 2 * hidden, 3, "B")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, 2 hidden, height, width) to the same shape."""
        a, b = self.conv(f.relu(self.reduce(f.relu(x)))).chunk(2, 1)
        return x + self.expand(torch.tanh(a) * torch.sigmoid(b))


def pixelcnn(blocks: int = 7, hidden: int = 16):
    """Return the step of a gated PixelCNN on pixels drawn black or white."""
    wide = 2 * hidden
    net = nn.Sequential(
        Masked(1, wide, 7, "A"), *(Gated(hidden) for _ in range(blocks)),
        nn.ReLU(), nn.Conv2d(wide, wide, 1), nn.ReLU(), nn.Conv2d(wide, 2, 1),
    )  # fmt: skip
    optimizer = torch.optim.Adam(net.parameters(), 2e-3)

    def step(rows):
        x = torch.bernoulli(grey(rows))
        loss = f.cross_entropy(net(2 * x - 1), x[:, 0].long(), reduction="none").sum((1, 2)).mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()

    return step


def unet(own: nn.Module | None = None):
    """Return the step of a diffusion model: v prediction, cosine schedule, average of the weights."""
    net: nn.Module = UNet() if own is None else own
    steps = 1000
    average = [p.detach().clone() for p in net.parameters()]
    share = (torch.arange(steps + 1) / steps + 0.008) / 1.008 * torch.pi / 2
    cumulative = (share.cos() ** 2 / share[0].cos() ** 2).clamp(1e-8, 1)
    optimizer = torch.optim.Adam(net.parameters(), 2e-3)

    def step(rows):
        x, t = 2 * grey(rows) - 1, torch.randint(1, steps + 1, (len(rows),))
        signal, noise = (
            part[:, None, None, None] for part in (cumulative[t].sqrt(), (1 - cumulative[t]).sqrt())
        )
        eps = torch.randn_like(x)
        told = f.one_hot(LABELS[rows], 10).float() * (torch.rand(len(rows), 1) >= 0.1)
        out = net(signal * x + noise * eps, t.float(), told)
        loss = f.mse_loss(out, signal * eps - noise * x)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        torch._foreach_lerp_(average, [p.detach() for p in net.parameters()], 0.005)

    return step


def descend(optimizer: torch.optim.Optimizer, loss: torch.Tensor) -> None:
    """Take a gradient step."""
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


MODELS = {
    "autoencoder": (autoencoder, 128), "vae": (vae, 128), "dcgan": (dcgan, 64), "wgan-gp": (wgan_gp, 192),
    "pixelcnn": (pixelcnn, 64), "diffusion": (unet, 64),
}  # fmt: skip
LIBRARIES = {"vae": pythae_vae, "diffusion": lambda: unet(diffusers_unet())}
DATA = torch.randint(0, 256, (IMAGES, 1, 28, 28), dtype=torch.uint8)
LABELS = torch.randint(0, 10, (IMAGES,))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model", choices=tuple(MODELS))
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--library", action="store_true", help="pythae's VAE, or the U-Net of diffusers")
    args = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(args.threads)
    make, batch = MODELS[args.model]
    step = LIBRARIES[args.model]() if args.library else make()

    def some(count: int) -> None:
        for _ in range(count):
            step(torch.randint(0, IMAGES, (batch,)))

    some(3)
    began, busy = time.perf_counter(), time.process_time()
    some(args.steps)
    seconds, busy = time.perf_counter() - began, time.process_time() - busy
    print(
        json.dumps(
            {"seconds": seconds / args.steps, "processor": busy / args.steps, "version": torch.__version__}
        )
    )


if __name__ == "__main__":
    main()
