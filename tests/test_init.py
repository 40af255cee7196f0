"""What `import populace` offers: every name that the documentation uses, each imported when it is used."""

import ast
import re
import subprocess
import sys

import populace
from tests.places import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
KEYWORDS = {"Options"}  # its fields are keyword arguments of `train`


def test_every_name_is_there_and_known_to_type_checkers():
    for name in populace.__all__:
        assert getattr(populace, name).__name__.rpartition(".")[2] == name
    assert len(set(populace.__all__)) == len(populace.__all__)
    tree = ast.parse((ROOT / "src/populace/__init__.py").read_text())
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    typed = {alias.name for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert typed == set(populace.__all__)
    assert re.fullmatch(r"\d+\.\d+\.\d+", populace.__version__)


def test_every_name_that_the_pages_use_is_public():
    used = {
        name
        for page in PAGES
        for code in FENCE.findall(page.read_text())
        for name in [
            *re.findall(r"\b(?:pop|populace)\.(\w+)", re.sub(r"(?m)^\s*(?:from|import) .*$", "", code)),
            *re.findall(r"(?m)^from populace import (\w+)", code),
            *re.findall(r"(?m)^(?:from|import) populace\.(\w+)", code),
        ]
    }
    assert {"train", "sweep", "load_trained", "statistics"} <= used
    # A room below `populace.runs` or `populace.core` that a page imports from by its path.
    rooms = {"core", "data", "engine", "metrics", "runs"}
    assert used - rooms <= set(populace.__all__), used - rooms - set(populace.__all__)


def test_what_the_api_page_documents_of_core_engine_and_runs_is_public():
    names = re.findall(
        r"(?m)^::: populace\.(?:core|engine|runs)\.[\w.]*\.(\w+)$", (ROOT / "docs/api.md").read_text()
    )
    assert "Run" in names
    assert set(names) <= {*populace.__all__, *KEYWORDS}, set(names) - {*populace.__all__, *KEYWORDS}


def test_a_list_of_names_imports_nothing():
    code = "import sys, populace; print(len(dir(populace)), 'jax' in sys.modules, 'numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(len(populace.__all__)), "False", "False"]
    assert dir(populace) == sorted(populace.__all__)
