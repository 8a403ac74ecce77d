"""Encoder and aggregator together: what a study searches for, and what it exports."""

from collections.abc import Iterable
from copy import deepcopy
from typing import Any, final

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.functional import normalize

from trainables import catalogue
from trainables.configuration import Component, Configuration
from trainables.contracts import Aggregator, EncoderOutput
from trainables.device import CPU, sent

CHUNK = 1024
"""Points that are encoded at a time where there are many."""


def build(slot: str, component: Component, **wiring: Any) -> Any:
    """A component with its options; random weights come from torch's global generator.

    Args:
        slot: of the component.
        component: its name and options.
        wiring: what the platform knows, of which a component takes what it names.
    """
    constructor = catalogue.load(slot, component.name)
    wanted = [wiring[name] for name in catalogue.wiring(constructor)]
    return constructor(*wanted, **component.options)


@final
class GroupModel(nn.Module):
    """Points to embeddings, and groups of them to group embeddings.

    Args:
        configuration: which encoder and aggregator, with which options.
        shape: shape of one point.
        unit_length: whether point embeddings are scaled to length 1 before aggregation.
    """

    _place: Tensor

    def __init__(
        self, configuration: Configuration, shape: tuple[int, ...], unit_length: bool
    ) -> None:
        super().__init__()
        self.encoder = build("encoder", configuration.encoder, shape=shape)
        width = self.encoder.width
        self.aggregator = build("aggregator", configuration.aggregator, width=width)
        self.unit_length = unit_length
        self.register_buffer("_place", torch.empty(0), persistent=False)

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self._place.device

    def aggregator_on_cpu(self) -> Aggregator:
        """What the embeddings that :meth:`embed_all` gives are to be aggregated with."""
        own: Aggregator = self.aggregator
        return own if self.device == CPU else deepcopy(own).to(CPU)

    def embed(self, points: Float[Tensor, "batch *shape"]) -> EncoderOutput:
        """Embeddings of points, of length 1 where the study says so."""
        output: EncoderOutput = self.encoder(points)
        if not self.unit_length:
            return output
        return output._replace(embedding=normalize(output.embedding, dim=1))

    def forward(
        self, points: Float[Tensor, "groups points *shape"], mask: Bool[Tensor, "groups points"]
    ) -> Float[Tensor, "groups width"]:
        """Group embeddings of padded groups; only real points reach the encoder."""
        embeddings: Float[Tensor, "groups width"] = self.aggregator(
            self.members(points, mask), mask
        )
        return embeddings

    def members(
        self, points: Float[Tensor, "groups points *shape"], mask: Bool[Tensor, "groups points"]
    ) -> Float[Tensor, "groups points width"]:
        """Embeddings of the points of padded groups; padded places repeat that of a real point."""
        real = self.embed(points[mask]).embedding
        places = (mask.flatten().cumsum(0) - 1).clamp_min(0).view(mask.shape)
        return real[places]

    def embed_all(
        self, points: Float[Tensor, "rows *shape"], chunk: int = CHUNK
    ) -> Float[Tensor, "rows width"]:
        """Embeddings of many points in evaluation mode, on the CPU; restores the mode.

        Points are on the CPU; a chunk of them is encoded at a time.
        """
        return self.encode_all(points.split(chunk)).embedding

    @torch.no_grad()
    def encode_all(self, chunks: Iterable[Float[Tensor, "_ *shape"]]) -> EncoderOutput:
        """As :meth:`embed_all`, with the logits of latent groups where the encoder has them.

        Args:
            chunks: the points, of which no more than a few chunks are in memory at a time.
        """
        was_training = self.training
        self.eval()
        # To the CPU right away: the whole need not fit beside the model.
        parts = [_on_cpu(self.embed(sent(chunk, self.device))) for chunk in chunks]
        self.train(was_training)
        logits = [part.group_logits for part in parts if part.group_logits is not None]
        embeddings = torch.cat([part.embedding for part in parts])
        return EncoderOutput(embeddings, torch.cat(logits) if logits else None)


def _on_cpu(output: EncoderOutput) -> EncoderOutput:
    embedding, logits = output
    return EncoderOutput(embedding.to(CPU), None if logits is None else logits.to(CPU))


def untrained(
    configuration: Configuration, shape: tuple[int, ...], unit_length: bool, seed: int
) -> GroupModel:
    """The model that a training from ``seed`` begins with."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return GroupModel(configuration, shape, unit_length)
