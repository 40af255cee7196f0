"""Times neuralforecast's own loop over models, NLinear or LSTM, and prints one JSON line.

`NeuralForecast(models).fit(frame)` trains one model after the other; every model is one member with a seed of
its own. A step takes so many windows at random from the windows of all series.

Run it with the interpreter of an environment holding neuralforecast:

    python -W ignore neuralforecast_loop.py --kind lstm --data series.npy --members 20 --steps 100
"""

import argparse
import json
import logging
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd
import torch
from forecaster_training import Clock, arguments
from neuralforecast import NeuralForecast
from neuralforecast.losses.pytorch import MSE
from neuralforecast.models import LSTM, NLinear


def models(args: argparse.Namespace, series: int, members: int, steps: int) -> list[Any]:
    """Return the members, with logs, checkpoints and validation left out."""
    common = {
        "h": args.horizon, "input_size": args.window, "max_steps": steps, "learning_rate": args.rate,
        "batch_size": series, "windows_batch_size": args.batch, "loss": MSE(), "scaler_type": "identity",
        "logger": False, "enable_checkpointing": False, "enable_progress_bar": False,
        "enable_model_summary": False, "accelerator": "cpu",
    }  # fmt: skip
    if args.kind == "lstm":
        common |= {"encoder_n_layers": 1, "encoder_hidden_size": args.hidden, "decoder_layers": 1}
    make = NLinear if args.kind == "linear" else LSTM
    return [make(random_seed=seed + 1, alias=f"member{seed}", **common) for seed in range(members)]


def main() -> None:
    args = arguments(__doc__).parse_args()
    torch.set_num_threads(1)  # quicker than two for networks of this size
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    values = np.load(args.data)
    count, length = values.shape
    frame = pd.DataFrame(
        {
            "unique_id": np.repeat(np.arange(count), length),
            "ds": np.tile(np.arange(length), count),
            "y": values.ravel(),
        }
    )
    NeuralForecast(models(args, count, 1, 5), freq=1).fit(frame)
    clock = Clock()
    NeuralForecast(models(args, count, args.members, args.steps), freq=1).fit(frame)
    found = {
        **clock.per_step(args),
        "version": version("neuralforecast"),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
