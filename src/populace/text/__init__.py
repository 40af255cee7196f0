"""Text: tokenizers, documents in parts, language models and what they write, and counting beside them."""

from populace.text.data.datasets import DATASETS
from populace.text.data.read import read_documents
from populace.text.data.text_data import TextData
from populace.text.generation.continuation import Continuation
from populace.text.generation.generate import Writer, generate
from populace.text.measures.ensemble import Agreement, agreement
from populace.text.models.count_model import CountModel, baselines
from populace.text.models.gpt import GPT
from populace.text.models.gpt2 import gpt2_weights
from populace.text.models.language_model import LanguageModel
from populace.text.models.lstm import LSTMLanguageModel
from populace.text.tokenizers.bpe import BPE
from populace.text.tokenizers.bytes import Bytes
from populace.text.tokenizers.characters import Characters
from populace.text.tokenizers.tokenizer import Tokenizer, TokenizerConfig
from populace.text.tokenizers.words import Words

__all__ = [
    "BPE", "DATASETS", "GPT", "Agreement", "Bytes", "Characters", "Continuation", "CountModel",
    "LSTMLanguageModel", "LanguageModel", "TextData", "Tokenizer", "TokenizerConfig", "Words", "Writer",
    "agreement", "baselines", "generate", "gpt2_weights", "read_documents",
]  # fmt: skip
