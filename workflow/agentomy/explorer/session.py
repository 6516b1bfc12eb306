"""What the views of one visitor share: the results, the maze in hand, the keys, and what went wrong."""

from collections.abc import Callable
from functools import wraps
from html import escape

from bokeh.events import DocumentReady
from bokeh.io import curdoc
from bokeh.models import CustomJS, Div, Tabs, TextInput

from agentomy.explorer.results import Results
from agentomy.explorer.scenes import Scene
from agentomy.tables import TableError

# Keys are for the page unless whatever has the focus takes them itself, such as a slider or a tab.
LISTEN = """
document.addEventListener("keydown", (event) => {
  const at = event.composedPath()[0]
  const takes = at instanceof Element && at.closest("input, select, textarea, [role=slider], .noUi-handle, .bk-tab")
  const pressed = at instanceof Element && at.closest("button") && [" ", "Enter"].includes(event.key)
  if (takes || pressed || event.ctrlKey || event.altKey || event.metaKey || !keys.includes(event.key)) return
  event.preventDefault()
  count.n = (count.n ?? 0) + 1
  bridge.value = `${count.n}:${event.key}`
})
"""


class Session:
    """One visitor's page."""

    def __init__(self, results: Results):
        self.results = results
        self.tabs = Tabs(tabs=[], name="tabs")
        self.said = Div(text="", width=1240, name="said")
        self.bridge = TextInput(visible=False, name="keys")
        self._keys: dict[tuple[str, str], Callable[[], None]] = {}
        self.scene: Scene | None = None  # the maze in hand, which the maze views share; see choices.scene_of
        self.bridge.on_change("value", self._pressed)

    def on_key(self, view: str, key: str, act: Callable[[], None]) -> None:
        """While the tab of this name is open, `key` (as browsers name it) does this."""
        self._keys[view, key] = act

    def _pressed(self, attribute: str, old: str, new: str) -> None:
        view = self.tabs.tabs[self.tabs.active].title
        act = self._keys.get((view, new.partition(":")[2]))
        if act:
            act()

    def listen(self) -> None:
        """Begin to hear keys, once all views have named theirs."""
        keys = sorted({key for _, key in self._keys})
        code = f"const keys = {keys}\nconst count = {{}}\n{LISTEN}"
        curdoc().js_on_event(DocumentReady, CustomJS(args={"bridge": self.bridge}, code=code))

    def guarded(self, callback: Callable) -> Callable:
        """A callback whose trouble with a file is shown on the page."""

        @wraps(callback)
        def safe(*arguments, **named):
            try:
                self.said.text = ""
                return callback(*arguments, **named)
            except TableError as error:
                self.say(str(error))

        return safe

    def say(self, text: str) -> None:
        self.said.text = f'<p role="alert" style="color:#A33F00;margin:0">{escape(text)}</p>' if text else ""
