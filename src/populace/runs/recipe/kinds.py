"""Learners and controllers by the short names and import paths that recipes give them."""

from collections.abc import Mapping
from typing import Any

from populace.core import settings
from populace.core.imports import registered
from populace.core.learner import Learner
from populace.engine.controller import Controller


def learners() -> dict[str, str]:
    """Return the short names of learners and their import paths."""
    return registered.paths("populace.learners")


def controllers() -> dict[str, str]:
    """Return the short names of controllers and their import paths."""
    return registered.paths("populace.controllers")


def learner_class(kind: str) -> type[Learner]:
    """Return the learner of a short name or of an import path `package.module:Class`.

    Raises:
        UsageError: no such learner, or it is not a `Learner`.

    """
    return registered.find_class(kind, "learner", learners(), Learner)


def controller_class(kind: str) -> type[Controller]:
    """Return the controller of a short name or of an import path `package.module:Class`.

    Raises:
        UsageError: no such controller, or it is not a `Controller`.

    """
    return registered.find_class(kind, "controller", controllers(), Controller)


def controller_of(values: Mapping[str, Any]) -> Controller:
    """Return the controller that a table [controller] describes: its `kind`, and its settings.

    Raises:
        UsageError: no such controller, an unknown setting, a wrong type or value.

    """
    cls = controller_class(str(values["kind"]))
    return settings.from_dict(cls, {k: v for k, v in values.items() if k != "kind"})
