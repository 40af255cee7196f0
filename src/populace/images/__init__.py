"""Images: labelled pictures to learn from, and filters on them."""

from populace.images.data import cifar, digits, mnist
from populace.images.filters import FILTERS, Filter, apply, show
from populace.images.labelled import Images

__all__ = ["FILTERS", "Filter", "Images", "apply", "cifar", "digits", "mnist", "show"]
