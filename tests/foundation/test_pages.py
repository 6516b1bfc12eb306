"""The pages and the schema of study files are what the code says, and they say it of everything."""

import json
import re
import runpy

import pytest
from jsonschema import Draft7Validator
from jsonschema.exceptions import ValidationError as SchemaError
from pydantic import TypeAdapter, ValidationError

from agentomy.mistakes import keys
from agentomy.pipeline.plan import entries, glossary
from agentomy.pipeline.plan.catalogue import Usable, usable
from agentomy.pipeline.plan.config import Closed
from agentomy.pipeline.plan.resources import Resources
from agentomy.pipeline.plan.schema import schema_of
from agentomy.pipeline.source.provenance import Source
from agentomy.yaml_files import parse_yaml, read_yaml
from tests import toy_package
from tests.pipeline.trees import ROOT
from tests.studies import SOURCE, smoke

STUDIES = ROOT / "workflow" / "studies"
TINY = ROOT / "examples" / "tiny.yaml"
SCHEMA = json.loads((STUDIES / "schema.json").read_text(encoding="utf-8"))
MODELS = [
    model
    for model in (*vars(entries).values(), Resources)
    if isinstance(model, type) and issubclass(model, (Closed, entries.Named)) and model is not Closed
]


@pytest.fixture(scope="module")
def functions() -> list[Usable]:
    """Everything that a study file can name."""
    return usable(SOURCE)


def script(name):
    return runpy.run_path(str(ROOT / "docs" / name), run_name="page")["page"]


# ---- pages ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "page"),
    [
        ("docs/study-file.md", lambda: script("study_file.py")()),
        ("docs/lenses.md", lambda: script("functions.py")("lenses", SOURCE)),
        ("docs/agents.md", lambda: script("functions.py")("agents", SOURCE)),
        ("workflow/studies/schema.json", lambda: script("schema.py")(SOURCE)),
    ],
)
def test_each_page_is_what_the_code_says(file, page):
    assert (ROOT / file).read_text(encoding="utf-8") == page(), "run `make docs`"


def test_links_between_the_pages_lead_somewhere():
    pages = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "docs").glob("*.md")}
    anchor = runpy.run_path(str(ROOT / "docs" / "functions.py"), run_name="page")["anchor"]
    headings = {name: set(map(anchor, re.findall("^#+ (.*)$", text, re.MULTILINE))) for name, text in pages.items()}
    for name in ("study-file.md", "lenses.md", "agents.md"):
        for target, place in re.findall(r"\]\(([\w.-]*\.md)?(?:#([\w-]+))?\)", pages[name]):
            assert not place or place in headings[target or name], f"{name}: {target}#{place}"
        assert "](artifacts.md" in pages[name] or name == "study-file.md"


def test_every_function_that_a_study_names_is_found_at_its_stage(functions):
    known = {(function.stage, function.use) for function in functions}
    for study in smoke().studies.values():
        for stage, named in study.entries.items():
            assert {(stage, entry.use) for entry in named.values()} <= known
        assert {("plugin", run.plugin.use) for run in study.entries["training"].values() if run.plugin} <= known


def test_every_function_and_parameter_says_what_it_is(functions):
    silent = [function.use for function in functions if not function.says]
    silent += [
        f"{function.use}: {name.name}" for function in functions for name in function.parameters if not name.meaning
    ]
    assert not silent, "a docstring; a comment behind the parameter, or a sentence of the docstring with its `name`"


def test_every_default_is_a_value_that_is_allowed(functions):
    for function in functions:
        for parameter in (name for name in function.parameters if not name.required):
            value = json.loads(json.dumps(parameter.default))
            function.signature.checked(parameter.name, value)


def test_a_function_is_found_wherever_its_module_stands(tmp_path):
    measure = """
        from agentomy import kinds
        from agentomy.values import Share

        def routes(levels: kinds.maze.LEVELS, *, near: Share = 0.5) -> kinds.maze_behaviour.CHANCES:  # of none
            \"\"\"How often agents come `near`. They may not.\"\"\"

        def helper(levels: kinds.maze.LEVELS, array) -> kinds.maze_behaviour.CHANCES:
            pass
        """
    draw = """
        LAST = 3

        def routes(
            chances: kinds.maze_behaviour.CHANCES,
            *,
            seed: Natural = LAST,
            lines: Count,  # how many are drawn
        ) -> Figure:
            \"\"\"Routes.\"\"\"
        """
    files = {"papers/maze/measure/routes.py": measure, "papers/maze/draw/routes.py": draw}
    figure, metric = usable(Source(toy_package.package(tmp_path, files)))
    assert (metric.stage, metric.use) == ("metrics", "papers.maze.measure.routes.routes")
    assert [parameter.meaning for parameter in metric.parameters] == ["How often agents come `near`."]
    assert (figure.stage, figure.use) == ("figures", "papers.maze.draw.routes.routes")
    assert [parameter.meaning for parameter in figure.parameters] == [glossary.PARAMETERS["seed"], "how many are drawn"]
    assert [parameter.default for parameter in figure.parameters] == [3, None]


def test_the_glossary_has_no_word_that_no_function_takes_as_it_says(functions):
    taken = {(name.name, name.meaning) for function in functions for name in function.parameters}
    assert set(glossary.PARAMETERS.items()) <= taken


@pytest.mark.parametrize("model", MODELS)
def test_every_key_says_what_it_means_with_an_example_that_is_allowed(model):
    assert model.__doc__
    for key, field in zip(keys(model), model.model_fields.values(), strict=True):
        assert field.description, key
        assert field.examples or key == "tests"
        for example in field.examples or []:
            TypeAdapter(field.rebuild_annotation()).validate_python(example, strict=True)


# ---- the schema -----------------------------------------------------------------------------------------------------


def marked(study):
    """The places in a study file that its schema marks."""
    return {".".join(map(str, error.absolute_path)) for error in Draft7Validator(SCHEMA).iter_errors(study)}


def test_the_schema_is_one():
    Draft7Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("path", [*sorted(STUDIES.glob("*.yaml")), TINY], ids=lambda path: path.stem)
def test_every_study_file_fits_the_schema_and_names_it(path):
    assert path.read_text(encoding="utf-8").startswith("# yaml-language-server: $schema=schema.json\n")
    assert (path.parent / "schema.json").read_text(encoding="utf-8") == (STUDIES / "schema.json").read_text("utf-8")
    assert marked(read_yaml(path)) == set()


@pytest.mark.parametrize(
    ("written", "instead", "place"),
    [
        ("environments:", "enviroments:", ""),
        ("predictor.Predictor", "predictor.Predicter", "training.predictor.use"),
        ("width: 8", "width: 0", "training.predictor.width"),
        ("width: 8", "width: {smoke: 8, laptop: 16}", "training.predictor.width"),
        ("width: 8", "breadth: 8", "training.predictor"),
        ("seeds: 3", "seeds: many", "training.predictor.seeds"),
        ("snapshots: {even: 20}", "snapshots: {evenly: 20}", "training.predictor.snapshots"),
        ("of: [predictor]", "of: predictor", "checkpoints.gram.of"),
        ("from: [gram]", "from: []", "metrics.directions.from"),
        ("variant: delta", "variant: detla", "figures.courses.variant"),
        ("prior: [2, 1]", "prior: [2, 1, 1]", "environments.coins.prior"),
        ("prior: [2, 1]", "prior: [2, {smoke: 1, laptop: 2, paper: -1}]", "environments.coins.prior"),
        ('"> 0.5"', '"0.5"', "claims.C1.tests"),
    ],
)
def test_the_schema_marks_what_the_plan_would_refuse(written, instead, place):
    text = TINY.read_text(encoding="utf-8")
    assert written in text
    assert marked(parse_yaml(text.replace(written, instead, 1), "tiny.yaml")) == {place}


def test_values_may_depend_on_the_scale_in_lists_too():
    text = TINY.read_text(encoding="utf-8").replace("prior: [2, 1]", "prior: [2, {smoke: 1, laptop: 2, paper: 3}]")
    assert marked(parse_yaml(text, "tiny.yaml")) == set()


VALUES = [None, True, -1, 0, 0.5, 1, 2, 3, 10**10, "", "a", "all", [], [0.5], [1], [1, 2], ["a"], [[1, 1]]]
VALUES += [{}, {"a": 1}, {"a": "b"}, {"a": ["b"]}, {"a": None}, {"one": 0.5}, {"a": {"b": "c"}}]


def test_the_schema_of_a_type_allows_what_the_type_does(functions):
    taken = [(f"{use.use}.{parameter.name}", parameter.type) for use in functions for parameter in use.parameters]
    differ = []
    for name, type_ in {repr(type_): (name, type_) for name, type_ in taken}.values():  # each type once
        adapter, validator = TypeAdapter(type_), Draft7Validator(schema_of(type_))
        differ += [
            (name, value)
            for value in VALUES
            if accepts(adapter.validate_python, value, strict=True) != accepts(validator.validate, value)
        ]
    assert differ == []


def accepts(check, value, **options):
    try:
        check(value, **options)
    except (ValidationError, SchemaError):
        return False
    return True
