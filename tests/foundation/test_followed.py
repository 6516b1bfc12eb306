"""Code that looks as if it could not be followed is followed rightly."""

import pytest

from agentomy.pipeline.source.provenance import Source
from agentomy.pipeline.source.refusals import refused
from tests.toy_package import changed, package

LOOK = "lenses.lens.look"
# what is followed: the file in which `look` is, other files, an edit, and whether it counts
FOLLOWED = {
    "a local import in the place of a name of the module": (
        """
        from agentomy.lenses.shared import limit
        def look(table) -> kinds.SEEN:
            from agentomy.lenses.other import limit
            return limit()
        """,
        {"lenses/shared.py": "def limit():\n    return 2\n", "lenses/other.py": "def limit():\n    return 3\n"},
        [("lenses/other.py", "3", "4", True), ("lenses/shared.py", "2", "5", False)],
    ),
    "a local variable called like a function of the module": (
        """
        def limit():
            return 2
        def look(table) -> kinds.SEEN:
            limit = 3
            return limit
        """,
        {},
        [("lenses/lens.py", "return 2", "return 5", False)],
    ),
    "a comprehension's variable called like one": (
        """
        def limit():
            return 2
        def look(table) -> kinds.SEEN:
            return [limit for limit in table]
        """,
        {},
        [("lenses/lens.py", "return 2", "return 5", False)],
    ),
    "a method called like one": (
        """
        def limit():
            return 2
        class Lens:
            def limit(self):
                return limit()
        def look(table) -> kinds.SEEN:
            return Lens().limit()
        """,
        {},
        [("lenses/lens.py", "return 2", "return 5", True)],
    ),
    "a class of ours that is called Column": (
        """
        class Column:
            def __init__(self, name, type, meaning):
                self.meaning = meaning
        def look(table) -> kinds.SEEN:
            return Column("a", "b", "what it means").meaning
        """,
        {},
        [("lenses/lens.py", "what it means", "something else", True)],
    ),
    "the real Column under another name": (
        """
        from agentomy.tables import Column as C
        def look(table) -> kinds.SEEN:
            return C("a", "b", "what it means", unit="s").name
        """,
        {},
        [("lenses/lens.py", "what it means", "something else", False), ("lenses/lens.py", '"b"', '"c"', True)],
    ),
    "a table that goes on in further statements": (
        """
        TABLE = {"one": 1}
        TABLE["two"] = 2
        TABLE.update(three=3)
        def look(table) -> kinds.SEEN:
            return TABLE
        """,
        {},
        [("lenses/lens.py", "= 2", "= 5", True), ("lenses/lens.py", "=3", "=6", True)],
    ),
    "a function by type of its argument": (
        """
        from functools import singledispatch
        @singledispatch
        def seen(x):
            return 1
        @seen.register
        def _(x: int):
            return 2
        def look(table) -> kinds.SEEN:
            return seen(table)
        """,
        {},
        [("lenses/lens.py", "return 2", "return 5", True)],
    ),
    "names passed on by a package": (
        "from agentomy import lenses\ndef look(table) -> kinds.SEEN:\n    return lenses.shared_limit()\n",
        {
            "lenses/__init__.py": "from .inner.deep import limit as shared_limit\n",
            "lenses/inner/deep.py": "def limit():\n    return 2\ndef other():\n    return 3\n",
        },
        [("lenses/inner/deep.py", "2", "5", True), ("lenses/inner/deep.py", "3", "6", False)],
    ),
    "a decorator, a default and a base class": (
        """
        from agentomy.lenses import shared
        class Lens(shared.Base):
            @shared.twice
            def power(self, by=shared.LIMIT):
                return by
        def look(table) -> kinds.SEEN:
            return Lens()
        """,
        {
            "lenses/shared.py": """
                LIMIT = 2
                class Base:
                    base = 3
                def twice(function):
                    return function
                """
        },
        [
            ("lenses/shared.py", "= 2", "= 5", True),
            ("lenses/shared.py", "= 3", "= 6", True),
            ("lenses/shared.py", "return function", "return None", True),
        ],
    ),
    "functions that call each other": (
        """
        def even(n):
            return not n or odd(n - 1)
        def odd(n):
            return n and even(n - 1)
        def look(table) -> kinds.SEEN:
            return even(3)
        """,
        {},
        [("lenses/lens.py", "n and", "n or", True)],
    ),
    "a folder's file by its name": (
        """
        from pathlib import Path
        FOLDER = Path(__file__).parent / "data"
        def look(table) -> kinds.SEEN:
            return (FOLDER / "runs.json").read_text()
        """,
        {"lenses/data/runs.json": "[1]", "lenses/data/more.json": "[1]"},
        [("lenses/data/runs.json", "1", "2", True), ("lenses/data/more.json", "1", "2", False)],
    ),
    "what a module does when it is imported": (
        "from agentomy.lenses import shared\ndef look(table) -> kinds.SEEN:\n    return shared.LIMIT\n",
        {
            "lenses/shared.py": "import numpy\nimport agentomy.lenses.deep\nnumpy.seterr(all='raise')\nLIMIT = 1\n",
            "lenses/deep.py": "import numpy\nnumpy.seterr(under='warn')\nUNUSED = 2\n",
        },
        [
            ("lenses/shared.py", "raise", "ignore", True),
            ("lenses/deep.py", "warn", "ignore", True),
            ("lenses/deep.py", "2", "3", False),
        ],
    ),
    "what is for annotations or as a program": (
        """
        from typing import TYPE_CHECKING
        if TYPE_CHECKING:
            from agentomy.lenses.shared import Limit
        def look(table: "Limit", by: int = 1) -> kinds.SEEN:
            return by
        if __name__ == "__main__":
            look(1)
        """,
        {"lenses/shared.py": "class Limit:\n    pass\n"},
        [
            ("lenses/lens.py", "look(1)", "look(2)", False),
            ("lenses/lens.py", "by: int", "by: float", False),
            ("lenses/lens.py", "by: float = 1", "by: float = 2", True),
        ],
    ),
}


@pytest.mark.parametrize("case", FOLLOWED)
def test_what_looks_like_it_is_followed_rightly(tmp_path, case):
    text, files, edits = FOLLOWED[case]
    root = package(tmp_path, {"lenses/lens.py": text, **files})
    assert [*refused(Source(root), [LOOK])] == []
    for file, before, after, counts in edits:
        assert bool(changed(root, [LOOK], file, before, after)) is counts, (file, before, after)
