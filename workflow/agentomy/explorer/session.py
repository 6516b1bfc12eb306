"""What the views of one visitor share: the results, the current maze, the keys, and error messages."""

import logging
from collections.abc import Callable
from functools import wraps

from bokeh.document import Document
from bokeh.events import DocumentReady
from bokeh.models import CustomJS, Div, LayoutDOM, TabPanel, Tabs, TextInput

from agentomy.explorer.drawing import WHOLE, said_why
from agentomy.explorer.results import Results
from agentomy.explorer.scenes import Scene
from agentomy.tables import TableError

# Keys are for the page unless whatever has the focus takes them itself, such as a slider. (Tabs do not.)
LISTEN = """
const count = {}
document.addEventListener("keydown", (event) => {
  const at = event.composedPath()[0], keys = known.value.split("\\n")
  const takes = at instanceof Element && at.closest("input, select, textarea, [role=slider], .noUi-handle")
  const pressed = at instanceof Element && at.closest("button") && [" ", "Enter"].includes(event.key)
  if (takes || pressed || event.ctrlKey || event.altKey || event.metaKey || !keys.includes(event.key)) return
  event.preventDefault()
  count.n = (count.n ?? 0) + 1
  bridge.value = `${count.n}:${event.key}`
})
"""


LOG = logging.getLogger(__name__)
BRIEFLY = 60  # milliseconds, in which the announcement reaches the browser, and its pending events arrive here


def in_a_line(error: Exception) -> str:
    """What the page says of an error: what is wrong with a file, or else that this is a bug, which is logged."""
    if isinstance(error, TableError):
        return str(error)
    LOG.error("a bug in agentomy", exc_info=error)
    return f"a bug in agentomy ({type(error).__name__}); its traceback is in the terminal of the explorer"


class Work:
    """Slow work of a view, announced in `status` before it begins. Of requests made meanwhile, the last is done.

    The server does one thing at a time, so it hears what a visitor does during the work only when the work is done.
    """

    def __init__(self, document: Document, status: Div):
        self.document, self.status, self.busy = document, status, False
        self._wanted: Callable[[], None] | None = None

    def ask(self, text: str, act: Callable[[], None]) -> None:
        """Announce the work, and do it soon; the last request replaces earlier ones."""
        self._wanted, self.status.text = act, text
        if not self.busy:
            self._soon(self._do)

    def _soon(self, act: Callable[[], None]) -> None:
        self.busy = True
        self.document.add_timeout_callback(act, BRIEFLY)

    def _do(self) -> None:
        act, self._wanted = self._wanted, None
        try:
            act()
        finally:
            self._soon(self._done)

    def _done(self) -> None:
        self.busy = False
        if self._wanted:
            self._soon(self._do)


class Session:
    """One visitor's page."""

    def __init__(self, results: Results, document: Document):
        self.results, self.document = results, document
        self.tabs = Tabs(tabs=[], name="tabs", **WHOLE)
        self.said = Div(text="", name="said", **WHOLE)
        self._reasons: dict[Callable, tuple[str, str]] = {}  # of what failed and has not worked since: view, reason
        self.bridge = TextInput(visible=False, name="keys")
        self.known = TextInput(visible=False, name="known-keys")  # of the open view, a line each
        self._keys: dict[tuple[str, str], Callable[[], None]] = {}
        self._beside: dict[Div, str] = {}  # reasons that stand beside buttons
        self._scene: Scene | None = None
        self._scene_followers: list[Callable[[], None]] = []
        self._unmade: dict[str, Callable[[], LayoutDOM]] = {}
        self._stale: dict[str, Callable[[], None]] = {}
        self.bridge.on_change("value", self._pressed)
        self.tabs.on_change("active", lambda attr, old, new: self.open())

    @property
    def scene(self) -> Scene | None:
        """The current maze, which the maze views share, once one of them is open; see `passing.scene_of`."""
        return self._scene

    @scene.setter
    def scene(self, scene: Scene) -> None:
        self._scene = scene
        for follower in self._scene_followers:
            scene.followers.append(follower)
            follower()

    def follow_scene(self, act: Callable[[], None]) -> None:
        """Call `act` whenever the current maze changes, also if there is none yet."""
        self._scene_followers.append(act)
        if self._scene:
            self._scene.followers.append(act)

    def on_key(self, view: str, key: str, act: Callable[[], None]) -> None:
        """Call `act` when `key` (as browsers name it) is pressed while the tab of this view is open."""
        self._keys[view, key] = act

    def _pressed(self, attribute: str, old: str, new: str) -> None:
        act = self._keys.get((self.view, new.partition(":")[2]))
        if act:
            act()

    @property
    def view(self) -> str:
        """The name of the view whose tab is open; empty while the view is being made."""
        title = self.title
        return "" if title in self._unmade else title

    @property
    def title(self) -> str:
        """The name of the view whose tab is open."""
        return self._panel.title if self.tabs.tabs else ""

    @property
    def _panel(self) -> TabPanel:
        return self.tabs.tabs[self.tabs.active]

    def offer(self, views: dict[str, Callable[[], LayoutDOM]]) -> None:
        """Add a tab for each view. The view is made when its tab is first opened; until then the tab says so."""
        self._unmade = dict(views)
        self.tabs.tabs = [TabPanel(child=Div(text="reading the results …"), title=name) for name in views]

    def drawing(self, view: str, draw: Callable[[], None]) -> Callable[[], None]:
        """A function that draws a view in one message, at once or as soon as its tab is open.

        Widgets that the drawing itself changes do not trigger it again.
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
        """Make and draw the open view, if that has not been done."""
        panel = self._panel
        if panel.title in self._unmade:
            layout = self._unmade[panel.title]()
            del self._unmade[panel.title]
            panels = [*self.tabs.tabs]  # a new panel in a new list: one whose child is replaced is not drawn again
            panels[self.tabs.active] = TabPanel(child=layout, title=panel.title)
            self.tabs.tabs = panels
        self._say()
        self.known.value = "\n".join(sorted(key for view, key in self._keys if view == self.view))
        self._stale.pop(self.view, lambda: None)()

    def listen(self) -> None:
        """Begin to listen to keys."""
        listen = CustomJS(args={"bridge": self.bridge, "known": self.known}, code=LISTEN)
        self.document.js_on_event(DocumentReady, listen)

    def go(self, view: str) -> None:
        """Open the tab of a view."""
        self.tabs.active = [panel.title for panel in self.tabs.tabs].index(view)

    def guarded(self, callback: Callable, beside: Div | None = None) -> Callable:
        """A callback whose error is shown on the page in a line, `beside` its button or else above the view.

        The line stays until the callback works.
        """

        @wraps(callback)
        def safe(*arguments, **named):
            try:
                answer = callback(*arguments, **named)
            except Exception as error:
                self._tell(callback, beside, in_a_line(error))
            else:
                self._tell(callback, beside, "")
                return answer

        return safe

    def _tell(self, callback: Callable, beside: Div | None, why: str) -> None:
        if beside:
            if why or beside.text == self._beside.get(beside):  # else a view has said something there itself
                beside.text = self._beside[beside] = said_why(why)
            return
        self._reasons.pop(callback, None)
        if why:
            self._reasons[callback] = self.title, why
        self._say()

    def _say(self) -> None:
        """Say what failed in the open view."""
        reasons = dict.fromkeys(why for view, why in self._reasons.values() if view == self.title)
        text = "".join(map(said_why, reasons))
        if self.said.text != text:
            self.said.text = text
