"""Layers beside PyTorch and `lax.conv`, in one run on one machine, as Markdown tables.

    python benchmarks/layers.py [SECTION ...] [--torch TORCH_PYTHON] [--repeats 5]

Each section is a script beside this one, which says what exactly it times and runs on its own too; without a
name all run. PyTorch lives in an environment of its own (`benchmarks/requirements-sb3.txt` has it); `--torch`
names its interpreter, and without it PyTorch is left out.
"""

import argparse
import importlib
import os

from children import machine

SECTIONS = ("conv", "mnist-cnn", "lstm", "attention")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join(SECTIONS))
    parser.add_argument("--torch", help="interpreter that has PyTorch")
    parser.add_argument("--repeats", type=int, default=5, help="rounds, of which medians are taken")
    args = parser.parse_args()
    if unknown := set(args.sections) - set(SECTIONS):
        parser.error(f"no section {', '.join(sorted(unknown))}; there are {', '.join(SECTIONS)}")
    print(machine())
    for section in args.sections or SECTIONS:
        case = importlib.import_module(section.replace("-", "_"))
        print(
            f"\n## {section}, load {os.getloadavg()[0]:.1f}\n\n{case.table(args.torch, args.repeats)}",
            flush=True,
        )


if __name__ == "__main__":
    main()
