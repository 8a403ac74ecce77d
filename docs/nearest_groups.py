"""Nearest groups: points in a Parquet file, a model that a study exported, an index of faiss.

    python docs/nearest_groups.py POINTS.parquet EXPORT/best --out groups.parquet

Forms groups of points of one class, embeds them, writes the group embeddings to a Parquet file, and
asks the index which groups are nearest to each. Needs torch, pyarrow and faiss-cpu, none of our
code. Loading ``model.pt2`` may run code that stands in it: use exports that you trust.
"""

import argparse
import sys
import warnings
from pathlib import Path

import faiss
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

CHUNK = 256
"""Groups embedded at once."""


def read_points(path):
    """Points ``[n, *shape]`` as float32 and their labels, from a file as studies read it."""
    table = pq.read_table(path)
    labels = np.array(table["label"].to_pylist())
    if "features" in table.column_names:
        return np.array(table["features"].to_pylist(), np.float32), labels
    metadata = {b"channels": b"1", **table.schema.metadata}
    shape = [int(metadata[name]) for name in (b"channels", b"height", b"width")]
    pixels = np.stack([np.frombuffer(image, np.uint8) for image in table["image"].to_pylist()])
    # Models see pixels from 0 to 1.
    return pixels.reshape(-1, *shape).astype(np.float32) / 255, labels


def form_groups(labels, size, seed=0):
    """Rows of disjoint groups ``[groups, size]`` of one class each; others are left out."""
    random = np.random.default_rng(seed)
    groups = []
    for label in np.unique(labels):
        rows = random.permutation(np.flatnonzero(labels == label))
        groups.extend(rows[: len(rows) // size * size].reshape(-1, size))
    if not groups:
        raise SystemExit(f"no class has {size} points; use a smaller --size")
    return np.stack(groups)


def embed(model, points, groups):
    """Group embeddings ``[groups, width]`` as float32."""
    parts = []
    for rows in np.array_split(groups, -(-len(groups) // CHUNK)):
        members = torch.from_numpy(points[rows])
        with torch.no_grad():
            parts.append(model(members, torch.ones(rows.shape, dtype=torch.bool)))
    return torch.cat(parts).numpy()


def nearest(embeddings, count):
    """The ``count`` nearest other groups of each group: distances and rows, nearest first."""
    index = faiss.IndexFlatL2(embeddings.shape[1])
    index.add(embeddings)
    squares, rows = index.search(embeddings, count + 1)
    # A group finds itself; beside copies of it, it need not be the first.
    itself = rows == np.arange(len(rows))[:, None]
    itself[~itself.any(1), -1] = True
    kept = (len(rows), count)
    # Rounding makes some squares a little less than 0.
    return np.sqrt(squares[~itself].clip(0)).reshape(kept), rows[~itself].reshape(kept)


def main():
    """Reads, groups, embeds, writes and asks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("points", type=Path, help="Parquet file of points with labels")
    parser.add_argument("export", type=Path, help="folder of an export that holds model.pt2")
    parser.add_argument("--size", type=int, default=5, help="points per group")
    parser.add_argument("--neighbours", type=int, default=3, help="nearest groups to find")
    parser.add_argument("--out", type=Path, default=Path("groups.parquet"))
    asked = parser.parse_args()
    warnings.filterwarnings("ignore", module="torch")
    points, labels = read_points(asked.points)
    groups = form_groups(labels, asked.size)
    model = torch.export.load(asked.export / "model.pt2").module()
    embeddings, of_groups = embed(model, points, groups), labels[groups[:, 0]]
    count = min(asked.neighbours, len(groups) - 1)
    distances, rows = nearest(embeddings, count)
    columns = {"label": of_groups, "rows": list(groups), "embedding": list(embeddings)}
    found = {"nearest": list(rows), "distance": list(distances)}
    pq.write_table(pa.table({**columns, **found}), asked.out)
    share = (of_groups[rows[:, 0]] == of_groups).mean()
    sys.stdout.write(f"{len(groups)} groups of {asked.size} points in {asked.out}\n")
    sys.stdout.write(f"{share:.1%} have a group of their own class next to them\n")


if __name__ == "__main__":
    main()
