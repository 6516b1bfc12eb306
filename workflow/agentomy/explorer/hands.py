"""Changes the current maze by mouse, buttons and keys; all views of mazes share this."""

from bokeh.events import DoubleTap, Pan, PanEnd, PanStart, Tap
from bokeh.models import Button, Checkbox, ColumnDataSource, Row
from bokeh.plotting import figure

from agentomy.environments.maze_batch import DOWN, LEFT, RIGHT, UP
from agentomy.explorer.drawing import INNER, TIGHT, marks, no_marks
from agentomy.explorer.scenes import Cell, Scene
from agentomy.explorer.session import Session

MOVES = {"ArrowLeft": ("←", LEFT), "ArrowDown": ("↓", DOWN), "ArrowUp": ("↑", UP), "ArrowRight": ("→", RIGHT)}
AT = {"x": [], "y": []}
TRAIL = "#7A3E9D"


def cell_at(event) -> Cell:
    """The cell under a mouse event."""
    return round(event.x), round(event.y)


class Hands:
    """A click toggles a wall; dragging the mouse or the cheese moves it; dragging from elsewhere draws walls."""

    def __init__(self, session: Session, scene: Scene, view: str):
        self.scene = scene
        self.objects, self.trail, self.cursor = no_marks(), ColumnDataSource(AT), ColumnDataSource(AT)
        self._held: str | bool | None = None  # "mouse", "cheese", or whether walls are built
        at_cursor = {
            "Wall": (" ", "wall", lambda: scene.toggle(scene.cursor)),
            "Mouse": ("m", "mouse", lambda: scene.put_mouse(scene.cursor)),
            "Cheese": ("c", "cheese", lambda: scene.put_cheese(scene.cursor)),
        }
        arrows, actions = [], []
        for key, (label, move) in MOVES.items():
            act = self._moving(move)
            arrows.append(self._button(session, view, key, label, act, 25))
        for key, label, act in at_cursor.values():
            actions.append(self._button(session, view, key, label, act, 38 if label == "wall" else 48))
        self.cheese = Checkbox(label="cheese shown", active=True, width=INNER, name=f"{view}-cheese")
        self.cheese.on_change("active", lambda attr, old, shown: scene.has_cheese == shown or scene.show_cheese(shown))
        scene.followers.append(self.show)
        self.show()
        self.widgets = [Row(*arrows, *actions, spacing=2), self.cheese]

    def _moving(self, move: int):
        return lambda: self.scene.move_cursor(move)

    def _button(self, session: Session, view: str, key: str, label: str, act, width: int) -> Button:
        button = Button(label=label, width=width, name=f"{view}-{key}", margin=(4, 1, 4, 1), stylesheets=[TIGHT])
        button.on_click(lambda: act() and None)
        session.on_key(view, key, act)
        return button

    def show(self) -> None:
        """Draw the objects where they are."""
        scene = self.scene
        self.cheese.active = scene.has_cheese
        self.objects.data = marks(scene.levels, scene.mouse, scene.has_cheese)
        self.trail.data = {"x": [cell[0] for cell in scene.trail], "y": [cell[1] for cell in scene.trail]}
        self.cursor.data = {"x": [scene.cursor[0]], "y": [scene.cursor[1]]}

    def hold(self, panel: figure) -> None:
        """Show the objects on this panel, and let it be clicked and dragged on."""
        panel.line("x", "y", source=self.trail, line_color=TRAIL, line_width=2, line_alpha=0.6)
        outline = {"fill_alpha": 0, "line_color": "black", "line_dash": "dotted", "line_width": 1.5}
        panel.rect("x", "y", 0.94, 0.94, source=self.cursor, **outline)
        for click in (Tap, DoubleTap):  # the second of two quick clicks
            panel.on_event(click, lambda event: self.scene.toggle(cell_at(event)))
        panel.on_event(PanStart, lambda event: self._take(cell_at(event)))
        panel.on_event(Pan, lambda event: self._drag(cell_at(event)))
        panel.on_event(PanEnd, lambda event: self._let_go())

    def _take(self, cell: Cell) -> None:
        objects = {self.scene.mouse: "mouse", **({self.scene.cheese: "cheese"} if self.scene.has_cheese else {})}
        self._held = objects.get(cell, self.scene.is_open(cell))
        self._drag(cell)

    def _drag(self, cell: Cell) -> None:
        if self._held == "mouse":
            self.scene.put_mouse(cell)
        elif self._held == "cheese":
            self.scene.put_cheese(cell)
        elif self._held is not None:
            self.scene.set_wall(cell, self._held)

    def _let_go(self) -> None:
        self._held = None
