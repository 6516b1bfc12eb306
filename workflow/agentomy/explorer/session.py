"""What the views of one visitor share: the results, the maze in hand, the keys, and what went wrong."""

from collections.abc import Callable
from functools import wraps
from html import escape

from bokeh.document import Document
from bokeh.events import DocumentReady
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

    def __init__(self, results: Results, document: Document):
        self.results, self.document = results, document
        self.tabs = Tabs(tabs=[], name="tabs")
        self.said = Div(text="", width=1240, name="said")
        self.bridge = TextInput(visible=False, name="keys")
        self._keys: dict[tuple[str, str], Callable[[], None]] = {}
        self.scene: Scene | None = None  # the maze in hand, which the maze views share; see choices.scene_of
        self._stale: dict[str, Callable[[], None]] = {}
        self.bridge.on_change("value", self._pressed)
        self.tabs.on_change("active", lambda attr, old, new: self.open())

    def on_key(self, view: str, key: str, act: Callable[[], None]) -> None:
        """While the tab of this name is open, `key` (as browsers name it) does this."""
        self._keys[view, key] = act

    def _pressed(self, attribute: str, old: str, new: str) -> None:
        act = self._keys.get((self.view, new.partition(":")[2]))
        if act:
            act()

    @property
    def view(self) -> str:
        """The name of the view whose tab is open; none while the page is being made."""
        return self.tabs.tabs[self.tabs.active].title if self.tabs.tabs else ""

    def drawing(self, view: str, draw: Callable[[], None]) -> Callable[[], None]:
        """What draws a view, all of it in one message, and as soon as its tab is open.

        Widgets that the drawing itself changes do not start it again.
        """
        draw, busy = self.guarded(draw), False

        def when_open() -> None:
            nonlocal busy
            if self.view != view:
                self._stale[view] = when_open
            elif not busy:
                busy = True
                self.document.hold("combine")
                try:
                    draw()
                finally:
                    self.document.unhold()
                    busy = False

        return when_open

    def open(self) -> None:
        """Draw the open view, if that is due."""
        self._stale.pop(self.view, lambda: None)()

    def listen(self) -> None:
        """Begin to hear keys, once all views have named theirs."""
        keys = sorted({key for _, key in self._keys})
        code = f"const keys = {keys}\nconst count = {{}}\n{LISTEN}"
        self.document.js_on_event(DocumentReady, CustomJS(args={"bridge": self.bridge}, code=code))

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
