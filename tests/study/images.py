"""Folders of images by class, as a user has them: scikit-learn's digits."""

from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits


def write(folder: Path, names: tuple[str, ...], each: int, size: int = 8) -> None:
    """Writes ``each`` images of the first digits, of ``size`` pixels, into a folder per name."""
    digits = load_digits()
    for digit, name in enumerate(names):
        (folder / name).mkdir(parents=True)
        for row in np.flatnonzero(digits.target == digit)[:each]:
            image = Image.fromarray((digits.images[row] * 255 / 16).astype(np.uint8))
            image.resize((size, size)).save(folder / name / f"{row}.png")
