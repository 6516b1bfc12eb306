"""Malformed files: each is accepted by the plan, or refused in exactly one line; nothing hangs, nothing is run."""

import copy
import json
import math
import os
import random
import subprocess
import sys

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from agentomy.mistakes import ConfigError
from agentomy.pipeline.plan import config
from agentomy.pipeline.plan.config import gathered, parse_config
from agentomy.pipeline.plan.study import STUDIES, TAKEN, Plan, Study
from agentomy.pipeline.plan.study_file import SECTIONS
from agentomy.yaml_files import parse_yaml, read_yaml
from tests.studies import SOURCE

MUTATIONS, DISORDERED = 36, 40  # of each study
EXAMPLES = {"values": 150, "configurations": 100, "texts": 200}  # that hypothesis makes up
CONFIG = parse_config({"scale": "smoke", "studies": ["toy"]})


def refusal(do) -> str:
    """The line by which something is refused, or "" if it is accepted; anything but one line is an error here."""
    try:
        do()
    except ConfigError as error:
        line = str(error)
        assert line
        assert line.isprintable(), repr(line[:300])
        return line
    return ""


def bomb(levels: int) -> str:
    lines = ["a: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"k{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, levels)]
    return "\n".join(lines)


TEXTS = {
    b"a: caf\xe9\n": "line 1: found bytes that are no UTF-8",
    b"a: 1\nb: 2\nc: \xff\xfe\n": "line 3: found bytes that are no UTF-8",
    b"a: 1\na: 2\n": "line 2: key 'a' is given twice",
    b"a: {b: 1, c: {d: 1, d: 2}}\n": "line 1: key 'd' is given twice",
    b"[" * 100_000: "deep",
    b"a: " + b"{a: " * 100_000: "deep",
    b"\n".join(b" " * n + b"a:" for n in range(60)): "line 31: lists and mappings lie more than 30 deep",
    b"a: &a [*a]\n": "an alias stands for something that it is part of",
    b"a: &a {b: {c: [*a]}}\n": "an alias stands for something that it is part of",
    b"a: &a {<<: *a}\n": "an alias stands for something that it is part of",
    bomb(12).encode(): "aliases stand for more than",
    b"? [1, 2]\n: 3\n": "a key is not plain text",
    b"a: !!python/object/apply:os.system [x]\n": "found the tag",
    b"a: !!bool x\n": "found the tag",
    b"a: !!timestamp x\n": "found the tag",
    b"a: " + b"9" * 5000: "a number of 5000 digits",
    b"a: *nothing\n": "undefined alias",
    b"a: [1\n": "line",
    b"a:\n\t- b\n": "line 2",
    b"a: 1\n---\nb: 2\n": "another document",
    b"a: \x01\n": "control characters",
    b"- a\n": "expected a mapping",
    b"3\n": "expected a mapping",
    b"": "expected a mapping",
    b"__use_yte__: true\n? f'{1}'\n: 3\n": "",  # read as plain keys, which the models refuse
    b"a: " + b"x" * 2**20: "allowed: at most",
}


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_a_file_that_is_no_plain_yaml_is_one_line_with_its_place(tmp_path, text):
    path = tmp_path / "toy.yaml"
    path.write_bytes(text)
    assert TEXTS[text] in refusal(lambda: read_yaml(path))
    assert refusal(lambda: Study(path, CONFIG, SOURCE))
    assert refusal(lambda: parse_config(gathered([path], {})))


@pytest.mark.parametrize("text", ["date: 2020-13-45", "date: 2020-02-02", "clock: 12:30:45", "equals: ="])
def test_text_that_looks_like_something_else_is_read(text):
    assert isinstance(parse_yaml(text, "toy.yaml"), dict)


def test_what_is_no_file_is_one_line(tmp_path):
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "nowhere.yaml").symlink_to(tmp_path / "nothing")
    for name in ("folder.yaml", "nowhere.yaml", "missing.yaml"):
        assert name in refusal(lambda name=name: read_yaml(tmp_path / name))


@pytest.mark.parametrize(
    "name", ["a$(touch X)b", "a b", "-n", "_x", "ä", "a;b", "a'b", 'a"b', "a{b}", "a\nb", "a" * 101, "a.b", *TAKEN]
)
def test_a_study_of_an_odd_name_or_called_like_a_target_is_refused(tmp_path, name):
    (tmp_path / f"{name}.yaml").write_text("paper: {}", encoding="utf-8")
    line = refusal(lambda: Plan({"scale": "smoke", "studies": ["toy"]}, tmp_path, SOURCE))
    assert "found a study" in line


def test_hidden_files_in_the_folder_of_studies_are_passed_over(tmp_path):
    paper = {"paper": {"title": "A paper", "authors": "Somebody", "url": "https://example.org"}}
    (tmp_path / "toy.yaml").write_text(yaml.safe_dump(paper), encoding="utf-8")
    for name in (".#toy.yaml", "._toy.yaml", ".toy.yaml.swp"):
        (tmp_path / name).write_bytes(b"\xff\xfe not yaml")
    assert Plan({"scale": "smoke", "studies": ["toy"]}, tmp_path, SOURCE).names == ["toy"]


# value → what a user reads of it
BOUNDS = [
    ("bayes.training.cat-3.width", 0, "1 or more"),
    ("bayes.training.cat-3.width", 10**30, "1000000000 or less"),
    ("bayes.training.cat-3.learning_rate", 5, "1 or less"),
    ("bayes.training.cat-3.learning_rate", 0, "more than 0"),
    ("bayes.training.cat-3.learning_rate", math.nan, "nan"),
    ("bayes.training.cat-3.forget_bias", math.inf, "finite"),
    ("bayes.training.cat-3.seeds", 10**9, "10000 or less"),
    ("bayes.training.cat-3.stack", 0, "1 or more"),
    ("bayes.training.cat-3.snapshots.log", -1, "0 or more"),
    ("bayes.training.bb-1-1.gae_lambda", 1.5, "1 or less"),
    ("bayes.environments.bern-1-1.prior", [1, -1], "prior.1: found -1"),
    ("bayes.environments.bern-1-1.prior", [1], "at least 2"),
    ("bayes.environments.bb-1-1.prior", [[1, 1], [0, 1]], "prior.1.0: found 0"),
    ("bayes.environments.cat-3.concentration", [], "at least 1"),
    ("bayes.environments.gauss.variance", 0, "more than 0"),
    ("bayes.checkpoints.play.discount", 1.0, "less than 1"),
    ("bayes.metrics.components.tasks", [], "at least 1"),
    ("bayes.metrics.components.tasks", ["a\nb"], "one line"),
    ("bayes.figures.F1-episode-prediction.episode", -1, "0 or more"),
    ("bayes.figures.F1-episode-prediction.caption", "", "some text"),
    ("bayes.figures.F1-episode-prediction.title", "", "some text"),
    ("bayes.figures.F1-episode-prediction.title", "x" * 91, "at most 90 characters"),
    ("bayes.figures.F1-episode-prediction.title", "two\nlines", "one line"),
    ("bayes.figures.F1-episode-prediction.title", ["a", "b"], "allowed: text"),
    ("bayes.environments.cat-3.scales", [], "at least 1"),
    ("bayes.environments.cat-3.use", "/etc/passwd.x", "inside the package"),
    ("bayes.environments.cat-3.use", "..agents.td3.TD3", "inside the package"),
    ("bayes.environments.cat-3.use", "os.system", "it is in another room"),
    ("maze.metrics.navigation-training.regions.mixed", 0, "regions.mixed: found 0 (int); allowed: 1 or more or a list"),
    ("maze.metrics.navigation-training.from", {"outcome": ["outcomes-training"]}, "did you mean 'outcomes'"),
    ("maze.metrics.navigation-training.from", {"outcomes": ["outcomes-training"]}, "nothing for 'levels'"),
    ("maze.metrics.navigation-training.from", {"outcomes": ["environments.test"]}, "'environments.test', a table of"),
    ("nld.training.sgd-3e-1.dropout", -0.1, "0 or more"),
    ("nld.training.sgd-3e-1.hidden", [100, 0], "hidden.1: found 0"),
    ("path.training.base.widths", [], "at least 1"),
]


@pytest.mark.parametrize(("key", "value", "words"), BOUNDS)
def test_a_number_that_no_job_can_use_is_refused_by_its_key(key, value, words):
    study, stage, name, first = key.split(".")[:4]
    parsed = parse_config({"scale": "smoke", "studies": [study], "overrides": {key: value}})
    line = refusal(lambda: Study(STUDIES / f"{study}.yaml", parsed, SOURCE))
    assert f"config.yaml: overrides.{key}" in line or f"{stage}.{name}.{first}" in line
    assert words in line


TESTS = [
    ({"holds": "< nan"}, "holds"),
    ({"holds": "> inf"}, "holds"),
    ({"scales": []}, "scales"),
    ({"where": {"run": []}}, "where.run"),
    ({"where": {"run": ["a", 1]}}, "where.run"),
]


@pytest.mark.parametrize(("edit", "key"), TESTS)
def test_a_test_that_cannot_be_judged_is_refused_by_its_key(tmp_path, edit, key):
    raw = read_yaml(STUDIES / "bayes.yaml")
    raw["claims"]["C1"]["tests"]["discrete"] |= edit
    assert f"claims.C1.tests.discrete.{key}" in refusal(study_of(raw, tmp_path))


def study_of(raw, folder):
    def read():
        (folder / "toy.yaml").write_text(yaml.dump(raw, Dumper=yaml.CSafeDumper, allow_unicode=True), encoding="utf-8")
        study = Study(folder / "toy.yaml", CONFIG, SOURCE)
        # what is accepted reaches the job as something that JSON, hence a job's digest, can hold
        json.dumps([[key, value] for key, value in study._parameters.items()], allow_nan=False).encode()
        return study

    return read


def places(value, path=()):
    """Where anything stands in nested mappings and lists."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inside in items:
        yield (*path, key)
        yield from places(inside, (*path, key))


ODD = [
    *(None, True, 0, -1, 1.5, math.nan, math.inf, 10**30, -(10**9), "", "x" * 3000, "a\nb", "\x07", "é", "../x"),
    *([], {}, [None], [[]], {"a": {}}, {1: 2}, {"smoke": 1}, {"smoke": 1, "laptop": 2, "paper": []}, [{}], ["a", "a"]),
]
NAMES = ["no-such-key", "a\nb", "scales", "x" * 300, "$(touch X)"]


def mutated(raw: dict, chosen: random.Random, everywhere: list[tuple]) -> dict:
    """A study in which one thing is gone, is called otherwise, or is something else."""
    raw = copy.deepcopy(raw)
    *path, last = chosen.choice(everywhere)
    inner = raw
    for key in path:
        inner = inner[key]
    do = chosen.choice(["drop", "rename", "replace", "replace", "replace"])
    if do == "drop":
        del inner[last]
    elif do == "rename" and isinstance(inner, dict):
        inner[chosen.choice(NAMES)] = inner.pop(last)
    else:
        inner[last] = chosen.choice(ODD)
    return raw


@pytest.mark.slow
@pytest.mark.parametrize("study", ["bayes", "maze", "nld", "path", "twm"])
def test_mutations_of_the_studies_are_accepted_or_one_line(study, tmp_path):
    raw = {key: value for key, value in read_yaml(STUDIES / f"{study}.yaml").items() if not key.startswith("_")}
    assert not refusal(study_of(raw, tmp_path))
    chosen, everywhere = random.Random(study), [*places(raw)]
    refused = [refusal(study_of(mutated(raw, chosen, everywhere), tmp_path)) for _ in range(MUTATIONS)]
    assert sum(map(bool, refused)) > MUTATIONS / 2  # most are mistakes; some, such as another caption, are none


names = st.text(max_size=8) | st.sampled_from(["use", "from", "scales", "environment", "smoke", "laptop", "<<", "_x"])
scalars = st.none() | st.booleans() | st.integers() | st.floats() | names
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3))


@settings(max_examples=EXAMPLES["values"])
@given(section=st.sampled_from(SECTIONS), entry=values)
def test_any_values_in_a_section_are_accepted_or_one_line(tmp_path_factory, section, entry):
    raw = {"paper": {"title": "A paper", "authors": "Somebody", "url": "https://example.org"}}
    raw[section] = {"one": entry} if section != "paper" else entry
    refusal(study_of(raw, tmp_path_factory.getbasetemp()))


@settings(max_examples=EXAMPLES["configurations"])
@given(st.dictionaries(st.sampled_from([*config.Config.model_fields, "x"]), values, max_size=4))
def test_any_configuration_is_accepted_or_one_line(given_values):
    refusal(lambda: parse_config(gathered([STUDIES.parents[1] / "config.yaml"], given_values)))


@settings(max_examples=EXAMPLES["texts"])
@given(st.text(max_size=200) | st.text(alphabet="abc:-[]{},&*!?<>|'\" \n\t#%@`1.", max_size=60))
def test_any_text_is_yaml_or_one_line(text):
    refusal(lambda: parse_yaml(text, "toy.yaml"))


@pytest.mark.parametrize("study", ["bayes", "nld"])
def test_lines_of_the_studies_out_of_order_are_accepted_or_one_line(study, tmp_path):
    chosen = random.Random(study)
    lines = (STUDIES / f"{study}.yaml").read_text(encoding="utf-8").splitlines()
    for _ in range(DISORDERED):
        edited, at, other = [*lines], chosen.randrange(len(lines)), chosen.randrange(len(lines))
        match chosen.choice(["drop", "twice", "swap", "indent", "cut"]):
            case "drop":
                del edited[at]
            case "twice":
                edited.insert(at, edited[at])
            case "swap":
                edited[at], edited[other] = edited[other], edited[at]
            case "indent":
                edited[at] = f"  {edited[at]}"
            case "cut":
                edited[at] = edited[at][: chosen.randrange(len(edited[at]) + 1)]
        path = tmp_path / "toy.yaml"
        path.write_text("\n".join(edited), encoding="utf-8")
        refusal(lambda path=path: Study(path, CONFIG, SOURCE))


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_the_plan_and_its_mistakes_do_not_depend_on_the_locale(encoding):
    """Neither the files, whose text is UTF-8, nor a terminal that cannot show all of it."""
    code = """
import sys
from agentomy.mistakes import ConfigError
from agentomy.pipeline.plan.study import Plan
plan = Plan({"scale": "smoke", "studies": ["bayes"]})
assert "Del\\u00e9tang" in plan.studies["bayes"].paper.authors
try:
    Plan({"scale": "smoke", "studies": ["b\\u00e4yes"]})
except ConfigError as error:
    sys.exit(f"agentomy: {error}")
"""
    # PYTHONUTF8=0 and no coercion: files are read and written in the locale's encoding unless the code says which
    places = {"PYTHONPATH": str(STUDIES.parents[0]), "PATH": os.environ["PATH"]}
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": encoding}
    done = subprocess.run([sys.executable, "-c", code], env={**places, **locale}, capture_output=True)
    said = done.stderr.decode(encoding)
    assert said.startswith("agentomy: config.yaml: studies: no study")
    assert said.count("\n") == 1
