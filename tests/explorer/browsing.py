"""A visitor with a real browser, which can reach nothing but 127.0.0.1."""

from collections.abc import Iterator
from contextlib import contextmanager

# where a panel is drawn on the page, and what its ranges are
PANEL = """name => {
  const model = Bokeh.documents[0].get_model_by_name(name)
  const view = model && Bokeh.index.find_one(model)
  const box = view?.el.getBoundingClientRect()
  if (!box || box.height < view.frame.bbox.height) return {width: 0}  // being made, or without room
  const frame = view.frame.bbox, {x_range, y_range} = model
  return {x: box.x + frame.left, y: box.y + frame.top, width: frame.width, height: frame.height,
          left: x_range.start, right: x_range.end, bottom: y_range.start, top: y_range.end}
}"""
# Bokeh tells a click from a press by a clock of 300 ms: a busy machine may be slower than that between a button's going
# down and up.
PATIENT = '() => { Bokeh.require("core/ui_gestures").UIGestures.press_threshold = 1e8 }'


@contextmanager
def visiting(context, address: str, ready: str) -> Iterator:
    """A page, once the expression `ready` is true on it; afterwards nothing must have gone wrong on it."""
    page = context.new_page()
    page.elsewhere, page.trouble = [], []

    def only_here(route):
        if route.request.url.startswith("http://127.0.0.1:"):
            route.continue_()
        else:
            page.elsewhere.append(route.request.url)
            route.abort()

    page.route("**/*", only_here)
    page.on("pageerror", lambda error: page.trouble.append(str(error)))
    page.goto(address)
    page.wait_for_function(f"typeof Bokeh !== 'undefined' && Bokeh.documents[0] && {ready}")
    page.evaluate(PATIENT)
    yield page
    assert page.elsewhere == []
    assert page.trouble == []
    page.close()


def still(page, panel: str) -> dict[str, float]:
    """Where a panel is, once it is drawn and stays where it is."""
    page.wait_for_function(f"""async name => {{
      const look = () => JSON.stringify(({PANEL})(name))
      const before = look()
      if (!(({PANEL})(name).width > 0)) return false
      for (let frame = 0; frame < 3; frame++) await new Promise(requestAnimationFrame)
      return Bokeh.documents[0].is_idle && before === look()
    }}""", arg=panel)  # fmt: skip
    return page.evaluate(PANEL, panel)


def at(page, x: float, y: float, panel: str) -> tuple[float, float]:
    """A point of a panel, on the page."""
    where = still(page, panel)
    right, up = (
        (x - where["left"]) / (where["right"] - where["left"]),
        (y - where["bottom"]) / (where["top"] - where["bottom"]),
    )
    return where["x"] + right * where["width"], where["y"] + (1 - up) * where["height"]


def turn_to(page, view: str) -> None:
    """Open the tab of a view."""
    page.locator(".bk-tab").get_by_text(view, exact=True).click()


def set_value(page, name: str, value) -> None:
    page.evaluate("([name, value]) => { Bokeh.documents[0].get_model_by_name(name).value = value }", [name, value])
