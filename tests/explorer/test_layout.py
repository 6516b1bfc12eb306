"""Nothing on the page is cut, at the size of a small window and at that of a laptop's screen."""

import pytest

from tests.explorer import agents, imported
from tests.explorer.browsing import turn_to, visiting
from tests.explorer.conftest import planted, serving

VIEWS = ("overview", "agents", "maze", "along training", "pixel groups", "path", "memory", "claims")
# what is seen of a view: elements that reach beyond the window, and texts that their boxes cut. Where glyphs are on a
# canvas, Bokeh has an empty box, which it places twice as far from the side of its frame.
CUT = """() => {
  const within = (each) => each.shadowRoot ? all(each.shadowRoot) : []
  const all = (root) => [...root.querySelectorAll("*")].flatMap(each => [each, ...within(each)])
  const seen = all(document).filter(each => each.checkVisibility?.({visibilityProperty: true})
    && each.getBoundingClientRect().width > 1 && !each.closest("svg")
    && !each.matches(".bk-GlyphRenderer"))
  const name = (each) => `${each.localName}.${each.className}: ${each.textContent.trim().slice(0, 50)}`
  const beyond = seen.filter(each => each.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
  const brush = document.createElement("canvas").getContext("2d")
  const chosen = (select) => {
    const look = getComputedStyle(select)
    brush.font = look.font
    const room = select.clientWidth - parseFloat(look.paddingLeft) - parseFloat(look.paddingRight)
    return brush.measureText(select.selectedOptions[0]?.text ?? "").width - room
  }
  const texts = seen.filter(each => each.matches("button, label, p, td, th, summary, span, .bk-btn, .bk-tab"))
  const cut = texts.filter(each => each.scrollWidth > each.clientWidth + 1 && each.clientWidth
    && getComputedStyle(each).display !== "inline")
  const selects = seen.filter(each => each.localName === "select" && chosen(each) > 1)
  return {beyond: beyond.map(name), cut: cut.map(name), selects: selects.map(each => each.selectedOptions[0].text)}
}"""
# titles of panels are drawn: one is cut if it is wider than its panel
TITLES = """() => [...Bokeh.documents[0]._all_models.values()].filter(each => each.type === "Figure")
  .map(each => [each, Bokeh.index.find_one(each)])
  .filter(([each, view]) => view?.el.checkVisibility({visibilityProperty: true}))
  .filter(([each, view]) => {
    const brush = document.createElement("canvas").getContext("2d"), {title} = each
    brush.font = `${title.text_font_style} ${title.text_font_size} ${title.text_font}`
    return brush.measureText(title.text).width > view.el.getBoundingClientRect().width - view.frame.bbox.left
  }).map(([each]) => each.title.text)"""


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    folder = tmp_path_factory.mktemp("layout") / "results"
    for plant in (planted, agents.plant_path, agents.plant_memory, imported.plant):
        results = plant(folder)
    with serving(results) as address:
        yield address


SIZES = [(900, 700), (1400, 900)]
OPEN = """view => {
  const tabs = Bokeh.documents[0].get_model_by_name("tabs"), {title, child} = tabs.tabs[tabs.active]
  return title === view && child.text !== "reading the results …" && Bokeh.documents[0].is_idle
    && Bokeh.index.find_one(child)?.el.getBoundingClientRect().height > 0
}"""
# whether the panels that are seen have stayed as they are for some frames
SETTLED = """async () => {
  const figures = [...Bokeh.documents[0]._all_models.values()].filter(each => each.type === "Figure")
    .map(each => Bokeh.index.find_one(each)?.el).filter(each => each?.checkVisibility({visibilityProperty: true}))
  const look = () => JSON.stringify(figures.map(each => each.getBoundingClientRect()))
  const before = look()
  for (let frame = 0; frame < 3; frame++) await new Promise(requestAnimationFrame)
  return Bokeh.documents[0].is_idle && before === look()
}"""
OPEN_DETAILS = """() => {
  const open = (root) => [...root.querySelectorAll("*")].forEach(each => {
    if (each.localName === "details") each.open = true
    if (each.shadowRoot) open(each.shadowRoot)
  })
  open(document)
}"""


def cut_now(page) -> dict[str, list[str]]:
    """What is cut of the open view; panels that have just got their sizes are laid out anew."""
    for _ in range(50):
        cut = page.evaluate(CUT) | {"titles": page.evaluate(TITLES)}
        if not any(cut.values()):
            break
        page.wait_for_timeout(100)
    return cut


@pytest.fixture(scope="module")
def cut(browser, address):
    """Size of the window → view → what is cut: one visit, since to make the page takes longer than all else."""
    ready = "Bokeh.documents[0].get_model_by_name('overview-studies')"
    cut = {size: {} for size in SIZES}
    window = dict(zip(("width", "height"), SIZES[0], strict=True))
    with browser.new_context(viewport=window) as context, visiting(context, address, ready) as page:
        for width, height in SIZES:
            page.set_viewport_size({"width": width, "height": height})
            for view in VIEWS:
                turn_to(page, view)
                page.wait_for_function(OPEN, arg=view)
                if view == "maze":  # with all of its panels
                    page.evaluate("Bokeh.documents[0].get_model_by_name('cheese').value = 1")
                    page.wait_for_function("Bokeh.documents[0].get_model_by_name('field-difference').visible")
                if view == "claims":
                    page.evaluate(OPEN_DETAILS)
                page.wait_for_function(SETTLED)
                cut[width, height][view] = cut_now(page)
    return cut


@pytest.mark.parametrize("size", SIZES, ids="{0[0]}-{0[1]}".format)
def test_nothing_is_cut(cut, size):
    assert list(cut[size]) == [*VIEWS]
    assert {(view, what, *names) for view, cuts in cut[size].items() for what, names in cuts.items() if names} == set()
