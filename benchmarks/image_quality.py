"""How good the images are that a trained run makes: by the judge, and by a classifier trained on them alone.

    POPULACE_DATA=DATA python benchmarks/image_quality.py RUN [--n 10000] [--members 8] [--second]
                                                          [--steps 1000 --eta 1] [--guidance 1]

Every member of the run makes n images, of a conditional model of every class in turn. The judge (see
docs/judge.md) compares them with the test images; `label_accuracy` is the share that it reads as the class
that was asked for. `--second` trains the second judge on the made images and lets it read the real test
images; images of models that know no classes get the label that the judge reads. Steps, eta and guidance are
of diffusion models. Printed are the values of all members, and with five or more a 95 % interval of the mean.
"""

import argparse
import time
from typing import Any

import numpy as np

import populace as pop
from populace.images.judge.comparison import comparison, judged
from populace.images.judge.second import accuracy_from_samples
from populace.images.judge.training import judge_of

SHOWN = ("label_accuracy", "class_coverage", "collapsed", "frechet_distance", "kernel_distance", "density",
         "coverage", "class_entropy", "diversity", "second_judge", "seconds")  # fmt: skip


def measured(member, judge, against, n: int, *, second: bool, seed: int, how: dict) -> dict[str, float]:
    """Return what is measured of one member's images."""
    learner = member.learner
    began = time.perf_counter()
    made = member.sample(n, seed=seed, **how)
    seconds = time.perf_counter() - began
    _, read = judge.look(made)
    asked = np.arange(n) % len(judge.classes) if learner.conditional else read
    found = judged(judge, made, against) | {"seconds": seconds}
    if learner.conditional:
        found["label_accuracy"] = float(np.mean(read == asked))
    if second:
        found["second_judge"] = accuracy_from_samples(made, asked, learner.data)
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("run", help="folder of a finished run")
    parser.add_argument("--n", type=int, default=10_000, help="images of each member")
    parser.add_argument("--members", type=int, help="how many of the run's members, from the first on")
    parser.add_argument("--seed", type=int, default=0, help="of the draws")
    parser.add_argument("--second", action="store_true")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--eta", type=float)
    parser.add_argument("--guidance", type=float)
    args = parser.parse_args()
    run = pop.Run.load(args.run)
    count = args.members or len(run.population.members)
    members = [run.member(i) for i in range(count)]
    learner: Any = members[0].learner
    data = learner.data
    judge = judge_of(data)
    against = comparison(judge, data, "test", args.n)
    options = {"steps": args.steps, "eta": args.eta, "guidance": args.guidance}
    how = {name: value for name, value in options.items() if value is not None}
    each = [
        measured(m, judge, against, args.n, second=args.second, seed=args.seed + i, how=how)
        for i, m in enumerate(members)
    ]
    print(f"{args.n:,} images of {count} members; the judge reads {judge.accuracy:.4f} of the test images\n")
    print("| measure | each member | mean (95 %) | floor |\n|---|---|---|---|")
    for name in SHOWN:
        if name not in each[0]:
            continue
        values = np.array([found[name] for found in each])
        mean = ""
        if count >= 5:
            inner = pop.statistics.mean_interval(values)
            mean = f"{inner.value:.4g} ({inner.low:.4g} to {inner.high:.4g})"
        floor = each[0].get(f"{name}_floor")
        listed = ", ".join(f"{value:.4g}" for value in values)
        print(f"| `{name}` | {listed} | {mean} | {'' if floor is None else f'{floor:.4g}'} |")


if __name__ == "__main__":
    main()
