"""The page in a real browser: the paths of agents, and the memory."""

import pytest

from tests.explorer import agents
from tests.explorer.browsing import at, set_value, turn_to, visiting
from tests.explorer.conftest import serving

MODEL = "Bokeh.documents[0].get_model_by_name"
POINT = f"""(() => {{
  const {{x, y}} = {MODEL}("path-plane").renderers.at(-1).data_source.data
  return [x[0], y[0]]
}})()"""
STATUS = f"({MODEL}('path-status')?.text ?? '')"


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    folder = tmp_path_factory.mktemp("agents") / "results"
    for plant in (agents.plant_path, agents.plant_mouse, agents.plant_memory):
        results = plant(folder)
    with serving(results) as address:
        yield address


@pytest.fixture(scope="module")
def page(context, address):
    """One visit for all: to load the page takes longer than all else here."""
    with visiting(context, address, f"{MODEL}('tabs')") as opened:
        yield opened


@pytest.fixture
def path(page):
    """The tab of paths; what its status says is kept."""
    turn_to(page, "path")
    page.wait_for_function(f"{STATUS} !== ''")
    page.evaluate(f"""() => {{
      const status = {MODEL}("path-status")
      window.told = []
      status.properties.text.change.connect(() => told.push(status.text))
    }}""")
    return page


def filled(panel: str, renderer: int = 0) -> str:
    return f"{MODEL}('{panel}').renderers[{renderer}].data_source.data.image.length === 1"


def test_a_dragged_point_plays_and_both_behaviours_are_seen(path):
    path.wait_for_function(f"{POINT}.every(Number.isFinite)")
    path.mouse.move(*at(path, *path.evaluate(POINT), "path-plane"))
    path.mouse.down()
    path.mouse.move(*at(path, 0, 0, "path-plane"), steps=4)
    path.mouse.up()
    path.wait_for_function("told.some(each => /the snapshot: mean return .*at the point: mean return/.test(each))")
    assert path.evaluate("told.filter(each => each.startsWith('playing up to 10 episodes')).length") == 1
    for side in ("snapshot", "rebuilt"):
        for what in ("actions", "observations"):
            path.wait_for_function(filled(f"path-{what}-{side}"))
    assert path.evaluate(POINT) == pytest.approx([0, 0], abs=0.1)
    keys = path.evaluate("""() => {
      const within = (each) => each.shadowRoot ? all(each.shadowRoot) : []
      const all = (root) => [...root.querySelectorAll("*")].flatMap(each => [each, ...within(each)])
      const key = all(document).find(each => each.localName === "kbd" && each.getBoundingClientRect().width)
      return getComputedStyle(key).borderTopWidth
    }""")
    assert keys == "1px"  # they look like keys


def test_a_maze_agents_path_is_made_and_its_mouse_runs(path):
    set_value(path, "path-run", "maze: corner")
    path.wait_for_function("told.some(each => each.startsWith('decomposing the path of maze: corner'))")
    path.wait_for_function(f"{STATUS}.includes('Nothing played yet')")
    set_value(path, "path-episodes", 10)
    path.mouse.click(*at(path, 0, 0, "path-plane"))
    path.wait_for_function(f"/of 10 test mazes.*at the point: .* of 10 test mazes/.test({STATUS})")
    for side in ("snapshot", "rebuilt"):
        way = f"{MODEL}('path-way-{side}').renderers.find(each => each.name === 'way').data_source"
        path.wait_for_function(f"{way}.data.x.length > 1")
    assert path.evaluate(f"{MODEL}('path-strips').visible") is False


def test_both_memories_follow_the_outcomes(page):
    turn_to(page, "memory")
    seen = f"{MODEL}('memory-status')?.text"
    lengths = f"""['network-plane', 'posterior-plane'].flatMap(name => {MODEL}(name).renderers
      .map(each => each.data_source.data.x.length)).filter(each => each < 100).join()"""
    page.wait_for_function(f"{seen}.includes('after 4 outcomes')")
    assert page.evaluate(lengths) == "5,5,5,5,5,5,5,5"
    page.keyboard.press("1")  # keys are heard as soon as the tab is open
    page.wait_for_function(f"{seen}.includes('after 5 outcomes, counts (3, 2)')")
    page.get_by_role("button", name="1", exact=True).click()
    page.keyboard.press("0")
    page.wait_for_function(f"{seen}.includes('after 7 outcomes, counts (4, 3)')")
    assert page.evaluate(lengths) == "8,8,8,8,8,8,8,8"
    page.get_by_label("outcomes, first to last").fill("0 1 7")
    page.get_by_label("outcomes, first to last").press("Enter")
    page.get_by_text("outcomes: '7' is no outcome; allowed: up to 60 of 0 to 1").wait_for()
    assert "after 7 outcomes" in page.evaluate(seen)
