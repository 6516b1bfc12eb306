"""The page in a real browser: mazes, training, pixel groups, claims."""

import pytest

from tests.explorer import browsing
from tests.explorer.browsing import PANEL, PATIENT, set_value, still, turn_to, visiting

PICTURE = "(Bokeh.documents[0].get_model_by_name(name)?.renderers[0].data_source.data.image[0] ?? [])"
VALUES = f"name => Array.from({PICTURE}).filter(value => !Number.isNaN(value))"
WALLS = f"(name => Array.from({PICTURE}).filter(Number.isNaN).length)('field-original')"


FIELD, SALIENCY = f"({VALUES})('field-original')", f"({VALUES})('saliency')"


@pytest.fixture(scope="module")
def visit(context, served):
    """One visit for all: to load the page takes longer than all else here. Returns the page and its maze at first."""
    with visiting(context, served, 'Bokeh.documents[0].get_model_by_name("overview-studies")') as page:
        turn_to(page, "maze")
        page.wait_for_function('Bokeh.documents[0].get_model_by_name("status")?.text.includes("value")')
        still(page, "field-original")
        yield page, page.evaluate(f"JSON.stringify([{FIELD}, {SALIENCY}])")


@pytest.fixture
def page(visit):
    """The tab of mazes, with the maze as it was at first and no edits."""
    opened, at_first = visit
    opened.evaluate(PATIENT)
    turn_to(opened, "maze")
    opened.get_by_role("button", name="maze as given", exact=True).click()
    opened.get_by_role("button", name="no edits", exact=True).click()
    turn_to(opened, "maze")  # keys are no longer for the button
    opened.wait_for_function(f"first => JSON.stringify([{FIELD}, {SALIENCY}]) === first", arg=at_first)
    opened.wait_for_function(f"({VALUES})('field-difference').every(value => value === 0)")
    still(opened, "field-original")
    yield opened
    assert (opened.elsewhere, opened.trouble) == ([], [])


def at(page, x: int, y: int) -> tuple[float, float]:
    """The middle of a cell, on the page."""
    return browsing.at(page, x, y, "field-original")


def changed(page, panel: str, before: list[float]) -> None:
    """Wait until a panel shows something else."""
    page.wait_for_function(f"before => JSON.stringify(({VALUES})('{panel}')) !== JSON.stringify(before)", arg=before)


def test_a_click_toggles_a_wall_and_the_field_changes(page):
    walls, values = page.evaluate(WALLS), page.evaluate(VALUES, "field-original")
    page.mouse.click(*at(page, 1, 1))  # a room's diagonal neighbour: always wall
    page.wait_for_function(f"{WALLS} === {walls - 1}")
    assert page.evaluate(VALUES, "field-original") != values
    page.mouse.click(*at(page, 1, 1))
    page.wait_for_function(f"{WALLS} === {walls}")
    assert page.evaluate(VALUES, "field-original") == pytest.approx(values, abs=1e-5)


def test_keys_build_walls_and_move_the_mouse(page):
    walls = page.evaluate(WALLS)
    for key in ("ArrowRight", "ArrowUp", " "):
        page.keyboard.press(key)
    page.wait_for_function(f"{WALLS} === {walls - 1}")
    before = page.evaluate(VALUES, "saliency")
    page.keyboard.press("m")
    changed(page, "saliency", before)


def test_the_mouse_is_dragged(page):
    before = page.evaluate(VALUES, "saliency")
    page.mouse.click(*at(page, 1, 1))
    page.mouse.move(*at(page, 0, 0))
    page.mouse.down()
    for cell in ((1, 0), (1, 1), (0, 1)):  # over whatever is open
        page.mouse.move(*at(page, *cell), steps=4)
    page.mouse.up()
    changed(page, "saliency", before)


def test_an_edit_is_shown_beside_the_original(page):
    assert set(page.evaluate(VALUES, "field-difference")) == {0}
    set_value(page, "cheese", -3)
    page.wait_for_function(f"({VALUES})('field-difference').some(value => value !== 0)")
    assert page.evaluate(VALUES, "field-original") != page.evaluate(VALUES, "field-edited")
    still(page, "field-difference")
    page.get_by_text("no edits").click()
    page.wait_for_function(f"({VALUES})('field-difference').every(value => value === 0)")
    page.wait_for_function("!Bokeh.documents[0].get_model_by_name('field-difference').visible")


def test_the_time_slider_shows_another_snapshot(page):
    turn_to(page, "along training")
    for lane in "AB":
        page.wait_for_function(f"({VALUES})('training-{lane}-field').length > 1")
        still(page, f"training-{lane}-field")  # and it has a size
    set_value(page, "training-A-update", "9")
    page.wait_for_function(f"({VALUES})('training-A-field')[0] !== ({VALUES})('training-B-field')[0]")
    late, other = page.evaluate(VALUES, "training-A-field"), page.evaluate(VALUES, "training-B-field")
    assert late != other  # trained and untrained
    set_value(page, "training-A-update", "0")
    page.wait_for_function(f"({VALUES})('training-A-field')[0] === {other[0]}")
    assert page.evaluate(VALUES, "training-A-field") == other


def test_keys_are_for_the_view_whose_tab_was_clicked(page):
    turn_to(page, "along training")
    page.wait_for_function(f"({VALUES})('training-A-field').length > 1")
    page.wait_for_function("Bokeh.documents[0].get_model_by_name('known-keys').value.includes('[')")
    set_value(page, "training-A-update", "9")
    page.keyboard.press("[")
    page.wait_for_function("Bokeh.documents[0].get_model_by_name('training-A-update').value === '5'")


def test_a_labelling_is_saved_and_comes_back(page):
    names = """() => [...new Set(
      Bokeh.documents[0].get_model_by_name("groups-layer")?.renderers[0].data_source.data.name ?? [])].join()"""
    turn_to(page, "pixel groups")
    page.wait_for_function(f"({PANEL})('groups-layer').right === 8.5")
    where = still(page, "groups-layer")
    one = where["width"] / 9
    page.mouse.move(where["x"] + 0.3 * one, where["y"] + 0.3 * one)
    page.mouse.down()
    page.mouse.move(where["x"] + 2.7 * one, where["y"] + 1.7 * one, steps=5)  # three columns, two rows
    page.mouse.up()
    lit = """name => Bokeh.documents[0].get_model_by_name(name).renderers[0].data_source.selected.indices.join()"""
    page.wait_for_function(f"({lit})('groups-before') === '0,1,2,9,10,11'")
    assert page.evaluate(lit, "groups-scatter") == "0,1,2,9,10,11"
    page.get_by_role("button", name="merge", exact=True).click()
    page.get_by_label("its name").fill("by hand")
    page.get_by_label("its name").press("Enter")
    page.wait_for_function(f"({names})().includes('by hand')")
    page.get_by_role("button", name="save", exact=True).click()
    page.get_by_text("saved: ").wait_for()
    page.reload()
    turn_to(page, "pixel groups")
    page.wait_for_function(f"({PANEL})('groups-layer').width > 0 && ({names})() === ''")
    page.get_by_label("saved labels").select_option("labels")
    page.get_by_role("button", name="load", exact=True).click()
    page.wait_for_function(f"({names})().includes('by hand')")


def test_the_claims_are_text_with_links_to_figures(page):
    turn_to(page, "claims")
    claim = page.get_by_text("It goes <b>there</b>")  # what a file says is never markup
    claim.click()
    with page.context.expect_page() as figure:
        page.get_by_role("link", name="PNG").first.click()
    assert figure.value.url.endswith("/results/smoke/maze/figures/F3-learning-curves.png")
