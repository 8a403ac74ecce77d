"""A small study file that is right, what happens when it is changed, and finished studies."""

import json

import pytest
import torch
from optuna.trial import FixedTrial

from study.check import prepare
from study.errors import ConfigError
from study.manifest import manifest
from study.record import Record, Trial
from trainables.attempt import Attempt, Outcome
from trainables.configuration import Configuration
from trainables.model import untrained

SMALL = {
    "name": "small",
    "data": {"source": "digits", "split": "points", "folds": 2},
    "search": {
        "encoder": {"linear": {"width": 16}},
        "aggregator": {"mean": {}},
        "loss": {"triplet": {"level": "groups", "mining": "all"}},
        "training": {"epochs": 1, "group_size": 2},
    },
    "protocol": {"sizes": [1, 2]},
}


def written(*changes):
    """The text of a study file; ``data.folds: 3`` changes it, ``-data.folds`` takes a key out."""
    content, values = json.loads(json.dumps(SMALL)), {}
    for change in changes:
        path, _, value = change.partition(": ")
        *above, last = path.removeprefix("-").split(".")
        section = content
        for key in above:
            section = section.setdefault(key, {})
        if change.startswith("-"):
            del section[last]
        else:
            section[last] = f"value {len(values)}"
            values[f'"value {len(values)}"'] = value
    text = json.dumps(content)
    for mark, value in values.items():
        text = text.replace(mark, value)
    return text


def accepted(folder, *changes, **arguments):
    """The study of a changed file, which must be right."""
    path = folder / "study.yaml"
    path.write_text(written(*changes), encoding="utf-8")
    return prepare(path, arguments.pop("root", folder), **arguments)


def refused(folder, *changes, **arguments):
    """The problems of a changed file, which must be wrong."""
    with pytest.raises(ConfigError) as caught:
        accepted(folder, *changes, **arguments)
    return caught.value.problems


def finished(root, *changes, qualities):
    """A record whose combinations each have one complete trial, of the given quality."""
    study = accepted(root, *changes)
    record = Record.create(root / study.config.name, manifest(study))
    for combination, quality in zip(study.combinations, qualities, strict=True):
        label, protocol = combination.label, study.config.protocol
        lowest = {
            name: space.choices[0] if hasattr(space, "choices") else space.low
            for name, space in combination.distributions().items()
        }
        configuration = combination.propose(FixedTrial(lowest)).nested()
        trial = Trial(f"{label}-0000", "search", label, 0, (1, 2), configuration, "random")
        metrics = {f"val/{protocol.quality_name}": quality, f"bound/{protocol.gap_name}": 0.5}
        history = [{"epoch": 1, "time": 2.0, "metrics": metrics}]
        execution = {"threads": 1, "torch": "2"}
        record.plan(trial)
        attempt = Attempt.claim(record.trials_folder / trial.key)
        model = untrained(Configuration.from_nested(configuration), (64,), False, seed=1).eval()
        attempt.save("weights", {f"0.{name}": of for name, of in model.state_dict().items()})
        points = torch.rand(2, 3, 64)
        embeddings = model(points, torch.ones(2, 3, dtype=torch.bool)).detach()
        attempt.save("example", {"points": points, "embeddings": embeddings})
        attempt.finish(
            Outcome("complete", "", metrics, [metrics] * 2, history, 1.0, 2.0, execution)
        )
        record.publish_finished(trial)
    return record
