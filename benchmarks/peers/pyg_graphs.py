"""Times PyTorch, its sparse matrices and PyTorch Geometric on graphs, and prints one JSON line.

Run it with the interpreter of an environment holding PyTorch and torch_geometric:

    python pyg_graphs.py sum FILE.npz            sums over edges, forward and with the gradient by features
    python pyg_graphs.py gcn|gat FILE.npz        seconds of an epoch of training on a citation graph
    python pyg_graphs.py gin FILE.npz            seconds of an epoch of training on many graphs

The arrays are written by `benchmarks/graphs.py` and `graph_sum.py`, so that all work on the same graph.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from torch.nn import functional
from torch_geometric.data import Data
from torch_geometric.loader import DataLoader
from torch_geometric.nn import GATConv, GCNConv, GINConv, SimpleConv, global_add_pool


def timed(act: Callable[[], object], calls: int) -> float:
    """Return the median seconds of a call, after one that is not counted."""
    act()
    found = []
    for _ in range(calls):
        start = time.perf_counter()
        act()
        found.append(time.perf_counter() - start)
    return statistics.median(found)


def sums(arrays: dict, calls: int) -> dict[str, float]:
    """Return the seconds of PyTorch's CSR product and of PyTorch Geometric's aggregation."""
    n = len(arrays["x"])
    x = torch.tensor(arrays["x"])
    cotangent = torch.tensor(arrays["x"])
    offsets, sources = (torch.tensor(arrays[k]).long() for k in ("offsets", "sources"))
    weight = torch.tensor(arrays["weight"])
    matrix = torch.sparse_csr_tensor(offsets, sources, weight, (n, n))
    edges = torch.stack([sources, torch.tensor(arrays["targets"]).long()])
    conv = SimpleConv(aggr="sum")

    def with_gradient(forward: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[], object]:
        def act() -> object:
            leaf = x.clone().requires_grad_() if not leaves else leaves[0]
            leaves[:] = [leaf]
            leaf.grad = None
            forward(leaf).backward(cotangent)
            return leaf.grad

        leaves: list[torch.Tensor] = []
        return act

    ways = {"PyTorch CSR": lambda v: matrix @ v, "PyTorch Geometric": lambda v: conv(v, edges, weight)}
    found = {}
    for name, forward in ways.items():
        with torch.no_grad():
            found[name] = timed(lambda forward=forward: forward(x), calls)
        found[f"{name}, with gradient"] = timed(with_gradient(forward), max(3, calls // 3))
    return found


def nodes(kind: str, arrays: dict, epochs: int, seeds: int) -> dict[str, float]:
    """Return the seconds of an epoch of training and the test accuracy, as the library's examples train."""
    x = torch.tensor(arrays["x"])
    edges = torch.stack([torch.tensor(arrays["sources"]), torch.tensor(arrays["targets"])]).long()
    y = torch.tensor(arrays["y"]).long()
    train, test = torch.tensor(arrays["train"]).long(), torch.tensor(arrays["test"]).long()
    classes = int(y.max()) + 1
    seconds, accuracy = [], []
    for seed in range(seeds):
        torch.manual_seed(seed)
        gat = kind == "gat"
        if gat:
            first = GATConv(x.shape[1], 8, 8, dropout=0.6)
            second = GATConv(64, classes, 1, concat=False, dropout=0.6)
        else:
            first, second = GCNConv(x.shape[1], 16, cached=True), GCNConv(16, classes, cached=True)
        rate, act = (0.6, functional.elu) if gat else (0.5, functional.relu)
        decay = 1e-3 if gat else 5e-4
        groups = [{"params": first.parameters(), "weight_decay": decay},
                  {"params": second.parameters(), "weight_decay": decay if gat else 0.0}]  # fmt: skip
        optimizer = torch.optim.Adam(groups, lr=0.005 if gat else 0.01)

        def forward(training: bool, first=first, second=second, rate=rate, act=act) -> torch.Tensor:
            h = act(first(functional.dropout(x, rate, training), edges))
            return second(functional.dropout(h, rate, training), edges)

        start = time.perf_counter()
        for _ in range(epochs):
            first.train(), second.train()
            optimizer.zero_grad()
            functional.cross_entropy(forward(True)[train], y[train]).backward()
            optimizer.step()
        seconds.append((time.perf_counter() - start) / epochs)
        first.eval(), second.eval()
        with torch.no_grad():
            accuracy.append(float((forward(False)[test].argmax(1) == y[test]).float().mean()))
    return {"seconds": statistics.median(seconds), "accuracy": statistics.mean(accuracy)}


def graphs(arrays: dict, epochs: int) -> dict[str, float]:
    """Return the seconds of an epoch of GIN on the graphs of nine folds, batches of 32."""
    bounds, edges = arrays["node_offsets"], arrays["edge_offsets"]
    data = []
    for g in range(len(bounds) - 1):
        a, b = edges[g], edges[g + 1]
        ends = np.stack([arrays["sources"][a:b], arrays["targets"][a:b]]) - bounds[g]
        x = torch.tensor(arrays["x"][bounds[g] : bounds[g + 1]], dtype=torch.float32)
        y = torch.tensor([int(arrays["y"][g])])
        data.append(Data(x=x, edge_index=torch.tensor(ends).long(), y=y))
    torch.manual_seed(0)
    width, hidden = data[0].x.shape[1], 32

    def mlp(inputs: int) -> torch.nn.Module:
        return torch.nn.Sequential(
            torch.nn.Linear(inputs, hidden, bias=False), torch.nn.BatchNorm1d(hidden), torch.nn.ReLU(),
            torch.nn.Linear(hidden, hidden, bias=False), torch.nn.BatchNorm1d(hidden), torch.nn.ReLU(),
        )  # fmt: skip

    layers = torch.nn.ModuleList(GINConv(mlp(width if i == 0 else hidden), train_eps=True) for i in range(4))
    heads = torch.nn.ModuleList(torch.nn.Linear(width if i == 0 else hidden, 2) for i in range(5))
    weights = [*layers.parameters(), *heads.parameters()]
    optimizer = torch.optim.Adam(weights, lr=0.01)
    loader = DataLoader(data[: len(data) * 9 // 10], batch_size=32, shuffle=True)
    found = []
    for _ in range(epochs):
        start = time.perf_counter()
        for batch in loader:
            h = batch.x
            y = functional.dropout(heads[0](global_add_pool(h, batch.batch)), 0.5)
            for layer, head in zip(layers, heads[1:]):
                h = layer(h, batch.edge_index)
                y = y + head(functional.dropout(global_add_pool(h, batch.batch), 0.5))
            optimizer.zero_grad()
            functional.cross_entropy(y, batch.y).backward()
            optimizer.step()
        found.append(time.perf_counter() - start)
    return {"seconds": statistics.median(found)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=("sum", "gcn", "gat", "gin"))
    parser.add_argument("file")
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--calls", type=int, default=15)
    args = parser.parse_args()
    arrays = dict(np.load(args.file))
    if args.what == "sum":
        found = sums(arrays, args.calls)
    elif args.what == "gin":
        found = graphs(arrays, args.epochs)
    else:
        found = nodes(args.what, arrays, args.epochs, args.seeds)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
