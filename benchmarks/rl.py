"""Reinforcement learning beside its peers, in one run on one machine, as Markdown tables.

    python benchmarks/rl.py [SECTION ...] [--sb3 SB3_PYTHON] [--rejax REJAX_PYTHON] [--repeats 5]

Each section is a script beside this one, which says what exactly it times and runs on its own too: `ppo`,
`tabular`, `replay`, `host`; without a name all run, one after the other. Stable-Baselines3 and rejax live in
environments of their own (`benchmarks/requirements-sb3.txt`, `requirements-rejax.txt`); without their
interpreters they are left out.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

from children import machine

PEERS = {"ppo": ("sb3", "rejax"), "tabular": (), "replay": (), "host": ("sb3",)}


def main() -> None:
    """Run the sections that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join(PEERS))
    parser.add_argument("--sb3", help="interpreter that has Stable-Baselines3")
    parser.add_argument("--rejax", help="interpreter that has rejax")
    parser.add_argument("--repeats", type=int, default=5, help="rounds, of which medians are taken")
    args = parser.parse_args()
    if unknown := set(args.sections) - set(PEERS):
        parser.error(f"no section {', '.join(sorted(unknown))}; there are {', '.join(PEERS)}")
    print(machine())
    for section in args.sections or PEERS:
        print(f"\n## {section}, load {os.getloadavg()[0]:.1f}\n", flush=True)
        script = Path(__file__).with_name(f"{section}.py")
        given = [(f"--{peer}", getattr(args, peer)) for peer in PEERS[section]]
        more = [word for flag, path in given if path for word in (flag, path)]
        subprocess.run([sys.executable, script, "--repeats", str(args.repeats), *more], check=True)


if __name__ == "__main__":
    main()
