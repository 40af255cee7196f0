"""Text of a name or a path, read, split and encoded once for all learners of one setting."""

from functools import lru_cache

from populace.text.data.datasets import DATASETS
from populace.text.data.read import read_documents
from populace.text.data.stream import stream_text
from populace.text.data.text_data import TextData
from populace.text.tokenizers.tokenizer import TokenizerConfig


@lru_cache(maxsize=4)
def load_text(
    path: str, dataset: str, column: str, documents: str, tokenizer: TokenizerConfig, ends: bool, split: str,
    validation: float, test: float, seed: int, memory: int = 0,
) -> TextData:  # fmt: skip
    """Return the text of a path, or where that is empty of a name, split and encoded.

    With `memory`, bytes of windows, the tokens stay in a file.
    """
    if memory and path:
        return stream_text(
            path, column, documents, tokenizer, ends, split, validation, test, seed, memory
        )  # fmt: skip
    texts = read_documents(path, column=column, documents=documents) if path else DATASETS[dataset]()
    return TextData.of(texts, tokenizer, split=split, validation=validation, test=test, seed=seed, ends=ends)
