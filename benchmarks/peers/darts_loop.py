"""Times darts models, NLinear or LSTM, fitted one after the other, and prints one JSON line.

Every member is a model with a seed of its own, fitted by its `fit`; epochs end at the number of steps.

Run it with the interpreter of an environment holding darts and PyTorch:

    python -W ignore darts_loop.py --kind lstm --data series.npy --members 20 --steps 100
"""

import argparse
import json
import logging
from typing import Any

import darts
import numpy as np
import torch
from darts import TimeSeries
from darts.models import BlockRNNModel, NLinearModel
from forecaster_training import Clock, arguments


def fitted(args: argparse.Namespace, series: list[TimeSeries], member: int, steps: int) -> Any:
    """Return a trained model."""
    trainer = {
        "accelerator": "cpu", "max_steps": steps, "logger": False, "enable_checkpointing": False,
        "enable_progress_bar": False, "enable_model_summary": False,
    }  # fmt: skip
    common = {
        "input_chunk_length": args.window, "output_chunk_length": args.horizon, "batch_size": args.batch,
        "n_epochs": 1_000_000, "optimizer_kwargs": {"lr": args.rate}, "random_state": member,
        "pl_trainer_kwargs": trainer,
    }  # fmt: skip
    if args.kind == "linear":
        model = NLinearModel(const_init=False, **common)
    else:
        model = BlockRNNModel(model="LSTM", hidden_dim=args.hidden, n_rnn_layers=1, **common)
    return model.fit(series, verbose=False)


def main() -> None:
    args = arguments(__doc__).parse_args()
    torch.set_num_threads(1)  # quicker than two for networks of this size
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    series = [TimeSeries.from_values(row.astype(np.float32)) for row in np.load(args.data)]
    fitted(args, series, 0, 5)
    clock = Clock()
    for member in range(args.members):
        fitted(args, series, member, args.steps)
    found = {
        **clock.per_step(args),
        "version": darts.__version__,
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
