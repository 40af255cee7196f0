"""Images: labeled image data sets, and classic convolution filters."""

from populace.images.datasets.labeled import Images
from populace.images.datasets.registry import cifar, digits, mnist
from populace.images.filters.filter import FILTERS, Filter, apply, show

__all__ = ["FILTERS", "Filter", "Images", "apply", "cifar", "digits", "mnist", "show"]
