"""What GANs are judged by: the judge of their data, and both comparisons, made once for all members."""

from populace.images.judge.comparison import Comparison, comparison
from populace.images.judge.judge import Judge
from populace.images.judge.training import digest, judge_of
from populace.supervised.data import Data

Standard = tuple[Judge, Comparison, Comparison]
_MOST = 4
_kept: dict[tuple[str, str, tuple[int, int]], Standard] = {}


def prepared(data: Data, judge: Judge | None, samples: tuple[int, int]) -> Standard:
    """Return judge, comparison with the validation part, and that with the test part.

    Members share arrays, so every call for the same data returns the same ones.

    Args:
        data: real images.
        judge: of these data; None for the one in the cache.
        samples: made images of an evaluation, and of the final one.

    """
    key = (digest(data), judge.sha256 if judge else "", samples)
    if key not in _kept:
        while len(_kept) >= _MOST:
            _kept.pop(next(iter(_kept)))
        judge = judge or judge_of(data)
        while_training, final = samples
        _kept[key] = (
            judge,
            comparison(judge, data, "validation", while_training),
            comparison(judge, data, "test", final),
        )
    return _kept[key]
