"""Images: labeled pictures to learn from, and filters on them."""

from populace.images.datasets.labeled import Images
from populace.images.datasets.registry import cifar, digits, mnist
from populace.images.filters.filter import FILTERS, Filter, apply, show

__all__ = ["FILTERS", "Filter", "Images", "apply", "cifar", "digits", "mnist", "show"]
