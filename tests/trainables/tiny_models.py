"""Folders of small vision models with random weights, as Hugging Face transformers writes them."""

import atexit
from functools import cache
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

import torch

TOKENS = {
    "image_size": 16,
    "patch_size": 8,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}
LAYERS = {"intermediate_size": 24}
MAPS = {"hidden_sizes": [8, 12], "depths": [1, 1]}
WINDOWS = {"embed_dim": 8, "depths": [2, 2], "num_heads": [2, 2], "window_size": 4}
TEXT = {"vocab_size": 10, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
ENDS = {"bos_token_id": 0, "eos_token_id": 1}
KINDS = {
    "ViT": {**TOKENS, **LAYERS},
    "Dinov2WithRegisters": {**TOKENS, "mlp_ratio": 2, "num_register_tokens": 3},
    "CLIP": {"text_config": {**TEXT, **ENDS}, "vision_config": {**TOKENS, **LAYERS}},
    "ViTMAE": {**TOKENS, **LAYERS},
    "Swin": {"image_size": 32, "patch_size": 4, **WINDOWS},
    "ConvNext": {"image_size": 32, "num_stages": 2, **MAPS},
    "ResNet": {"embedding_size": 8, "layer_type": "basic", **MAPS},
    "Bert": {**TEXT, **LAYERS},
}
"""Options of their configurations; the last is no vision model."""


def write(folder, kind, seed=0, **changes):
    """Writes a model to a folder, and returns the folder's path as text."""
    import transformers  # of one encoder only, and slow to import

    transformers.utils.logging.disable_progress_bar()
    configuration = getattr(transformers, f"{kind}Config")(**{**KINDS[kind], **changes})
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = transformers.AutoModel.from_config(configuration)
        for parameter in network.parameters():
            # Larger than usual: of such small models all places would look alike.
            torch.nn.init.normal_(parameter, std=0.3)
    network.save_pretrained(folder)
    return str(folder)


@cache
def tiny_model(kind="ViT"):
    """A folder with a model of a kind, which is gone when the tests end."""
    folder = mkdtemp(prefix=f"{kind}-")
    atexit.register(rmtree, folder)
    return write(Path(folder), kind)
