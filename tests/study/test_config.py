import pytest

from study.config import StudyConfig
from study.validation import validate
from tests.study.files import accepted, refused

SECTION = "must be a section of keys, got"
NAME = (
    "must be 1 to 63 letters, digits, `.`, `-` or `_`, beginning with a letter, a digit or `_`, got"
)
SAMPLERS = "must be one of cmaes, gp, nsga2, qmc, random, tpe, got"
KEYS = "algorithm, budget, data, name, protocol, search, seed, storage, tracking"
TWENTY_ONE = str([*range(1, 22)])

MALFORMED = [
    ("-name", "is missing"),
    ("name: 3", "must be text, got 3"),
    ('name: ""', f"{NAME} ''"),
    ("name: ../x", f"{NAME} '../x'"),
    ("name: a/b", f"{NAME} 'a/b'"),
    ("name: a b", f"{NAME} 'a b'"),
    ("name: <b>a</b>", f"{NAME} '<b>a</b>'"),
    ("name: .hidden", f"{NAME} '.hidden'"),
    (r'name: "a\n"', rf"{NAME} 'a\n'"),
    (f"name: {'a' * 64}", f"{NAME} '{'a' * 56}..."),
    (r'name: "\uD800"', r"must be Unicode text, got '\ud800'"),
    ("nmae: x", "no such key; did you mean name?"),
    ("xyz: 1", f"no such key; choose from {KEYS}"),
    ("seed: -1", "must be at least 0, got -1"),
    ("seed: 1.5", "must be an integer, got 1.5"),
    ("seed: true", "must be an integer, got true"),
    ("seed: 4294967296", "must be below 4294967296, got 4294967296"),
    (f"seed: {'9' * 80}", f"must be below 4294967296, got {'9' * 57}..."),
    ("-data", "is missing"),
    ("data: null", f"{SECTION} nothing"),
    ("data: []", f"{SECTION} []"),
    ("data: digits", f"{SECTION} 'digits'"),
    ("-data.source", "is missing; name a Parquet file here or with --data"),
    ("data.source: null", "is missing; name a Parquet file here or with --data"),
    ("data.source: 3", "must be text, got 3"),
    ("data.splt: points", "no such key; did you mean split?"),
    ("data.split: random", "must be one of classes, official, points, got 'random'"),
    ("data.test_fraction: 0", "must be above 0, got 0"),
    ("data.test_fraction: 1", "must be below 1, got 1"),
    ("data.test_fraction: .nan", "must be finite, got nan"),
    ('data.test_fraction: "0.5"', "must be a number, got '0.5'"),
    ("data.folds: 0", "must be at least 1, got 0"),
    ("data.folds: 21", "must be at most 20, got 21"),
    ("data.folds: true", "must be an integer, got true"),
    ("data.groups: nat", "must be one of natural, sampled, got 'nat'; did you mean natural?"),
    ("-search", "is missing"),
    ("search: null", f"{SECTION} nothing"),
    ("search: []", f"{SECTION} []"),
    ("-search.loss", "is missing"),
    ("search.losses: {}", "no such key; did you mean loss?"),
    ("search.encoder: 3", f"{SECTION} 3"),
    ("search.encoder: []", f"{SECTION} []"),
    ("search.encoder: [linear]", f"{SECTION} ['linear']"),
    ("search.encoder: linear", f"{SECTION} 'linear'"),
    ("search.encoder: {}", "must hold at least 1 value, got {}"),
    ("search.encoder: null", f"{SECTION} nothing"),
    ("search.encoder.linear: 3", f"{SECTION} 3"),
    ("search.encoder.linear: [width]", f"{SECTION} ['width']"),
    ("search.views: 3", f"{SECTION} 3"),
    ("search.training: []", f"{SECTION} []"),
    ("search.training: null", f"{SECTION} nothing"),
    ("budget: null", f"{SECTION} nothing"),
    ("budget.trials: 3", "no such key; did you mean trials_per_combination?"),
    ("budget.trials_per_combination: 0", "must be at least 1, got 0"),
    ("budget.pack: 4.0", "must be an integer, got 4.0"),
    ("budget.gpus_per_pack: .inf", "must be finite, got inf"),
    ("budget.gpus_per_pack: -1", "must be at least 0, got -1"),
    ("budget.cpus_per_pack: 0", "must be at least 1, got 0"),
    ("algorithm.sampler: tpee", f"{SAMPLERS} 'tpee'; did you mean tpe?"),
    ("algorithm.sampler: bayes", f"{SAMPLERS} 'bayes'"),
    ("algorithm.sampler: [tpe]", f"{SAMPLERS} ['tpe']"),
    (
        "algorithm.pruner: no",
        "must be one of median, none, successive_halving, got 'no'; did you mean none?",
    ),
    ("algorithm.startup_trials: 0", "must be at least 1, got 0"),
    ("algorithm.report_every: 0", "must be at least 1, got 0"),
    ("protocol.sizes: []", "must hold at least 1 value, got []"),
    ("protocol.sizes: 3", "must be a list, got 3"),
    (f"protocol.sizes: {TWENTY_ONE}", f"must hold at most 20 values, got {TWENTY_ONE[:57]}..."),
    ("protocol.sizes: [1, 1]", "must hold each size once, got [1, 1]"),
    ("protocol.size: 3", "must be one of sizes [1, 2], got 3"),
    ("protocol.draws: 0", "must be at least 1, got 0"),
    (
        "protocol.metric: map",
        "must be one of map_at_r, r_precision, recall_at_1, got 'map'; did you mean map_at_r?",
    ),
    ("protocol.bound: t2", "must be one of t1, t1_prime, t4, got 't2'"),
    (
        "protocol.objectives: [relative_gap]",
        "must be [quality] or [quality, relative_gap], got [relative_gap]",
    ),
    ("protocol.objectives: quality", "must be a list, got 'quality'"),
    ("protocol.confirmation: 3", f"{SECTION} 3"),
    ("protocol.confirmation.tops: 3", "no such key; did you mean top?"),
    ("protocol.confirmation.top: -1", "must be at least 0, got -1"),
    ("protocol.normalize: 1", "must be true or false, got 1"),
    ("tracking: http://localhost:5000", f"{SECTION} 'http://localhost:5000'"),
    ("tracking.url: http://localhost:5000", "no such key; choose from uri"),
]


@pytest.mark.parametrize(("change", "problem"), MALFORMED)
def test_a_malformed_key_is_refused_with_its_path_and_what_was_meant(tmp_path, change, problem):
    path = change.partition(": ")[0].removeprefix("-")
    assert refused(tmp_path, change) == [f"{path}: {problem}"]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ("protocol.sizes: [0]", "protocol.sizes.0: must be at least 1, got 0"),
        ('protocol.sizes: ["1"]', "protocol.sizes.0: must be an integer, got '1'"),
        ("protocol.sizes: [true]", "protocol.sizes.0: must be an integer, got true"),
        (
            "protocol.sizes: [1, 1000000000000]",
            "protocol.sizes.1: must be at most 1000000, got 1000000000000",
        ),
        (
            "protocol.objectives: [qualty]",
            "protocol.objectives.0: must be one of quality, relative_gap, got 'qualty'; "
            "did you mean quality?",
        ),
        (
            "protocol.objectives: [quality, relative_gap]",
            "algorithm.pruner: two objectives cannot be pruned; say `pruner: none`",
        ),
    ],
)
def test_a_problem_inside_a_list_or_of_another_key_is_named_there(tmp_path, change, problem):
    assert refused(tmp_path, change) == [problem]


def test_a_sampler_that_models_all_parameters_or_none_is_not_asked_for_some(tmp_path):
    assert refused(tmp_path, "budget.alike: true", "algorithm.sampler: cmaes") == [
        "budget.alike: cmaes models all parameters or none; say `alike: false`"
    ]


@pytest.mark.parametrize("gpus", [0, 2])
def test_a_share_is_measured_of_one_gpu(tmp_path, gpus):
    changes = ["budget.gpu_share: measured", f"budget.gpus_per_pack: {gpus}"]
    assert refused(tmp_path, *changes) == [
        "budget.gpu_share: a share is measured of one GPU; say `gpus_per_pack: 1`, or "
        "`gpu_share: given`"
    ]


def test_two_objectives_need_a_sampler_that_knows_them(tmp_path):
    two = ["protocol.objectives: [quality, relative_gap]", "algorithm.pruner: none"]
    assert refused(tmp_path, *two, "algorithm.sampler: cmaes") == [
        "algorithm.sampler: cmaes cannot search for two objectives; use tpe, gp or nsga2"
    ]
    assert accepted(tmp_path, *two).config.protocol.objectives == ("quality", "relative_gap")


@pytest.mark.parametrize(
    "change", ["name: étude", "name: no", "name: 2024-01-01", "name: x.1_y-2", "name: 010"]
)
def test_names_are_read_as_they_are_written(tmp_path, change):
    assert accepted(tmp_path, change).config.name == change.removeprefix("name: ")


def test_what_a_file_leaves_out_has_documented_defaults(tmp_path):
    config = accepted(tmp_path, "-protocol", "-data.folds").config
    assert config.data.folds == 3
    assert config.budget.trials_per_combination == 32
    assert config.protocol.quality_name == "map_at_r.size5"
    assert config.protocol.gap_name == "t4_relative_gap.size5"


def test_a_configuration_survives_json(tmp_path):
    config = accepted(tmp_path).config
    assert StudyConfig.model_validate_json(config.model_dump_json()) == config


def test_every_problem_of_a_section_is_found_at_once():
    _, problems = validate(StudyConfig, {"seed": -1, "data": {"folds": 0}, "budgets": {}})
    assert problems == [
        "name: is missing",
        "seed: must be at least 0, got -1",
        "data.folds: must be at least 1, got 0",
        "search: is missing",
        "budgets: no such key; did you mean budget?",
    ]
