"""The study that ``overhead.py`` runs in several ways."""

from dataclasses import dataclass
from pathlib import Path
from typing import final

STUDY = """
name: overhead
data: DATA
search:
  encoder: {ENCODER}
  aggregator: {mean: {}}
  loss: {triplet: {level: both, margin: 0.1, mining: all}}
  training:
    epochs: EPOCHS
    learning_rate: {low: 1e-3, high: 1e-2, log: true}
    classes_per_batch: CLASSES
    group_size: 4
budget: {trials_per_combination: TRIALS, pack: PACK, stacked: STACKED}
algorithm: {report_every: 6, pruner: none}
protocol: {sizes: [1, 2], draws: 2, confirmation: {top: 0}}
"""
DIGITS = {
    "DATA": "{source: digits, split: points, folds: 1}",
    "ENCODER": "mlp: {width: 32, hidden: 128, depth: 1, dropout: 0.0}",
    "CLASSES": "10",
}
OMNIGLOT = {
    "DATA": "{source: FILE, split: official, folds: 1}",
    "ENCODER": "conv4: {width: 64, channels: 16}",
    "CLASSES": "32",
}


@final
@dataclass(frozen=True)
class Work:
    """What all ways do: so many trials of an MLP on the digits, or of conv4 on a file's images."""

    trials: int
    epochs: int
    pack: int
    images: str | None

    def study(self, stacked: str) -> str:
        """The study file."""
        text = STUDY
        for name, value in (OMNIGLOT if self.images else DIGITS).items():
            text = text.replace(name, value)
        numbers = {"TRIALS": self.trials, "EPOCHS": self.epochs, "PACK": self.pack}
        for name, of_work in {**numbers, "STACKED": stacked, "FILE": self._file()}.items():
            text = text.replace(name, str(of_work))
        return text

    def _file(self) -> Path:
        return Path(self.images or "").absolute()
