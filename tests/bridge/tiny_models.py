"""Tiny random checkpoints with Transformers' own classes: no download, no real weights."""

import torch

VOCABULARY, IMAGE = 40, 39


def text_config(vocabulary=VOCABULARY):
    from transformers import LlamaConfig

    return LlamaConfig(
        vocab_size=vocabulary, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=128, bos_token_id=1, eos_token_id=2, pad_token_id=0,
    )  # fmt: skip


def spread(model, seed):
    """Random weights far enough from zero that laws are far from uniform."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            scale = 1.0 if name.endswith("norm.weight") else 0.25
            shift = 1.0 if "norm" in name and name.endswith("weight") else 0.0
            parameter.copy_(shift + scale * 0.7 * torch.randn(parameter.shape, generator=generator))
    return model.eval()


def llama(seed=0, vocabulary=VOCABULARY):
    from transformers import LlamaForCausalLM

    return spread(LlamaForCausalLM(text_config(vocabulary)), seed)


def llava(seed=0):
    from transformers import CLIPVisionConfig, LlavaConfig, LlavaForConditionalGeneration

    vision = CLIPVisionConfig(
        hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=8, patch_size=4
    )
    config = LlavaConfig(vision_config=vision, text_config=text_config(), image_token_index=IMAGE, image_seq_length=4)
    return spread(LlavaForConditionalGeneration(config), seed)


def internvl(seed=0):
    from transformers import InternVLConfig, InternVLForConditionalGeneration, InternVLVisionConfig, Qwen2Config

    vision = InternVLVisionConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, attention_bias=True, intermediate_size=32,
        image_size=16, patch_size=4,
    )  # fmt: skip
    text = Qwen2Config(
        vocab_size=VOCABULARY, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=128, tie_word_embeddings=False,
    )  # fmt: skip
    config = InternVLConfig(
        vision_config=vision.to_dict(), text_config=text.to_dict(), image_token_id=IMAGE, image_seq_length=4,
        tie_word_embeddings=False,
    )  # fmt: skip
    return spread(InternVLForConditionalGeneration(config), seed)


def gpt2(seed=0):
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=VOCABULARY, n_positions=64, n_embd=32, n_layer=2, n_head=4, bos_token_id=1, eos_token_id=2
    )
    return spread(GPT2LMHeadModel(config), seed)


MAKERS = {"llama": llama, "gpt2": gpt2, "llava": llava, "internvl": internvl}
SIDE = {"llava": 8, "internvl": 16}


def tokenizer(words=VOCABULARY, shuffled=False, punctuation=False):
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    names = ["<pad>", "<s>", "</s>", *(f"w{i}" for i in range(3, words - 1)), "<image>"]
    if shuffled:
        names[3], names[4] = names[4], names[3]
    inner = Tokenizer(models.WordLevel({name: i for i, name in enumerate(names)}, names[0]))
    inner.pre_tokenizer = pre_tokenizers.Whitespace() if punctuation else pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, **dict(zip(("pad_token", "bos_token", "eos_token"), names[:3], strict=True))
    )
