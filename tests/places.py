"""Where the tests find what is not inside the package."""

from pathlib import Path

ROOT = Path(__file__).parents[1]
"""The checkout."""
SHARED_DATA = (ROOT / ".." / "shared" / "data").resolve()
"""Real data beside the checkout; tests that need them skip where they are absent."""
