"""Text of a name or a path, read, split and encoded once for all learners of one setting."""

from functools import lru_cache

from populace.text.data.datasets import DATASETS
from populace.text.data.read import read_documents
from populace.text.data.text_data import TextData
from populace.text.tokenizers.tokenizer import TokenizerConfig


@lru_cache(maxsize=4)
def load_text(
    path: str, dataset: str, column: str, documents: str, tokenizer: TokenizerConfig, ends: bool, split: str,
    validation: float, test: float, seed: int,
) -> TextData:  # fmt: skip
    """Return the text of a path, or where that is empty of a name, split and encoded."""
    texts = read_documents(path, column=column, documents=documents) if path else DATASETS[dataset]()
    return TextData.of(texts, tokenizer, split=split, validation=validation, test=test, seed=seed, ends=ends)
