"""The view of pixel groups, without a browser: what is brushed, changed, saved and loaded, by widgets and by keys."""

import html

import numpy as np
import pyarrow as pa
import pytest
from bokeh.document import Document
from bokeh.events import ButtonClick

from agentomy import kinds, tables
from agentomy.explorer.pages import VIEWS, fill
from tests.described import extracted
from tests.explorer.conftest import FEATURES, planted


class Page:
    """A visitor's page with the tab of pixel groups open."""

    def __init__(self, results):
        self.document, self.results = Document(), results
        fill(self.document, results)
        self["tabs"].active = [module.NAME for module in VIEWS].index("pixel groups")
        self.keys = 0

    def __getitem__(self, name: str):
        return self.document.get_model_by_name(name)

    def press(self, *keys: str) -> None:
        for key in keys:
            self.keys += 1
            self["keys"].value = f"{self.keys}:{key}"

    def click(self, name: str) -> None:
        button = self[f"groups-{name}"]
        button._trigger_event(ButtonClick(button))

    def pixels(self, panel: str = "layer"):
        return self[f"groups-{panel}"].renderers[0].data_source

    def select(self, *pixels: int, panel: str = "layer") -> None:
        self.pixels(panel).selected.indices = list(pixels)

    @property
    def groups(self) -> list[int]:
        return list(self.pixels().data["group"])

    def said(self, name: str = "groups-told") -> str:
        return html.unescape(self[name].text)


@pytest.fixture
def page(tmp_path):
    return Page(planted(tmp_path / "results"))


def test_panels_of_the_layer_share_their_selection_and_light_what_lies_before(page):
    assert page.pixels("scatter") is page.pixels("truth") is page.pixels()
    page.select(3, 10)
    assert page.pixels("before").selected.indices == [3, 10]  # the picture
    page["groups-layer-choice"].value = "block1.maxpool"
    assert page.pixels().selected.indices == []
    assert len(page.pixels("before").data["x"]) == 81
    page.select(6)  # row 1, column 1: around row 2, column 2
    rows, columns = np.divmod(page.pixels("before").selected.indices, 9)
    assert sorted(zip(rows.tolist(), columns.tolist(), strict=True)) == [(r, c) for r in (1, 2, 3) for c in (1, 2, 3)]
    page.select(0, panel="before")
    assert page.pixels().selected.indices == [0]
    page.select(10, panel="before")  # row 1, column 1: between four
    assert page.pixels().selected.indices == [0, 1, 5, 6]


def test_the_layer_before_shows_the_groups_made_of_it(page):
    page.select(*range(81))
    page.press("m", "c")
    assert set(page.groups) == {0}
    page["groups-layer-choice"].value = "block1.maxpool"
    assert set(page.pixels("before").data["what"]) == {"group 0"}


def test_agreement_is_shown_and_follows_changes(page):
    assert "adjusted Rand index 1.00" in page.said("groups-agreement")
    page.select(*range(81))
    page.press("m")
    assert "1 groups of 81" in page.said("groups-agreement")
    assert "homogeneity 0.00, completeness 1.00" in page.said("groups-agreement")
    page.press("u")
    assert "adjusted Rand index 1.00" in page.said("groups-agreement")
    page.press("u")
    assert "nothing to undo" in page.said()


def test_everything_is_done_by_keys_alone(page):
    start = page.groups
    page.press("ArrowRight", "ArrowDown", "ArrowUp", "ArrowUp", "ArrowLeft", " ", "ArrowRight", " ")
    assert page.pixels().selected.indices == [0, 1]
    page.press(" ")
    assert page.pixels().selected.indices == [0]
    page.press("g")
    whole = [pixel for pixel, group in enumerate(start) if group == start[0]]
    assert page.pixels().selected.indices == whole
    page.press("Escape")
    assert page.pixels().selected.indices == []
    page.select(0, 40)
    page.press("m")
    assert page.groups[0] == page.groups[40]
    page.select(40)
    page.press("x")
    assert page.groups[0] != page.groups[40]
    before = page.pixels().data["colour"][40]
    page.press("c")
    assert page.pixels().data["colour"][40] != before
    page.press("w")
    assert "saved: " in page.said("groups-filed")


def test_the_scatter_turns_and_comes_back(page):
    start = np.array(page.pixels().data["u"])
    page.press("]", "]")
    assert np.abs(page.pixels().data["u"] - start).max() > 0.01
    page.press("0")
    np.testing.assert_allclose(page.pixels().data["u"], start)
    page.press("[")  # from the other end
    assert "step 1000" in page["groups-scatter"].title.text


def test_one_group_at_a_time_is_named_and_coloured(page):
    page["groups-group"].value = page["groups-group"].options[1]
    assert set(np.array(page.groups)[page.pixels().selected.indices]) == {0}
    page["groups-name"].value = "<b>wall</b>"
    page["groups-colour"].value = "pink"
    assert page.pixels().data["name"][page.groups.index(0)] == "<b>wall</b>"
    assert "<b>wall" not in page["groups-list"].text  # a name is never markup
    assert "#CC79A7" in page["groups-list"].text
    page.select(page.groups.index(0), page.groups.index(1))
    page["groups-name"].value = "both"
    assert "2 groups are selected; allowed: one" in page.said()
    page.select()
    for key, message in (("m", "two or more"), ("x", "no pixel is selected")):
        page.press(key)
        assert message in page.said()


def test_looking_elsewhere_changes_nothing(page):
    page.select(page.groups.index(2))
    page["groups-name"].value, page["groups-colour"].value = "floor", "grey"
    page.select(page.groups.index(0), page.groups.index(1))
    page.select(0)  # some pixel of a group
    for layer in ("block1.maxpool", "block1.conv"):
        page.select(7, 8)
        page.select(8)
        page["groups-layer-choice"].value = layer
        assert page.said() == ""
    page.press("u", "u")
    assert page.said() == ""
    page.press("u")
    assert "nothing to undo" in page.said()


def test_groups_are_made_anew_by_a_method(page):
    page["groups-method"].value, page["groups-count"].value = "k-means", 7
    page.click("make")
    assert set(page.groups) == set(range(7))


def test_a_saved_labelling_is_loaded_where_it_belongs(page):
    page["groups-layer-choice"].value, page["groups-picture"].value = "block1.maxpool", 2
    page.select(*range(25))
    page.press("m")
    page["groups-name"].value, page["groups-file"].value = "all", "mine"
    page.click("save")
    other = Page(page.results)
    assert other["groups-layer-choice"].value == "block1.conv"
    other["groups-saved"].value = "mine"
    other.click("load")
    assert (other["groups-layer-choice"].value, other["groups-picture"].value) == ("block1.maxpool", 2)
    assert other.groups == [0] * 25
    assert set(other.pixels().data["name"]) == {"all"}
    assert "loaded: " in other.said("groups-filed")
    assert "may not fit" not in other.said("groups-filed")
    other.press("w")  # loaded here: may be written over
    assert "saved: " in other.said("groups-filed")


def test_labels_of_others_are_not_written_over(page):
    page.click("save")
    other = Page(page.results)
    other.click("save")
    assert "labels 'labels' are there already" in other.said("groups-filed")
    other.press("Escape", "u")  # it stays until it is done
    assert "labels 'labels' are there already" in other.said("groups-filed")
    other["groups-file"].value = "others"
    other.click("save")
    assert "saved: " in other.said("groups-filed")


def test_labels_of_activations_that_have_changed_say_so(page, tmp_path):
    page.click("save")
    other = planted(tmp_path / "other")
    features, target = (folder.path("maze", "checkpoints", FEATURES) for folder in (page.results, other))
    table = tables.Table(kinds.maze_pixels.FEATURES, [features]).arrow().to_pydict()
    table["values"] = [[2 * value for value in values] for values in table["values"]]
    columns = {column.name: pa.array(table[column.name], column.arrow) for column in kinds.maze_pixels.FEATURES.columns}
    tables.write(target, kinds.maze_pixels.FEATURES, pa.table(columns), extracted("corner"))
    (other.folder / "explorer").mkdir()
    (page.results.folder / "explorer" / "labels").rename(other.folder / "explorer" / "labels")
    later = Page(other)
    later["groups-saved"].value = "labels"
    later.click("load")
    assert "may not fit" in later.said("groups-filed")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda labels, features: labels.write_text("hello"), "labels.parquet: not a whole Parquet file"),
        (lambda labels, features: labels.unlink(), "labels.parquet: no such file"),
        (
            lambda labels, features: features.parent.rename(features.parent.with_name("others")),
            "labels of maze: features",
        ),
    ],
)
def test_labels_that_cannot_be_shown_are_a_message_and_the_view_stays(page, damage, message):
    page.click("save")
    results = page.results
    damage(results.path("explorer", "labels", "labels"), results.path("maze", "checkpoints", FEATURES))
    later = Page(results)
    before = later.groups
    later["groups-saved"].value = "labels"
    later.click("load")
    assert message in later.said("groups-filed")
    assert later.groups == before


@pytest.mark.parametrize("whole", [True, False])
def test_without_features_there_is_a_message(page, whole):
    path = page.results.path("maze", "checkpoints", FEATURES)
    path.unlink() if whole else path.write_text("hello")
    text = html.unescape(str(Page(page.results).document.to_json()))
    assert "no features of layers" in text
    assert whole or f"{FEATURES}.parquet: not a whole Parquet file" in text
