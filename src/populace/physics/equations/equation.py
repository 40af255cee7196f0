"""Equations as settings: problems with a name, whose numbers may be swept."""

from abc import abstractmethod

from populace.core.settings import Settings
from populace.physics.problem.problem import Problem


class Equation(Settings):
    """A problem with a name for recipes; one of your own is a subclass with a `kind`.

    Its `float` fields are numbers of the problem that may differ between the members of one program, such
    as a viscosity. They are float32, as all settings are; what is static, such as the ends of an interval,
    is written into `define`.
    """

    @abstractmethod
    def define(self) -> Problem:
        """Return the problem."""
