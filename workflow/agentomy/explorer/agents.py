"""The view of any agent: returns and use of layers beside untrained twins, its path, and a game of it."""

from html import escape

import numpy as np
from bokeh.models import (
    BasicTicker,
    BoxAnnotation,
    Column,
    ColumnDataSource,
    LayoutDOM,
    LinearColorMapper,
    Range1d,
    Row,
    Select,
    Slider,
    Span,
)

from agentomy import kinds
from agentomy.drawing.style import COLOURS, GREY
from agentomy.explorer import evidence, paths
from agentomy.explorer.drawing import (
    INNER,
    STRONG,
    WHOLE,
    beside,
    few,
    help_text,
    legend,
    line,
    message,
    plot,
    reason,
    said_why,
    wrapping,
)
from agentomy.explorer.game_panels import GamePanels
from agentomy.explorer.session import Session
from agentomy.tables import TableError

NAME = "agents"
MODES = {"deterministic": COLOURS["blue"], "stochastic": COLOURS["vermillion"]}
MARKERS = {"noted return": "x", "monitored return": "cross"}
SHARES = ("dead", "dormant")
QUANTITIES = ("dead", "dormant", "effective rank", "stable rank")
HELP = (
    "All of this is read from tables that jobs made. <b>Returns</b>: lines and 95 % intervals over games; dashed: mean "
    "of the untrained twins; × and + were noted elsewhere. <b>Use of a layer</b>: grey is the middle 95 % of the twins "
    "on the same observations. <b>A game</b>: what the environment draws, where it does; what the agent sees (each "
    "entry of a vector by its largest size in the game); and the share of the saliency of its choice, or of its value, "
    "that each entry or pixel has at this step, grey: the twin's, mean over its game. Keys: <kbd>,</kbd> <kbd>.</kbd> "
    "a step back or on."
)


def view(session: Session) -> LayoutDOM:
    return AgentsView(session).layout


class AgentsView:
    """The widgets and panels, and what connects them."""

    def __init__(self, session: Session):
        self.session = session
        self.known, problems = evidence.evidence(session.results)
        self.refresh = session.drawing(NAME, self._draw)
        self._offering = False
        self._widgets()
        self._panels()
        session.on_key(NAME, ",", lambda: self._look(-1))
        session.on_key(NAME, ".", lambda: self._look(1))
        session.guarded(self._run_changed)()
        controls = [Row(self.run, self.seed), self.layer, self.player, self.output, self.step, self.why]
        about = help_text(HELP, "Any agent")
        shown = [wrapping(self.returns, self.path), self.game.layout, wrapping(*self.units.values()), about]
        self.layout = Column(*map(message, few(problems)), beside(controls, self.status, *shown), **WHOLE)

    # ---- what is on the page -----------------------------------------------------------------------------------

    def _widgets(self) -> None:
        self.run = Select(title="agent", options=[*self.known], value=next(iter(self.known)), width=INNER - 72,
                          name="agents-run")  # fmt: skip
        self.seed = Select(title="seed", width=60, name="agents-seed")
        self.layer = Select(title="layer", width=INNER, name="agents-layer")
        self.player = Select(title="who plays", width=INNER, name="agents-player")
        self.output = Select(title="saliency of", options=[*kinds.inside.OUTPUTS], value=kinds.inside.OUTPUTS[0],
                             width=INNER, name="agents-output")  # fmt: skip
        self.step = Slider(title="step of the game", start=0, end=1, step=1, value=0, width=INNER, name="agents-step")
        self.status, self.why = line("agents-status"), reason("agents-reason")
        self.run.on_change("value", self.session.guarded(lambda attr, old, new: self._run_changed()))
        self.seed.on_change("value", self.session.guarded(lambda attr, old, new: self._seed_changed()))
        for widget in (self.layer, self.player, self.output, self.step):
            widget.on_change("value", lambda attr, old, new: None if self._offering else self.refresh())

    def _panels(self) -> None:
        number = "number in the file's name, or update"
        self.returns = plot("return", number, "", "agents-returns", 330, 250)
        self.ways = {mode: ColumnDataSource({name: [] for name in ("update", "mean", "low", "high")}) for mode in MODES}
        self.levels, self.notes = {}, {}
        for mode, colour in MODES.items():
            source = {"source": self.ways[mode], "color": colour}
            self.returns.varea("update", "low", "high", source=source["source"], fill_color=colour, fill_alpha=0.15)
            self.returns.line("update", "mean", legend_label=mode, line_width=2, **source)
            self.returns.scatter("update", "mean", size=5, **source)
            self.levels[mode] = Span(dimension="width", line_color=colour, line_dash="dashed", visible=False)
            self.returns.add_layout(self.levels[mode])
        for quantity, marker in MARKERS.items():
            self.notes[quantity] = ColumnDataSource({"update": [], "value": []})
            look = {"marker": marker, "size": 8, "color": "black", "legend_label": evidence.NOTED[quantity]}
            self.returns.scatter("update", "value", source=self.notes[quantity], **look)
        self.keys = {item.label.value: item for item in self.returns.legend[0].items}
        legend(self.returns)
        self.returns.legend.ncols = 2
        self.path = plot("", "U[:, 1]", "U[:, 2]", "agents-path", 240, 250)
        self.way = ColumnDataSource({"x": [], "y": [], "update": []})
        self.times = LinearColorMapper(palette=STRONG[16:], low=0, high=1)
        self.path.line("x", "y", source=self.way, color=GREY, line_alpha=0.6)
        self.path.scatter("x", "y", source=self.way, size=6, color={"field": "update", "transform": self.times})
        self.units, self.uses, self.bands = {}, {}, {}
        for quantity in QUANTITIES:
            panel = plot(quantity, "", "", f"agents-{quantity.replace(' ', '-')}", 240, 150)
            self.uses[quantity] = ColumnDataSource({"update": [], "value": []})
            panel.line("update", "value", source=self.uses[quantity], line_width=2, color=COLOURS["blue"])
            panel.scatter("update", "value", source=self.uses[quantity], size=5, color=COLOURS["blue"])
            self.bands[quantity] = BoxAnnotation(fill_color=GREY, fill_alpha=0.25, line_color=GREY, visible=False)
            panel.add_layout(self.bands[quantity])
            panel.xaxis.ticker = BasicTicker(desired_num_ticks=3, num_minor_ticks=0)
            if quantity in SHARES:
                panel.y_range = Range1d(start=-0.03, end=1.03)
            self.units[quantity] = panel
        self.game = GamePanels()

    # ---- drawing -----------------------------------------------------------------------------------------------

    def _draw(self) -> None:
        told = []
        for sort, show in (("returns", self._show_returns), ("units", self._show_units), ("watched", self._show_game)):
            if sort in self.of.tables:
                show()
            else:
                told.append(evidence.why_missing(self.of, sort))
        self._show_path()
        self.why.text = "".join(map(said_why, told))

    def _show_returns(self) -> None:
        frame = evidence.returns(self.session.results, self.of, self.seed_number)
        for mode, source in self.ways.items():
            part = frame[frame["mode"] == mode]
            snapshots, twins = part[part["twin"] < 0].sort_values("update"), part[part["twin"] >= 0]
            source.data = {name: snapshots[name].to_numpy() for name in source.data}
            self.levels[mode].update(
                visible=bool(len(twins)), location=float(twins["mean"].mean()) if len(twins) else 0
            )
        noted = evidence.noted(self.session.results, self.of, self.seed_number)
        for quantity, source in self.notes.items():
            part = noted[noted["quantity"] == quantity]
            source.data = {name: part[name].to_numpy() for name in source.data}
            self.keys[evidence.NOTED[quantity]].visible = bool(len(part))

    def _show_units(self) -> None:
        frame = evidence.units(self.session.results, self.of, self.seed_number)
        frame = frame[frame["layer"] == self.layer.value]
        for quantity, source in self.uses.items():
            part = frame[frame["quantity"] == quantity]
            snapshots, twins = part[part["twin"] < 0].sort_values("update"), part[part["twin"] >= 0]["value"]
            source.data = {name: snapshots[name].to_numpy() for name in source.data}
            low, high = np.quantile(twins, [0.025, 0.975]) if len(twins) else (0.0, 0.0)
            self.bands[quantity].update(visible=bool(len(twins)), bottom=float(low), top=float(high))

    def _show_path(self) -> None:
        """The path in the plane of its two leading directions, if a job has decomposed it."""
        route = self.routes.get(self.run.value)
        if route is None or self.seed_number not in route.grams:
            self.way.data = {name: [] for name in self.way.data}
            self.path.title.text = "path: not decomposed yet"
            return
        walk = paths.walk(self.session.results, route, self.seed_number)
        spectrum = walk.spectra["delta"]["real"]
        self.way.data = {"x": spectrum.courses[:, 0], "y": spectrum.courses[:, 1], "update": walk.updates}
        self.times.update(low=float(walk.updates[0]), high=float(walk.updates[-1]))
        shares = " and ".join(f"{100 * spectrum.share(number):.0f} %" for number in (1, 2))
        self.path.title.text = f"path: {shares}"

    def _show_game(self) -> None:
        results, seed = self.session.results, self.seed_number
        game = evidence.game(results, self.of, seed, *self.players[self.player.value])
        last = len(game.rewards) - 1
        self.step.update(end=max(last, 1), value=min(int(self.step.value), last))
        step = int(self.step.value)
        output = self.output.value
        twin = next((player for player in self.players.values() if player[1] >= 0), None)
        beside = evidence.game(results, self.of, seed, *twin).saliency.get(output) if twin else None
        self.game.show(game, step, output, beside)
        action = ", ".join(f"{entry:.3g}" for entry in game.actions[step])
        self.status.text = escape(
            f"step {step} of {last + 1} that were kept: action {action}, return until then {game.rewards[step]:.4g}"
        )

    # ---- what is chosen ----------------------------------------------------------------------------------------

    @property
    def of(self) -> evidence.Evidence:
        return self.known[self.run.value]

    @property
    def seed_number(self) -> int:
        return int(self.seed.value)

    def _run_changed(self) -> None:
        seeds = [str(seed) for seed in self.of.run.files]
        self._offering = True
        self.seed.update(options=seeds, value=self.seed.value if self.seed.value in seeds else seeds[0])
        self._offering = False
        self._seed_changed()

    def _seed_changed(self) -> None:
        """Offer what there is of a run and seed, and draw it."""
        if self._offering:
            return
        self._offering = True
        results, there = self.session.results, self.of.tables
        try:
            self.routes = paths.routes(results)[0]
        except TableError:
            self.routes = {}
        layers: list[str] = []
        if "units" in there:
            layers = [*dict.fromkeys(evidence.units(results, self.of, self.seed_number)["layer"])]
        self.players = evidence.players(results, self.of, self.seed_number) if "watched" in there else {}
        for widget, options in ((self.layer, layers), (self.player, [*self.players])):
            kept = widget.value if widget.value in options else next(iter(options), "")
            widget.update(options=options, value=kept)
        for widget in (self.player, self.output, self.step, self.game.layout):
            widget.visible = bool(self.players)
        for widget in (self.layer, *self.units.values()):
            widget.visible = bool(layers)
        self.returns.visible = "returns" in there
        self.status.text = ""
        self._offering = False
        self.refresh()

    def _look(self, by: int) -> None:
        if self.players:
            self.step.value = min(max(int(self.step.value) + by, 0), self.step.end)
