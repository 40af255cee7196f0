"""Makes reference.npz by diffusers 0.42.1 and PyTorch 2.13.0, in an environment that has both:

python tests/images/diffusion/make.py
"""

from pathlib import Path

import numpy as np
import torch  # pyright: ignore[reportMissingImports]
from diffusers import DDIMScheduler, DDPMScheduler  # pyright: ignore[reportMissingImports]

COSINE = {"num_train_timesteps": 1_000, "beta_schedule": "squaredcos_cap_v2"}
PREDICTIONS = {"eps": "epsilon", "x0": "sample", "v": "v_prediction"}


def model(x, t):
    """Return what stands in for a network's output."""
    return torch.tanh(0.7 * x + 0.001 * t)


def line(first: float, last: float):
    """Return twelve numbers, as an image of 3 x 4 pixels."""
    return torch.linspace(first, last, 12, dtype=torch.float64).reshape(1, 1, 3, 4)


def main() -> None:
    """Write every 37th number of the schedules, ten steps of DDIM, and one with half of the noise."""
    out = {}
    for name, kind in (("linear", "linear"), ("cosine", "squaredcos_cap_v2")):
        schedule = DDPMScheduler(num_train_timesteps=1_000, beta_schedule=kind)
        out[f"{name}_betas"] = schedule.betas.numpy()[::37]
        out[f"{name}_alphas_cumprod"] = schedule.alphas_cumprod.numpy()[::37]
    for name, kind in PREDICTIONS.items():
        how = COSINE | {"prediction_type": kind, "clip_sample": True, "timestep_spacing": "trailing"}
        ddim = DDIMScheduler(**how)
        ddim.set_timesteps(10)
        out["timesteps"], x = np.asarray(ddim.timesteps), line(-2, 2)
        for t in ddim.timesteps:
            x = ddim.step(model(x, t), t, x, eta=0.0, use_clipped_model_output=True).prev_sample
        out[f"ddim_{name}"] = x.numpy()
        t, start = ddim.timesteps[3], line(-2, 2)
        how = {"eta": 0.5, "use_clipped_model_output": True, "variance_noise": line(1, -1)}
        out[f"noisy_{name}"] = ddim.step(model(start, t), t, start, **how).prev_sample.numpy()
    np.savez(Path(__file__).with_name("reference.npz"), **out)


if __name__ == "__main__":
    main()
