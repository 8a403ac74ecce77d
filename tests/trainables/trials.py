"""Small data and short trials, for tests of training."""

from dataclasses import replace

import numpy as np
import torch

from trainables.configuration import Component, Configuration, Training
from trainables.data import point_set
from trainables.evaluation import Protocol
from trainables.splits import Split
from trainables.tasks import Rules, StudyData, TrialTask

BATCH = {"classes_per_batch": 3, "groups_per_class": 2, "group_size": 3, "group_size_spread": 1}
DEFAULT = {
    "encoder": {"mlp": {"width": 6, "hidden": 8, "dropout": 0.2}},
    "aggregator": {"attention": {}},
    "loss": {"triplet": {"level": "both"}},
    "views": None,
}
VIEWED = {
    "loss": {"infonce": {"level": "both", "positives": "views"}},
    "views": {"noise": {"deviation": 0.3}},
}
CONVOLUTIONAL = {"encoder": {"conv4": {"width": 6, "channels": 4}}, "aggregator": {"max": {}}}
RULES = Rules(Protocol((1, 2), draws=2, seed=0), "map_at_r.size2", True, report_every=2)


def clouds(classes=7, each=20, features=5, apart=1.0):
    """Overlapping clouds of points, one after the other."""
    random = np.random.default_rng(0)
    labels = np.repeat(np.arange(classes), each)
    centres = apart * random.normal(size=(classes, features))
    points = centres[labels] + random.normal(size=(len(labels), features))
    names = [f"class {label}" for label in range(classes)]
    return point_set(points.astype(np.float32), labels, names, "clouds")


def images(classes=7, each=20):
    random = np.random.default_rng(0)
    labels = np.repeat(np.arange(classes), each)
    pixels = random.integers(0, 256, (len(labels), 1, 16, 16), np.uint8)
    pixels[:, 0, 0] = labels[:, None] * 20
    return point_set(pixels, labels, [str(label) for label in range(classes)], "images")


def nested(changes=None, **training):
    """A configuration as files hold it, trained in small batches."""
    options = {"epochs": 5, "learning_rate": 1e-2, **BATCH, **training}
    return {**DEFAULT, **(changes or {}), "training": options}


def configured(changes=None, **training):
    return Configuration.from_nested(nested(changes, **training))


def combined(encoder, aggregator, loss, views=None, **training):
    """A combination with its components' options."""
    parts = [Component(name, options) for name, options in (encoder, aggregator, loss)]
    return Configuration(
        *parts, Component(views, {}) if views else None, Training(**{**BATCH, **training})
    )


def study_of(points=None):
    """Two folds of the first six classes; every class's last five points are the test."""
    points = clouds() if points is None else points
    rows = np.arange(len(points))
    is_test = rows % 20 >= 15
    search = (points.labels < 6) & ~is_test
    folds = tuple(
        Split(
            rows[search & (points.labels % 2 != fold)], rows[search & (points.labels % 2 == fold)]
        )
        for fold in range(2)
    )
    return StudyData(points, folds, Split(rows[~is_test], rows[is_test]))


def task_of(key="trial", changes=None, phase="search", seeds=(1, 2), **training):
    return TrialTask(key, phase, nested(changes, **training), seeds)


def same(one, other):
    """Whether two nested states hold exactly the same, tensors included."""
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


def timeless(outcome):
    """All of an outcome that does not depend on the clock."""
    history = [{"epoch": h["epoch"], "metrics": h["metrics"]} for h in outcome.history]
    return replace(outcome, history=history, started=0.0, ended=0.0)
