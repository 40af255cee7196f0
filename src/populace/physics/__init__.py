"""Physics-informed networks: equations in the loss, many members at once, "solved" only when it is."""

from populace.physics.equations.elliptic import Helmholtz, Poisson1D, Poisson2D
from populace.physics.equations.equation import Equation
from populace.physics.equations.evolution import AllenCahn, Burgers, Heat, Wave
from populace.physics.equations.flow import Cavity
from populace.physics.equations.inverse import InverseDiffusion, InverseLorenz
from populace.physics.equations.ordinary import Oscillator, TimeOnly
from populace.physics.geometry.ball import Ball, Disc
from populace.physics.geometry.box import Box, Interval, Rectangle
from populace.physics.geometry.cloud import PointCloud
from populace.physics.geometry.polygon import Polygon
from populace.physics.geometry.shape import Geometry, Time
from populace.physics.learner import PINN
from populace.physics.networks.embedding import Coordinates, Embedding, FourierFeatures, PeriodicEmbedding
from populace.physics.networks.network import MLP, ModifiedMLP, PINNetwork
from populace.physics.optimisers.lbfgs import LBFGS
from populace.physics.optimisers.levenberg_marquardt import LevenbergMarquardt
from populace.physics.optimisers.self_scaled import SelfScaledBFGS, SelfScaledBroyden
from populace.physics.optimisers.solver import NoSolver, Solver
from populace.physics.problem.conditions import Dirichlet, Initial, Neumann, Periodic, Robin
from populace.physics.problem.data import Data
from populace.physics.problem.expression import Expression, apply
from populace.physics.problem.interface import Interface
from populace.physics.problem.operators import cos, d, div, exp, grad, laplacian, log, sin, sqrt, tanh
from populace.physics.problem.problem import Problem
from populace.physics.problem.symbols import coordinate, field, indicator, normal, unknown_coefficient
from populace.physics.sampling.resampling import RAD, RAR, Anew, Resampling
from populace.physics.solution import Solution, solve
from populace.physics.weighting.balance import NTK, Balance, Fixed, GradientNorm
from populace.physics.weighting.in_time import AllTimes, Causal, InTime
from populace.physics.weighting.marching import Marching
from populace.physics.weighting.self_adaptive import SelfAdaptive

__all__ = [
    "LBFGS",
    "MLP",
    "NTK",
    "PINN",
    "RAD",
    "RAR",
    "AllTimes",
    "AllenCahn",
    "Anew",
    "Balance",
    "Ball",
    "Box",
    "Burgers",
    "Causal",
    "Cavity",
    "Coordinates",
    "Data",
    "Dirichlet",
    "Disc",
    "Embedding",
    "Equation",
    "Expression",
    "Fixed",
    "FourierFeatures",
    "Geometry",
    "GradientNorm",
    "Heat",
    "Helmholtz",
    "InTime",
    "Initial",
    "Interface",
    "Interval",
    "InverseDiffusion",
    "InverseLorenz",
    "LevenbergMarquardt",
    "Marching",
    "ModifiedMLP",
    "Neumann",
    "NoSolver",
    "Oscillator",
    "PINNetwork",
    "Periodic",
    "PeriodicEmbedding",
    "PointCloud",
    "Poisson1D",
    "Poisson2D",
    "Polygon",
    "Problem",
    "Rectangle",
    "Resampling",
    "Robin",
    "SelfAdaptive",
    "SelfScaledBFGS",
    "SelfScaledBroyden",
    "Solution",
    "Solver",
    "Time",
    "TimeOnly",
    "Wave",
    "apply",
    "coordinate",
    "cos",
    "d",
    "div",
    "exp",
    "field",
    "grad",
    "indicator",
    "laplacian",
    "log",
    "normal",
    "sin",
    "solve",
    "sqrt",
    "tanh",
    "unknown_coefficient",
]
