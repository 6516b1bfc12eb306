"""The memory view: a predictor's state beside the exact posterior, both moved by a sequence of outcomes."""

import re

import numpy as np
from bokeh.models import Button, ColumnDataSource, Div, LayoutDOM, Row, TextInput

from agentomy.drawing.style import COLOURS, CYCLE, GREY
from agentomy.explorer import beliefs
from agentomy.explorer.beliefs import Belief, Memory, Space
from agentomy.explorer.choices import RunChoice
from agentomy.explorer.drawing import INNER, TIGHT, beside, help_text, legend, line, plot, reason, wrapping
from agentomy.explorer.session import Session
from agentomy.tables import TableError

NAME = "memory"
SIZE = 470, 270  # of a panel, pixels
MOST = 60  # outcomes of a sequence
MARKERS = ("circle", "square", "triangle", "diamond", "inverted_triangle", "hex")  # of the outcomes, beside colours
BEGIN = [0, 0, 1, 0]
# of the two machines: a colour, a dash and a marker
MACHINES = {
    "network": (COLOURS["blue"], "solid", "circle"),
    "exact posterior": (COLOURS["vermillion"], "dashed", "square"),
}
HELP = (
    "Click an outcome, press its digit, or type a sequence; both machines see it. <kbd>Backspace</kbd> takes the last "
    "back, <kbd>x</kbd> all, <kbd>[</kbd> <kbd>]</kbd> a snapshot back or on. Upper row: the two leading components "
    "of each machine's states; grey are its states on the evaluation episodes, and the other machine's state is "
    "brought there by the linear map of the study (least squares on those episodes). Large: after the last outcome. "
    "Lower row: below the densities, filled, the network's probabilities, open, the posterior's means."
)


def view(session: Session) -> LayoutDOM:
    return MemoryView(session).layout


class MemoryView:
    """The widgets and panels, and what connects them."""

    def __init__(self, session: Session):
        self.session = session
        runs = beliefs.predictors(session.results)
        self.choice = RunChoice(
            runs, NAME, next((label for label in runs if label.endswith("cat-3")), next(iter(runs)))
        )
        self.refresh = session.drawing(NAME, self._draw)
        self.outcomes = list(BEGIN)
        self.typed = TextInput(title="outcomes, first to last", width=INNER, name="outcomes")
        self.buttons = Row(name="outcome-buttons")
        self.status, self.why = line("memory-status"), reason("memory-reason")
        undo, clear = (Button(label=label, width=70, stylesheets=[TIGHT]) for label in ("undo", "clear"))
        self._panels()
        self.choice.followers.append(session.guarded(self._agent_changed))
        self.typed.on_change("value", session.guarded(lambda attr, old, new: self._read(new), self.why))
        undo.on_click(self._undo)
        clear.on_click(lambda: self._take([]))
        for digit in range(10):
            session.on_key(NAME, str(digit), lambda digit=digit: self._add(digit))
        for key, act in (
            ("Backspace", self._undo), ("x", lambda: self._take([])),
            ("[", lambda: self._turn(-1)), ("]", lambda: self._turn(1)),
        ):  # fmt: skip
            session.on_key(NAME, key, act)
        self._agent_changed()
        controls = [
            *self.choice.widgets, Div(text="next outcome:", margin=(5, 5, 0, 5)), self.buttons, Row(undo, clear),
            self.typed, self.why,
        ]  # fmt: skip
        about = help_text(HELP, "The memory", "bayes")
        self.layout = beside(controls, self.status, wrapping(*self.figures), about)

    # ---- what is on the page -----------------------------------------------------------------------------------

    def _panels(self) -> None:
        self.planes = [
            Plane("the network's states (h, c)", "network", "network-plane"),
            Plane("the posterior's statistics (counts)", "exact posterior", "posterior-plane"),
        ]
        self.densities = plot(
            "exact posterior of each outcome's probability", "probability", "density", "densities", *SIZE
        )
        self.course = plot("prediction of the next outcome", "outcomes seen", "probability", "predictions", *SIZE)
        self.density = ColumnDataSource({"xs": [], "ys": [], "colour": [], "outcome": []})
        self.means = ColumnDataSource({key: [] for key in ("x", "y", "colour", "marker", "filled")})
        self.densities.multi_line(
            "xs", "ys", source=self.density, line_color="colour", line_width=2, legend_field="outcome"
        )
        self.densities.scatter(
            "x",
            "y",
            source=self.means,
            marker="marker",
            size=10,
            line_color="colour",
            fill_color="filled",
            line_width=2,
        )
        self.lines = {name: ColumnDataSource({"xs": [], "ys": [], "colour": []}) for name in MACHINES}
        self.dots = ColumnDataSource({key: [] for key in ("x", "y", "colour", "marker")})
        for name, (_, dash, _) in MACHINES.items():
            self.course.multi_line(
                "xs",
                "ys",
                source=self.lines[name],
                line_color="colour",
                line_dash=dash,
                line_width=2,
                legend_label=name,
            )
        self.course.scatter("x", "y", source=self.dots, marker="marker", size=7, color="colour")
        self.course.y_range.update(start=-0.03, end=1.03)
        self.figures = [*(plane.figure for plane in self.planes), self.densities, self.course]
        for panel in (self.densities, self.course):
            legend(panel)

    def _draw(self) -> None:
        belief = self.memory.follow(self.outcomes)
        for plane, space in zip(self.planes, (belief.network, belief.posterior), strict=True):
            plane.show(space)
        self._show_densities(belief)
        self._show_course(belief)
        self._tell(belief)

    def _show_densities(self, belief: Belief) -> None:
        count = len(belief.densities)
        self.density.data = {
            "xs": [beliefs.PLACES] * count, "ys": list(belief.densities), "colour": CYCLE[:count],
            "outcome": [f"outcome {number}" for number in range(count)],
        }  # fmt: skip
        self.means.data = {
            "x": [*belief.predicted[-1], *belief.exact[-1]], "y": np.zeros(2 * count), "colour": CYCLE[:count] * 2,
            "marker": MARKERS[:count] * 2, "filled": [*CYCLE[:count], *["#FFFFFF"] * count],
        }  # fmt: skip

    def _show_course(self, belief: Belief) -> None:
        steps, count = np.arange(len(belief.counts)), belief.counts.shape[1]
        for name, values in zip(MACHINES, (belief.predicted, belief.exact), strict=True):
            self.lines[name].data = {"xs": [steps] * count, "ys": list(values.T), "colour": CYCLE[:count]}
        self.dots.data = {
            "x": np.tile(steps, count), "y": belief.predicted.T.ravel(),
            "colour": np.repeat(CYCLE[:count], len(steps)), "marker": np.repeat(MARKERS[:count], len(steps)),
        }  # fmt: skip

    def _tell(self, belief: Belief) -> None:
        predictions = [
            ", ".join(f"{probability:.3f}" for probability in side) for side in (belief.predicted[-1], belief.exact[-1])
        ]
        counts = ", ".join(f"{count:.0f}" for count in belief.counts[-1])
        far = " · longer than any episode of its training" * (len(belief.counts) > self.memory.machines.steps)
        self.status.text = (
            f"after {len(self.outcomes)} outcomes, counts ({counts}): the network predicts ({predictions[0]}), the "
            f"Bayes-optimal predictor ({predictions[1]}); largest difference "
            f"{np.abs(belief.predicted[-1] - belief.exact[-1]).max():.3f}{far}"
        )

    # ---- what happens ------------------------------------------------------------------------------------------

    @property
    def memory(self) -> Memory:
        choice = self.choice
        return beliefs.load(self.session.results, choice.chosen, int(choice.seed.value), int(choice.update.value))

    def _agent_changed(self) -> None:
        kinds = self.memory.machines.task.inputs
        if len(self.buttons.children) != kinds:
            self.buttons.children = [self._button(number) for number in range(kinds)]
        self._take([outcome for outcome in self.outcomes if outcome < kinds])

    def _button(self, number: int) -> Button:
        styles = {"border-bottom": f"4px solid {CYCLE[number]}"}
        button = Button(label=str(number), width=34, name=f"outcome-{number}", styles=styles, stylesheets=[TIGHT])
        button.on_click(lambda: self._add(number))
        return button

    def _add(self, outcome: int) -> None:
        if outcome < len(self.buttons.children) and len(self.outcomes) < MOST:
            self._take([*self.outcomes, outcome])

    def _undo(self) -> None:
        self._take(self.outcomes[:-1])

    def _turn(self, by: int) -> None:
        slider = self.choice.update
        place = list(slider.categories).index(slider.value) + by
        if 0 <= place < len(slider.categories):
            slider.value = slider.categories[place]

    def _read(self, text: str) -> None:
        outcomes = parsed(text, len(self.buttons.children))
        if outcomes != self.outcomes:
            self._take(outcomes)

    def _take(self, outcomes: list[int]) -> None:
        self.outcomes = outcomes
        self.typed.value = " ".join(map(str, outcomes))
        self.refresh()


def parsed(text: str, count: int) -> list[int]:
    """The outcomes of a typed sequence of digits, spaces and commas; a `TableError` if it is none."""
    digits = re.sub(r"[\s,]+", "", text)
    wrong = [digit for digit in digits if not ("0" <= digit <= "9" and int(digit) < count)]
    if wrong or len(digits) > MOST:
        problem = f"'{wrong[0]}' is no outcome" if wrong else f"{len(digits)} outcomes"
        raise TableError(f"outcomes: {problem}; allowed: up to {MOST} of 0 to {count - 1}")
    return [int(digit) for digit in digits]


class Plane:
    """A panel with both machines' ways in the plane of one machine's states."""

    def __init__(self, title: str, owner: str, name: str):
        self.title, self.figure = title, plot(title, "PC 1", "PC 2", name, *SIZE)
        self.cloud = ColumnDataSource({"x": [], "y": []})
        self.ways = {machine: ColumnDataSource({key: [] for key in ("x", "y", "size")}) for machine in MACHINES}
        self.owner = owner
        self.figure.scatter("x", "y", source=self.cloud, size=2, color=GREY, alpha=0.15)
        for machine, (colour, dash, marker) in MACHINES.items():
            look = {"source": self.ways[machine], "legend_label": machine + ", mapped" * (machine != owner)}
            self.figure.line("x", "y", line_color=colour, line_dash=dash, line_width=2, **look)
            self.figure.scatter("x", "y", marker=marker, size="size", color=colour, fill_alpha=0.6, **look)
        legend(self.figure)

    def show(self, space: Space) -> None:
        self.cloud.data = dict(zip("xy", space.cloud.T, strict=True))
        for machine, source in self.ways.items():
            way = space.reached if machine == self.owner else space.mapped
            source.data = {"x": way[:, 0], "y": way[:, 1], "size": [*[5] * (len(way) - 1), 11]}
        self.figure.title.text = f"{self.title}; {100 * space.share:.0f} % of variance"
