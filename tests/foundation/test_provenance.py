"""The code an artifact depends on: what its function really uses, inside its module and through the package."""

import textwrap

import pytest

from agentomy.provenance import Source, UnknownName
from tests.package import SOURCE

FILES = {
    "__init__.py": '"""A package."""\n',
    "tables.py": "def read():\n    return 1\n\ndef write():\n    return 2\n",
    "metrics/__init__.py": "",
    "metrics/shared.py": """
        import numpy as np
        FACTOR = 3
        def scaled(x):
            return x * FACTOR
        def unused():
            return np.zeros(1)
        """,
    "metrics/gap.py": """
        import pandas
        from agentomy import tables
        from agentomy.metrics.shared import scaled
        from agentomy.metrics import shared as other

        LIMIT = 5

        def gap(table):
            return helper(tables.read())

        def helper(x):
            return scaled(x)

        def regret(table):
            import scipy
            return pandas.DataFrame() if LIMIT else other.unused()

        def everything(table):
            return getattr(other, "scaled")

        class Agent(Base):
            pass

        class Base:
            def advance(self):
                return gap
        """,
}


@pytest.fixture
def package(tmp_path):
    for name, text in FILES.items():
        path = tmp_path / "agentomy" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
    return tmp_path / "agentomy"


def digests(package):
    source = Source(package)
    return {name: source.digest(f"metrics.gap.{name}") for name in ("gap", "regret", "everything", "Agent")}


def changed(package, file, before, after):
    first = digests(package)
    path = package / file
    assert before in path.read_text()
    path.write_text(path.read_text().replace(before, after))
    second = digests(package)
    return {name for name in first if first[name] != second[name]}


@pytest.mark.parametrize(
    ("file", "before", "after", "expected"),
    [
        ("metrics/gap.py", "helper(tables.read())", "helper(tables.read() + 1)", {"gap", "Agent"}),
        ("metrics/gap.py", "return scaled(x)", "return scaled(x + 1)", {"gap", "Agent"}),
        ("metrics/gap.py", "LIMIT = 5", "LIMIT = 6", {"regret"}),
        ("metrics/gap.py", "return gap", "return None", {"Agent"}),
        ("metrics/shared.py", "FACTOR = 3", "FACTOR = 4", {"gap", "everything", "Agent"}),
        ("metrics/shared.py", "np.zeros(1)", "np.zeros(2)", {"regret", "everything"}),
        ("tables.py", "return 1", "return 3", {"gap", "Agent"}),
        ("tables.py", "return 2", "return 3", set()),
        ("__init__.py", '"""A package."""', "print()", {"gap", "regret", "everything", "Agent"}),
    ],
)
def test_an_edit_reaches_exactly_those_who_use_it(package, file, before, after, expected):
    assert changed(package, file, before, after) == expected


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("def gap(table):", "# why\n\ndef gap(table):"),
        ("def gap(table):\n", 'def gap(table):\n    """Say what it is."""\n'),
        ("return scaled(x)", "return (\n        scaled(x)\n    )"),
    ],
)
def test_comments_docstrings_and_layout_do_not_count(package, before, after):
    assert changed(package, "metrics/gap.py", before, after) == set()


def test_libraries_count_by_version_only_where_they_are_used(package):
    source = Source(package)
    assert set(source.versions("metrics.gap.gap")) == set()
    assert set(source.versions("metrics.gap.regret")) == {"numpy", "pandas", "scipy"}


@pytest.mark.parametrize(
    ("place", "words"),
    [("metrics.gaps.gap", ["gaps", "gap, shared"]), ("metrics.gap.gep", ["gep", "gap", "regret"])],
)
def test_an_unknown_function_is_named_with_what_there_is(package, place, words):
    with pytest.raises(UnknownName) as error:
        Source(package).find(place)
    assert all(word in str(error.value) for word in words)


def test_the_real_closure_of_a_figure_has_no_training_code_in_it():
    used, libraries = SOURCE.closure("figures.bayes.convergence")
    assert not {module.split(".")[1] for module, _ in used if "." in module} & {"agents", "networks", "environments"}
    assert "torch" not in libraries


def test_what_a_kind_says_for_people_does_not_count(package):
    kinds = 'from agentomy.tables import Column\nRUN = Column("run", "text", "the run", unit="s")\n'
    (package / "kinds.py").write_text(kinds)
    (package / "metrics" / "gap.py").write_text("from agentomy import kinds\ndef gap(table):\n    return kinds.RUN\n")
    before = Source(package).digest("metrics.gap.gap")
    for edit, same in [(("the run", "its run"), True), (('"text"', '"number"'), False)]:
        (package / "kinds.py").write_text(kinds.replace(*edit))
        assert (Source(package).digest("metrics.gap.gap") == before) is same


def test_a_data_file_beside_a_module_counts_for_whoever_names_it(package):
    (package / "metrics" / "data").mkdir()
    (package / "metrics" / "data" / "runs.csv").write_text("game,score\nPong,21\n")
    path = package / "metrics" / "shared.py"
    path.write_text(path.read_text() + '\nRUNS = "data/runs.csv"\ndef read():\n    return open(RUNS)\n')

    def digests():
        return [Source(package).digest(f"metrics.shared.{name}") for name in ("read", "scaled")]

    before = digests()
    assert digests() == before
    (package / "metrics" / "data" / "runs.csv").write_text("game,score\nPong,20\n")
    assert [was == now for was, now in zip(before, digests(), strict=True)] == [False, True]


def test_what_runs_only_as_a_program_does_not_count(package):
    before = Source(package).digest("tables.read")
    path = package / "tables.py"
    path.write_text(path.read_text() + '\nif __name__ == "__main__":\n    write()\n')
    assert Source(package).digest("tables.read") == before


def test_the_real_closure_of_a_training_run_has_its_network_its_driver_and_its_random_streams():
    used, _ = SOURCE.closure("agents.predictor.Predictor", "stages.run_training")
    assert {
        ("agentomy.networks.recurrent", "LSTMNetwork"),
        ("agentomy.networks.recurrent", "LSTM"),
        ("agentomy.agents.driver", "train"),
        ("agentomy.seeds", "Streams"),
        ("agentomy.tables", "Table"),
        ("agentomy.stages", "prepare_torch"),
    } <= set(used)
    assert "agentomy.figures.style" not in {module for module, _ in used}
