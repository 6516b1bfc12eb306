"""The code an artifact depends on: what its function really uses, inside its module and through the package."""

import pytest

from agentomy.names import texts
from agentomy.pipeline.source.provenance import Source, UnknownName
from tests import toy_package
from tests.toy_package import changed, edited

FILES = {
    "__init__.py": '"""A package."""\n',
    "loading.py": "def read():\n    return 1\n\ndef write():\n    return 2\n",
    "lenses/shared.py": """
        import numpy as np
        FACTOR = 3
        def scaled(x):
            return x * FACTOR
        def unused():
            return np.zeros(1)
        """,
    "lenses/gap.py": """
        import pandas
        from agentomy import loading
        from agentomy.lenses.shared import scaled
        from agentomy.lenses import shared as other

        LIMIT = 5

        def gap(table):
            return helper(loading.read())

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
PLACES = [f"lenses.gap.{name}" for name in ("gap", "regret", "everything", "Agent")]


@pytest.fixture
def package(tmp_path):
    return toy_package.package(tmp_path, FILES)


def names_of(places):
    return {place.rpartition(".")[2] for place in places}


@pytest.mark.parametrize(
    ("file", "before", "after", "expected"),
    [
        ("lenses/gap.py", "helper(loading.read())", "helper(loading.read() + 1)", {"gap", "Agent"}),
        ("lenses/gap.py", "return scaled(x)", "return scaled(x + 1)", {"gap", "Agent"}),
        ("lenses/gap.py", "LIMIT = 5", "LIMIT = 6", {"regret"}),
        ("lenses/gap.py", "return gap", "return None", {"Agent"}),
        ("lenses/shared.py", "FACTOR = 3", "FACTOR = 4", {"gap", "everything", "Agent"}),
        ("lenses/shared.py", "np.zeros(1)", "np.zeros(2)", {"regret", "everything"}),
        ("loading.py", "return 1", "return 3", {"gap", "Agent"}),
        ("loading.py", "return 2", "return 3", set()),
        ("__init__.py", '"""A package."""', "print()", {"gap", "regret", "everything", "Agent"}),
    ],
)
def test_an_edit_reaches_exactly_those_who_use_it(package, file, before, after, expected):
    assert names_of(changed(package, PLACES, file, before, after)) == expected


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("def gap(table):", "# why\n\ndef gap(table):"),
        ("def gap(table):\n", 'def gap(table):\n    """Say what it is."""\n'),
        ("return scaled(x)", "return (\n        scaled(x)\n    )"),
    ],
)
def test_comments_docstrings_and_layout_do_not_count(package, before, after):
    assert changed(package, PLACES, "lenses/gap.py", before, after) == set()


def test_libraries_count_by_version_only_where_they_are_used(package):
    source = Source(package)
    assert set(source.versions("lenses.gap.gap")) == set()
    assert set(source.versions("lenses.gap.regret")) == {"numpy", "pandas", "scipy"}


@pytest.mark.parametrize(
    ("place", "words"),
    [("lenses.gaps.gap", ["gaps", "lenses.gap, lenses.shared"]), ("lenses.gap.gep", ["gep", "gap", "regret"])],
)
def test_an_unknown_function_is_named_with_what_there_is(package, place, words):
    with pytest.raises(UnknownName) as error:
        Source(package).find(place)
    assert all(word in str(error.value) for word in words)


def edit(package, text, before, after, names=(), file="lenses/lens.py", place="lenses.lens.look"):
    """Whether an edit of a file changes the digest of a function in it."""
    toy_package.package(package.parent, {file: text})
    return bool(changed(package, [place], file, before, after, names))


ERRORS = """
    def require(condition, message):
        if not condition:
            raise ValueError(message)

    def check(x):
        assert x, f"found {x}"
        return x

    def look(table):
        require(table.ready, f"not ready: {table}")
        if not table.rows:
            raise KeyError("no rows", 3) from None
        return check(table)
    """


@pytest.mark.parametrize(
    ("before", "after", "counts"),
    [
        ('"no rows", 3', '"none", 4', False),
        ('f"found {x}"', '"wrong"', False),
        ('f"not ready: {table}"', '"wait"', False),
        ("KeyError", "IndexError", True),
        ("not table.rows", "table.rows", True),
        ("table.ready,", "table.whole,", True),
        ("if not condition", "if condition", True),
        ('f"not ready: {table}"', "str(table.pop())", True),  # which does something
    ],
)
def test_texts_of_errors_do_not_count(package, before, after, counts):
    assert edit(package, ERRORS, before, after) is counts


def test_progress_does_not_count(package):
    text = """
        class Agent:
            def advance(self):
                self.progress.say("one")
                return 1

        def worked(x, progress):
            progress.step(1, 2, "steps")
            return x

        def look(table, *, progress):
            for number in range(3):
                progress.step(number, 3, "rows")
            return worked(table, progress), Agent()
        """
    assert not edit(package, text, '"one"', '"two"')
    assert not edit(package, text, 'progress.step(1, 2, "steps")\n', 'progress.step(2, 4, "x")\n')
    assert not edit(package, text, 'progress.step(number, 3, "rows")', "pass")
    assert edit(package, text, "return 1", "return 2")


MOVED = {
    "lenses/one.py": """
        import numpy as np
        from agentomy.lenses import shared
        FACTOR = 2
        def inner(x):
            return np.abs(x) * FACTOR
        def look(table):
            return inner(shared.scaled(table))
        """,
    "lenses/other.py": "FACTOR = 5\n",
}
ELSEWHERE = {
    "lenses/one.py": """
        from agentomy.figures.drawing import absolute
        from agentomy.lenses.shared import scaled as s
        def look(table):
            return absolute(s(table))
        """,
    "figures/drawing.py": """
        from numpy import abs as size
        from agentomy.lenses import one
        from agentomy.lenses.constants import FACTOR
        def absolute(x):
            return size(x) * FACTOR
        """,
    "lenses/constants.py": "FACTOR = 2\n",
}


def test_what_moves_unchanged_changes_nothing(package):
    # but a function that gets another name is another function
    text = {file: source.replace("absolute", "inner") for file, source in ELSEWHERE.items()}
    toy_package.package(package.parent, MOVED)
    before = Source(package).digest("lenses.one.look")
    toy_package.package(package.parent, text)
    assert Source(package).digest("lenses.one.look") == before
    edited(package, "lenses/constants.py", "2", "5")
    assert Source(package).digest("lenses.one.look") != before


def test_functions_of_one_name_are_told_apart_by_what_they_are(package):
    one = {
        "lenses/one.py": "def inner():\n    return 1\ndef look():\n    return inner()\n",
        "lenses/two.py": "def inner():\n    return 2\ndef look():\n    return inner()\n",
        "lenses/lens.py": "from agentomy.lenses import one, two\ndef look():\n    return one.look(), two.look()\n",
    }
    toy_package.package(package.parent, one)
    before = Source(package).digest("lenses.lens.look")
    edited(package, "lenses/lens.py", "one.look(), two.look()", "two.look(), one.look()")
    assert Source(package).digest("lenses.lens.look") != before
    edited(package, "lenses/lens.py", "two.look(), one.look()", "one.look(), one.look()")
    assert Source(package).digest("lenses.lens.look") != before


TABLE = """
    from agentomy.names import resolve

    def slow(x):
        return x

    def fast(x):
        return x + 1

    class Grey:
        pass

    class Coloured:
        pass

    WAYS = {"slow": slow, "fast": fast}
    PAINTERS = {Grey: lambda x: 10, Coloured: lambda x: 20}

    def look(table, way):
        return resolve(WAYS, way)(table)

    def always(table):
        return resolve(WAYS, "fast")(table)

    def paint(table):
        return resolve(PAINTERS, type(table))

    def painted(table):
        return paint(Grey())

    def every(table):
        return [way(table) for way in WAYS.values()]
    """


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("return x + 1", "return x + 2", {"always", "every"}),
        ("return x\n", "return -x\n", {"look", "always", "every"}),
        ('"fast": fast', '"fast": fast, "more": max', {"every"}),
        ('"slow": slow, "fast": fast', '"fast": fast, "slow": slow', {"every"}),
        ("x: 10", "x: 11", {"painted"}),
        ("x: 20", "x: 21", set()),
    ],
)
def test_of_a_table_of_names_counts_what_names_can_mean(package, before, after, expected):
    toy_package.package(package.parent, {"lenses/lens.py": TABLE})
    places = [f"lenses.lens.{name}" for name in ("look", "always", "painted", "every")]
    assert names_of(changed(package, places, "lenses/lens.py", before, after, names=["slow"])) == expected


def test_networks_count_for_whoever_rebuilds_them_by_name(package):
    files = {
        "networks/small.py": "class Small:\n    width = 1\n",
        "networks/large.py": "class Large:\n    width = 2\n",
        "agents/one.py": """
            from agentomy import networks
            from agentomy.networks.small import Small
            class Agent:
                network = {"use": networks.use(Small)}
            """,
        "checkpoints/lens.py": """
            from agentomy import networks
            def look(parameters, said):
                return networks.build(said, 2)
            """,
    }
    toy_package.package(package.parent, files)
    source = Source(package)
    names = source.words("agents.one.Agent")
    assert "networks.small.Small" in names
    assert not changed(package, ["checkpoints.lens.look"], "networks/small.py", "1", "3")
    assert changed(package, ["checkpoints.lens.look"], "networks/small.py", "3", "4", names)
    assert not changed(package, ["checkpoints.lens.look"], "networks/large.py", "2", "5", names)
    assert not changed(package, ["checkpoints.lens.look"], "agents/one.py", '"use"', '"used"', names)


def test_names_are_found_in_parameters_wherever_they_are():
    given = {"use": "arcade.atari", "deep": [{"way": "fast"}, 3, None]}
    assert set(texts(given)) >= {"use", "arcade.atari", "atari", "deep", "way", "fast"}


def test_the_engine_does_not_count_but_what_it_calls_does(package):
    files = {
        "pipeline/run/stages.py": """
            from agentomy import kinds, loading, tables
            def run_metrics(job):
                return helper(loading.read(), kinds.common.LOG)
            def helper(found, kind):
                return tables.read()
            """,
        "kinds/__init__.py": "LOG = 1\n",
    }
    toy_package.package(package.parent, files)
    places = ["pipeline.run.stages.run_metrics"]
    assert not changed(package, places, "pipeline/run/stages.py", "return helper(", "return 2 * helper(")
    assert not changed(package, places, "tables.py", "return 1", "return 3")
    assert not changed(package, places, "kinds/__init__.py", "1", "2")
    assert changed(package, places, "loading.py", "return 1", "return 3")


def test_what_gives_a_frame_counts_as_pandas(package):
    text = "def look(table):\n    return table.frame()\ndef other(table):\n    return table.arrow()\n"
    toy_package.package(package.parent, {"lenses/lens.py": text})
    source = Source(package)
    assert "pandas" in source.versions("lenses.lens.look")
    assert "pandas" not in source.versions("lenses.lens.other")


def test_the_engine_counts_by_the_libraries_that_it_uses(package):
    files = {"lenses/lens.py": "from agentomy import tables\ndef look():\n    return tables.Table()\n"}
    toy_package.package(package.parent, files)
    assert set(Source(package).versions("lenses.lens.look")) == {"pyarrow"}


def test_what_a_kind_says_for_people_does_not_count(package):
    kinds = 'from agentomy.tables import Column\nRUN = Column("run", "text", "the run", unit="s")\n'
    (package / "kinds.py").write_text(kinds)
    (package / "lenses" / "gap.py").write_text("from agentomy import kinds\ndef gap(table):\n    return kinds.RUN\n")
    before = Source(package).digest("lenses.gap.gap")
    for edit, same in [(("the run", "its run"), True), (('"text"', '"number"'), False)]:
        (package / "kinds.py").write_text(kinds.replace(*edit))
        assert (Source(package).digest("lenses.gap.gap") == before) is same


def test_a_data_file_beside_a_module_counts_for_whoever_names_it(package):
    (package / "lenses" / "data").mkdir()
    (package / "lenses" / "data" / "runs.csv").write_text("game,score\nPong,21\n")
    path = package / "lenses" / "shared.py"
    path.write_text(path.read_text() + '\nRUNS = "data/runs.csv"\ndef read():\n    return open(RUNS)\n')

    def digests():
        return [Source(package).digest(f"lenses.shared.{name}") for name in ("read", "scaled")]

    before = digests()
    assert digests() == before
    (package / "lenses" / "data" / "runs.csv").write_text("game,score\nPong,20\n")
    assert [was == now for was, now in zip(before, digests(), strict=True)] == [False, True]


def test_what_runs_only_as_a_program_does_not_count(package):
    before = Source(package).digest("loading.read")
    path = package / "loading.py"
    path.write_text(path.read_text() + '\nif __name__ == "__main__":\n    write()\n')
    assert Source(package).digest("loading.read") == before
