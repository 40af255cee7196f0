"""Text: tokenizers, documents in parts, language models, and the counting they are compared with."""

from populace.text.data.datasets import DATASETS
from populace.text.data.read import read_documents
from populace.text.data.text_data import TextData
from populace.text.models.count_model import CountModel, baselines
from populace.text.tokenizers.bpe import BPE
from populace.text.tokenizers.bytes import Bytes
from populace.text.tokenizers.characters import Characters
from populace.text.tokenizers.tokenizer import Tokenizer, TokenizerConfig
from populace.text.tokenizers.words import Words

__all__ = [
    "BPE", "DATASETS", "Bytes", "Characters", "CountModel", "TextData", "Tokenizer", "TokenizerConfig",
    "Words", "baselines", "read_documents",
]  # fmt: skip
