"""The tokenizer: one token a word, sixteen location tokens, the image's placeholder last."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from toy_models.multimodal.scenes import BINS

PAD, BEGIN, END, UNKNOWN, IMAGE = "<pad>", "<s>", "</s>", "<unk>", "<image>"


def vocabulary(texts: Iterable[str]) -> list[str]:
    """Return the tokens of some texts: special ones, locations, words by the alphabet, the placeholder."""
    words = sorted({word for text in texts for word in split(text) if not word.startswith("<")})
    return [PAD, BEGIN, END, UNKNOWN, *(f"<{i}>" for i in range(BINS)), *words, IMAGE]


def split(text: str) -> list[str]:
    """Return the words of a text, as the tokenizer parts them: at spaces, the question mark by itself."""
    return text.replace("?", " ?").split()


def tokenizer(names: list[str]) -> Any:
    """Return a fast tokenizer over the tokens given."""
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(models.WordLevel({name: i for i, name in enumerate(names)}, UNKNOWN))
    mark = pre_tokenizers.Split(Regex(r"\?"), "isolated")
    inner.pre_tokenizer = pre_tokenizers.Sequence([mark, pre_tokenizers.WhitespaceSplit()])
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token=PAD, bos_token=BEGIN, eos_token=END, unk_token=UNKNOWN,
        extra_special_tokens=[IMAGE],
    )  # fmt: skip
