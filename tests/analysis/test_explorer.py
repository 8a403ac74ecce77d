import base64
import hashlib
import json
import re

from analysis.explorer import explorer, policy, scripts
from tests.analysis.studies import NAN, parameter, tables_of, trial, unfinished

MARKUP = '<img src=x onerror="alert(1)">'


def of(*rows, **parameters):
    given = [
        parameter(row["key"], name, value)
        for name, values in parameters.items()
        for row, value in zip(rows, values, strict=True)
    ]
    return explorer(tables_of(rows, parameters=given))


def menu(figure):
    (found,) = figure["layout"]["updatemenus"]
    return {button["label"]: button["args"] for button in found["buttons"]}


def test_every_complete_trial_is_a_dot_of_its_combination():
    rows = [trial(number=0, quality=0.4), trial(number=1, quality=0.6, relative_gap=NAN)]
    best = trial(combination="mlp+max+triplet", quality=0.9)
    figure = of(*rows, best, unfinished("pruned", number=2))
    assert [trace["name"] for trace in figure["data"]] == ["mlp+max+triplet", "mlp+mean+triplet"]
    assert figure["data"][1]["y"] == [0.4, 0.6]
    assert figure["data"][1]["x"] == [1.0, None]


def test_the_menu_offers_what_has_numbers_and_differs():
    rows = [trial(number=n) for n in range(2)]
    figure = of(*rows, rate=[0.001, 0.1], width=[8, 8], mining=["all", "hard"], depth=[1, 2])
    assert list(menu(figure)) == ["relative gap", "number of the trial", "depth", "rate"]
    values, axis = menu(figure)["rate"]
    assert values == {"x": [[0.001, 0.1]]}
    assert (axis["xaxis"]["type"], axis["xaxis"]["title"]["text"]) == ("log", "rate")
    assert menu(figure)["depth"][1]["xaxis"]["type"] == "linear"


def test_the_pointer_shows_all_parameters():
    figure = of(trial(), mining=["all"], width=[8])
    assert figure["data"][0]["customdata"] == ["mining: &quot;all&quot;<br>width: 8"]


def test_names_cannot_bring_markup():
    figure = of(trial(combination=f"a+{MARKUP}+b"), **{MARKUP: [MARKUP]})
    assert "<img" not in json.dumps(figure)


def test_without_complete_trials_there_is_nothing_to_explore():
    assert of(unfinished("failed")) is None


def test_the_policy_names_exactly_the_scripts():
    digests = re.findall(r"'sha256-([^']+)'", policy())
    expected = [hashlib.sha256(script.encode()).digest() for script in scripts()]
    assert [base64.b64decode(digest) for digest in digests] == expected
