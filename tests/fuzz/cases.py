"""One mutated input, and what may come of it: it works, or one line says why not."""

import contextlib
import io
import json
import random
import shutil
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w

from populace import recipes
from populace.core.errors import PopulaceError
from populace.runs.integrity import sealed
from populace.runs.recipe.parsing import parse
from tests.conftest import call
from tests.fuzz import mutations, samples

_UNSEALED = ("data.json", "lock.json", "index.json")
LONGEST = 2_100  # characters of a message

RECIPES = {
    "dqn": """
name = "fuzz"
about = "a recipe to be mutated"
[run]
steps = 4
seeds = 1
seed = 3
strategy = "map"
devices = 1
log_every = 2
evaluate_every = 2
checkpoint_every = 30.0
final_evaluation_size = 2
[learner]
kind = "dqn"
env = "CartPole-v1"
num_envs = 2
batch_size = 4
replay_capacity = 16
warmup = 4
hidden_sizes = [4]
evaluation_episodes = 1
[learner.exploration]
kind = "exponential"
decay = 0.5
[sweep]
learning_rate = [1e-3, 1e-2]
""",
    "bandit": """
name = "fuzz"
[run]
steps = 5
seeds = [0, 1]
strategy = "vmap"
[learner]
kind = "bandit"
[[settings]]
[[settings]]
"rule.kind" = "ucb1"
""",
    "classifier": """
name = "fuzz"
[run]
steps = 3
seeds = 1
samples = 2
[learner]
kind = "node-classifier"
dataset = "karate"
learning_rate = 0.01
[learner.network]
kind = "gcn"
hidden_channels = 4
[sweep]
learning_rate = {log_uniform = [1e-3, 1e-1]}
""",
    "q": """
name = "fuzz"
[run]
steps = 5
[learner]
kind = "q-learning"
env = "LineWorld-v0"
num_envs = 1
[controller]
kind = "target-score"
score = 100.0
""",
}
WORDS = (
    ("--seeds", (1, 2, 0, -1, "x", "9" * 5000, 10**12)),
    ("--steps", (1, 3, 0, 2**31, 1.5, "9" * 5000)),
    (
        "--set",
        (
            "discount=0.9",
            "learning_rate=1e999",
            "env=LineWorld-v0",
            "hidden_sizes=[2]",
            "hidden_sizes=[1,[2]]",
            "batch_size=" + "9" * 5000,
            "run.seed=5",
            "run.steps=[[[]]]",
            "env=" + "a" * 10**5,
            "optimizer=sgd",
            "network={kind='x', a={b=1}}",
            "x" * 10**6 + "=1",
            "a=" + "[" * 2000,
            "\x1b[31m=1",
            "name=x",
            "exploration.kind=linear",
        ),
    ),
    (
        "--sweep",
        (
            "discount=0.9,0.99",
            "learning_rate=1e-3,1e-2",
            "batch_size=4,8",
            "seed=1",
            "x=",
            "discount={uniform=[0,1]}",
            "discount={uniform=[[],1]}",
            "env=LineWorld-v0,Nothing-v0",
        ),
    ),
    ("--strategy", ("vmap", "map", "2", "x", "99999999999999999999")),
    ("--target-score", (1.0, "nan", "inf", "x")),
    ("--trust", (None,)),
    ("--nothing", (None,)),
    ("\x1b[2J", (None,)),
)


@dataclass
class Outcome:
    """What came of a case: `fine` or `refused`, or else a fault, and what was said."""

    what: str
    said: str = ""

    @property
    def is_fault(self) -> bool:
        """Whether it is neither a success nor a clear refusal."""
        return self.what not in ("fine", "refused")


def judged(message: str) -> Outcome:
    """Return a refusal, or the fault in how it was told."""
    if len(message) > LONGEST:
        return Outcome("long message", message[:300])
    if not message.isprintable():
        return Outcome("not one printable line", repr(message[:300]))
    return Outcome("refused", message)


def read(rng: random.Random, path: Path, content: bytes, reader: samples.Read) -> Outcome:
    """Read a mutated file."""
    path.write_bytes(mutations.damaged(rng, content))
    try:
        reader(path)
    except PopulaceError as error:
        return judged(str(error))
    except Exception as error:
        return Outcome(f"{type(error).__name__}", str(error)[:300])
    finally:
        path.write_bytes(content)
    return Outcome("fine")


def of_a_folder(rng: random.Random, run: Path, at: Path) -> Outcome:
    """Look at a run folder one of whose files is mutated: its text, its bytes, or its tree."""
    shutil.rmtree(at, ignore_errors=True)
    shutil.copytree(run, at)
    path = at / rng.choice(samples.run_files(at))
    content = path.read_bytes()
    if path.suffix == ".json" and rng.random() < 0.6:
        with contextlib.suppress(ValueError, TypeError):
            tree = mutations.changed(rng, json.loads(content))
            is_sealed = isinstance(tree, dict) and tree.pop("sha256", None) and path.name not in _UNSEALED
            text = json.dumps(tree, indent=1)
            path.write_text(sealed.seal(text) if is_sealed else text)
    elif path.suffix == ".toml" and rng.random() < 0.6:
        path.write_text(written(mutations.changed(rng, tomllib.loads(content.decode()))) or content.decode())
    elif rng.random() < 0.05:
        path.unlink()
    else:
        path.write_bytes(mutations.damaged(rng, content))
    try:
        samples.looked_at(at)
    except PopulaceError as error:
        return judged(str(error))
    except Exception as error:
        return Outcome(f"{path.name}: {type(error).__name__}", str(error)[:300])
    return Outcome("fine")


def of_a_recipe(rng: random.Random, folder: Path) -> Outcome:
    """Train a mutated recipe from the command line, with words of its own."""
    text = RECIPES[rng.choice(list(RECIPES))]
    file = folder / "fuzz.toml"
    how = rng.random()
    if how < 0.4:
        file.write_text(written(near(rng)) or text)
    elif how < 0.8:
        tree: Any = tomllib.loads(text)
        for _ in range(rng.choice((1, 1, 2))):
            tree = mutations.changed(rng, tree)
        file.write_text(written(tree) or text)
    else:
        file.write_bytes(mutations.damaged(rng, text.encode()))
    words: list[Any] = []
    while rng.random() < 0.35:
        option, values = rng.choice(WORDS)
        value = rng.choice(values)
        words += [option] if value is None else [option, value]
    command = rng.choice(("run", "run", "run", "show"))
    given = ["--no-report", "-q", "--out", folder / "out", *words] if command == "run" else []
    return of_a_command(command, file, *given)


def near(rng: random.Random) -> dict[str, Any]:
    """Return a shipped recipe with all its settings, small enough to train, and one or two of them moved.

    Most of these are right, so that they are trained; what is refused is so by the last check, not the first.
    """
    while True:
        try:
            recipe = parse(recipes.text(rng.choice(recipes.names())), "shipped")
            tree: dict[str, Any] = tomllib.loads(recipe.text())
            break
        except PopulaceError:  # its data are not here
            continue
    for part in ("sweep", "settings", "controller"):
        tree.pop(part, None)
    small = {"steps": 4, "seeds": 1, "confirm": 0, "log_every": 2, "evaluate_every": 2, "strategy": "map"}
    tree["run"] |= small | {"final_evaluation_size": 1, "devices": 1}
    if "tokenizer" in tree["learner"]:  # texts, whose validation part takes minutes
        tree["learner"] |= {"validation": 0.001}
    for _ in range(rng.choice((1, 2))):
        tree["learner"] = mutations.nudged(rng, tree["learner"])
    return tree


def written(tree: Any) -> str:
    """Return tables as TOML; empty where TOML has no word for what is in them."""
    try:
        return tomli_w.dumps(tree)
    except (TypeError, ValueError, AttributeError):
        return ""


def of_a_command(*words: Any) -> Outcome:
    """Run a command line in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = call(*words)
        except BaseException as error:
            return Outcome(f"escaped: {type(error).__name__}", str(error)[:300])
    if "\x1b" in out.getvalue():
        return Outcome("an escape sequence on standard output", repr(out.getvalue()[:300]))
    if code == 0:
        return Outcome("fine")
    said = err.getvalue().strip()
    if "POPULACE_DEBUG" in said or "Traceback" in said or code not in (1, 2):
        return Outcome(f"generic, exit code {code}", said[-600:])
    return judged(said)


def strays(before: set[str], folder: Path) -> list[str]:
    """Return what a case has made outside its own folder."""
    marks = [str(p) for p in (Path("fuzz-was-here"), folder / "fuzz-was-here") if p.exists()]
    return (
        marks
        + sorted({p.name for p in folder.parent.iterdir()} - before)
        + (["os module"] if "antigravity" in sys.modules else [])
    )
