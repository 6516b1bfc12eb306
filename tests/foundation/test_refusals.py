"""Code that cannot be followed is refused with its file and line."""

import pytest

from agentomy.pipeline.source.provenance import Source
from agentomy.pipeline.source.refusals import main, refused, stage_functions
from tests.studies import SOURCE, smoke
from tests.toy_package import package

LOOK = "lenses.lens.look"
# what is refused: the file in which `look` is, other files, and words of the line that says so
REFUSED = {
    "a registry filled by a decorator": (
        """
        from agentomy.lenses.registry import TABLE
        def look(table) -> kinds.SEEN:
            return TABLE["one"]
        """,
        {
            "lenses/registry.py": """
                TABLE = {}
                def register(function):
                    TABLE[function.__name__] = function
                    return function
                """,
            "lenses/one.py": """
                from agentomy.lenses.registry import register
                @register
                def one():
                    return 1
                """,
        },
        "registry.py:3: changes 'TABLE'",
    ),
    "a registry filled from a module that is imported for that": (
        """
        import agentomy.lenses.filling
        from agentomy.lenses.registry import TABLE
        def look(table) -> kinds.SEEN:
            return TABLE["one"]
        """,
        {
            "lenses/registry.py": "TABLE = {}\n",
            "lenses/filling.py": "from agentomy.lenses.registry import TABLE\nTABLE['one'] = 1\n",
        },
        "filling.py:2: changes 'TABLE'",
    ),
    "a registry filled by a method": (
        """
        SEEN = []
        def look(table) -> kinds.SEEN:
            SEEN.append(table)
            return SEEN
        """,
        {},
        "lens.py:3: changes 'SEEN'",
    ),
    "a global": (
        """
        COUNT = 0
        def look(table) -> kinds.SEEN:
            global COUNT
            COUNT += 1
            return COUNT
        """,
        {},
        "lens.py:3: 'global COUNT'",
    ),
    "an attribute of another module that is replaced": (
        """
        from agentomy.lenses import shared
        def look(table) -> kinds.SEEN:
            shared.LIMIT = 3
            return shared.LIMIT
        """,
        {"lenses/shared.py": "LIMIT = 2\n"},
        "lens.py:3: changes 'LIMIT'",
    ),
    "a class that is patched": (
        """
        from agentomy.lenses.shared import Lens
        def look(table) -> kinds.SEEN:
            setattr(Lens, "power", 3)
            return Lens()
        """,
        {"lenses/shared.py": "class Lens:\n    power = 2\n"},
        "lens.py:3: changes 'Lens'",
    ),
    "getattr on a module": (
        """
        from agentomy.lenses import shared
        def look(table, name) -> kinds.SEEN:
            return getattr(shared, name)
        """,
        {"lenses/shared.py": "LIMIT = 2\n"},
        "lens.py:3: the module 'agentomy.lenses.shared' as a value",
    ),
    "getattr on a package": (
        """
        import agentomy.lenses
        def look(table, name) -> kinds.SEEN:
            return getattr(agentomy.lenses, name)
        """,
        {},
        "lens.py:3: the module 'agentomy.lenses' as a value",
    ),
    "a module that is handed over": (
        """
        from agentomy.lenses import shared
        def look(table) -> kinds.SEEN:
            return vars(shared)["LIMIT"]
        """,
        {"lenses/shared.py": "LIMIT = 2\n"},
        "lens.py:3: the module 'agentomy.lenses.shared' as a value",
    ),
    "import_module": (
        """
        import importlib
        def look(table, name) -> kinds.SEEN:
            return importlib.import_module(name)
        """,
        {},
        "lens.py:3: 'importlib.import_module'",
    ),
    "import_module by another name": (
        """
        def look(table, name) -> kinds.SEEN:
            from importlib import import_module as get
            return get(name)
        """,
        {},
        "lens.py:2: 'importlib.import_module'",
    ),
    "__import__": (
        "def look(table, name) -> kinds.SEEN:\n    return __import__(name)\n",
        {},
        "lens.py:2: '__import__'",
    ),
    "eval": ("def look(table, text) -> kinds.SEEN:\n    return eval(text)\n", {}, "lens.py:2: 'eval'"),
    "exec": ("def look(table, text) -> kinds.SEEN:\n    exec(text)\n", {}, "lens.py:2: 'exec'"),
    "globals": ("def look(table, name) -> kinds.SEEN:\n    return globals()[name]\n", {}, "lens.py:2: 'globals'"),
    "sys.modules": (
        "import sys\ndef look(table, name) -> kinds.SEEN:\n    return sys.modules[name]\n",
        {},
        "lens.py:3: 'sys.modules'",
    ),
    "an import that may fail": (
        """
        try:
            import scipy
        except ImportError:
            scipy = None
        def look(table) -> kinds.SEEN:
            return scipy
        """,
        {},
        "lens.py:1: 'try' at the top of a module",
    ),
    "an import on a condition": (
        """
        import sys
        if sys.platform == "linux":
            from agentomy.lenses import shared
        else:
            from agentomy.lenses import other as shared
        def look(table) -> kinds.SEEN:
            return shared.LIMIT
        """,
        {"lenses/shared.py": "LIMIT = 2\n", "lenses/other.py": "LIMIT = 3\n"},
        "lens.py:2: 'if' at the top of a module",
    ),
    "an import on a condition in a function": (
        """
        def look(table, fast) -> kinds.SEEN:
            if fast:
                from agentomy.lenses.shared import LIMIT
            else:
                LIMIT = 3
            return LIMIT
        """,
        {"lenses/shared.py": "LIMIT = 2\n"},
        "'LIMIT' is bound by an import and otherwise",
    ),
    "a name imported and defined": (
        """
        from agentomy.lenses.shared import limit
        def limit():
            return 3
        def look(table) -> kinds.SEEN:
            return limit()
        """,
        {"lenses/shared.py": "def limit():\n    return 2\n"},
        "lens.py:2: 'limit' is bound by an import and otherwise",
    ),
    "a loop at the top of a module": (
        """
        TABLE = {}
        for number in range(3):
            TABLE[number] = number
        def look(table) -> kinds.SEEN:
            return TABLE
        """,
        {},
        "lens.py:2: 'for' at the top of a module",
    ),
    "a with at the top of a module": (
        """
        with open("limit") as handle:
            LIMIT = int(handle.read())
        def look(table) -> kinds.SEEN:
            return LIMIT
        """,
        {},
        "lens.py:1: 'with' at the top of a module",
    ),
    "a definition that is deleted": (
        "LIMIT = 2\ndel LIMIT\ndef look(table) -> kinds.SEEN:\n    return 1\n",
        {},
        "lens.py:2: 'delete' at the top of a module",
    ),
    "a star import": (
        "from agentomy.lenses.shared import *\ndef look(table) -> kinds.SEEN:\n    return LIMIT\n",
        {"lenses/shared.py": "LIMIT = 2\n"},
        "lens.py:1: 'from agentomy.lenses.shared import *'",
    ),
    "__getattr__ of a module": (
        "from agentomy.lenses import shared\ndef look(table) -> kinds.SEEN:\n    return shared.LIMIT\n",
        {"lenses/shared.py": "def __getattr__(name):\n    return 2\n"},
        "lens.py:3: 'agentomy.lenses.shared.LIMIT': there is no such name",
    ),
    "a name from nowhere": (
        "def look(table) -> kinds.SEEN:\n    return helper(table)\n",
        {},
        "lens.py:2: 'helper' is defined nowhere",
    ),
    "a file name put together by an f-string": (
        """
        import json
        def look(table, name) -> kinds.SEEN:
            return json.load(open(f"data/{name}.json"))
        """,
        {"lenses/data/runs.json": "[1]"},
        "lens.py:3: a file name put together",
    ),
    "whatever is in a folder": (
        """
        from pathlib import Path
        FOLDER = Path(__file__).parent / "data"
        def look(table) -> kinds.SEEN:
            return [path.read_text() for path in FOLDER.iterdir()]
        """,
        {"lenses/data/runs.csv": "1"},
        "lens.py:2: reads files from where it lies and names none of them",
    ),
    "whatever in a folder ends so": (
        """
        from pathlib import Path
        FOLDER = Path(__file__).parent / "data"
        def look(table) -> kinds.SEEN:
            return [path.read_text() for path in FOLDER.glob("*.csv")]
        """,
        {"lenses/data/runs.csv": "1"},
        "lens.py:4: '*.csv' is no file",
    ),
    "derived classes": (
        """
        class Lens:
            pass
        def look(table) -> kinds.SEEN:
            return Lens.__subclasses__()
        """,
        {},
        "lens.py:4: __subclasses__",
    ),
    "a class that learns of those derived from it": (
        """
        class Lens:
            known = []
            def __init_subclass__(cls):
                Lens.known.append(cls)
        def look(table) -> kinds.SEEN:
            return Lens.known
        """,
        {},
        "lens.py:1: __init_subclass__",
    ),
    "a name that is put together and then looked up": (
        """
        from agentomy.names import resolve
        TABLE = {"one-fast": max, "one-slow": min}
        def look(table, name) -> kinds.SEEN:
            return resolve(TABLE, f"{name}-fast")
        """,
        {},
        "lens.py:4: a name put together",
    ),
    "package data by pkgutil": (
        "import pkgutil\ndef look(table) -> kinds.SEEN:\n    return pkgutil.get_data('agentomy', 'x')\n",
        {},
        "lens.py:3: 'pkgutil.get_data'",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_followed_is_refused_where_it_stands(tmp_path, case):
    text, files, expected = REFUSED[case]
    root = package(tmp_path, {"lenses/lens.py": text, **files})
    lines = [*refused(Source(root), [LOOK])]
    assert any(expected in line for line in lines), lines


def test_what_no_stage_function_reaches_is_not_judged(tmp_path):
    text = "def look(table) -> kinds.SEEN:\n    return 1\ndef other(name):\n    return eval(name)\n"
    root = package(tmp_path, {"lenses/lens.py": text})
    assert stage_functions(Source(root)) == [LOOK]
    assert [*refused(Source(root), [LOOK])] == []


def test_the_package_itself_can_be_followed():
    assert [*refused(SOURCE, stage_functions(SOURCE))] == []


def test_every_function_that_a_study_names_is_judged():
    places = {
        place
        for study in smoke().studies.values()
        for stage in ("environments", "training", "checkpoints", "metrics", "figures")
        for entry in study.entries[stage]
        for place in study.code(stage, entry)
        if not place.startswith("pipeline.")
    }
    assert places <= set(stage_functions(SOURCE))


def test_the_command_says_nothing_where_all_is_well(capsys):
    assert main() == 0
    assert capsys.readouterr().err == ""
