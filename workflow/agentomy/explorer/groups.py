"""Pixel groups (Trim & Grayston 2024; sheet, section 7): group a layer's pixels by hand.

This is done in the layer's picture and in a scatter of its activations, beside the layer before it and the true types
of patches; what is brushed in one is lit in all.
"""

from collections.abc import Callable
from html import escape

import numpy as np
from bokeh.models import Button, Column, Div, LayoutDOM, Row, Select, Slider, Spinner, TextInput, Toggle

from agentomy.explorer import activations, group_panels, labels
from agentomy.explorer.activations import Place
from agentomy.explorer.drawing import INNER, TIGHT, WHOLE, beside, few, help_text, message, reason, said_why, wrapping
from agentomy.explorer.group_panels import Linked
from agentomy.explorer.labels import LARGE, METHODS, PALETTE, Impossible, Labelling
from agentomy.explorer.session import Session
from agentomy.explorer.tours import STEPS, Tour
from agentomy.papers.maze.measure.pixel_groups import Level
from agentomy.tables import TableError

NAME = "pixel groups"
PACE = 100  # of the tour, milliseconds a step
TURNS = 25 * STEPS
NONE = "–"
SIDE = 376  # width of what is said beside the panels, pixels
MOVES = {"ArrowLeft": (0, -1), "ArrowRight": (0, 1), "ArrowUp": (-1, 0), "ArrowDown": (1, 0)}  # down, to the right
HELP = (
    "A point is a pixel of the layer with a coordinate for each channel. <b>Click</b> a pixel or <b>drag</b> over some "
    "in any panel to select them (shift: more): the same ones are lit in all. Keys: <kbd>←↓↑→</kbd> move the cursor "
    "(dotted) in the layer, <kbd>space</kbd> select or leave its pixel, <kbd>g</kbd> whole groups, <kbd>Escape</kbd> "
    "nothing; <kbd>m</kbd> merge, <kbd>x</kbd> split, <kbd>c</kbd> next colour, <kbd>u</kbd> undo; <kbd>p</kbd> "
    "turn the scatter, <kbd>[</kbd> <kbd>]</kbd> step by step, <kbd>0</kbd> back to principal components; "
    "<kbd>w</kbd> save. "
    f"Split: the selected pixels leave their groups; a whole group is cut where it merges last. {group_panels.LEGEND}."
)


def view(session: Session) -> LayoutDOM:
    return GroupsView(session).layout


class GroupsView:
    """The widgets and panels, and what connects them."""

    def __init__(self, session: Session):
        self.session, self.results = session, session.results
        self.tables, problems = activations.feature_tables(self.results)
        if not self.tables:
            raise TableError(f"no features of layers: {'; '.join(problems) or self.results.missing('maze')}")
        self.made: dict[Place, list[Labelling]] = {}  # the labels of every place, oldest first
        self.place: Place | None = None
        self.playing, self.going = None, False  # a periodic callback; to where labels belong
        self.known: set[str] = set()  # labels that may be written over: they were saved or loaded here
        self.refresh = session.drawing(NAME, self._draw)
        self.linked = Linked(self._brushed)
        self._texts()
        self._choices()
        self._edits()
        self._files()
        for key, act in self._keys().items():
            session.on_key(NAME, key, self._once_drawn(act))
        self.refresh()
        controls = [
            self.table, self.network, Row(self.layer, self.picture), Row(self.method, self.count, self.again),
            self.turn, Row(self.play, self.zero), self.group, Row(self.name, self.colour), Row(*self.buttons),
            self.told, Row(self.file, self.save), Row(self.saved, self.load), self.filed,
        ]  # fmt: skip
        side = Column(self.agrees, self.listed, width=SIDE)
        head = [message(problem) for problem in few(problems)]
        about = help_text(HELP, "Pixel groups", "maze")
        self.layout = Column(*head, beside(controls, wrapping(self.linked.layout, side), about), **WHOLE)

    # ---- what is on the page -----------------------------------------------------------------------------------

    def _texts(self) -> None:
        self.agrees = Div(text="", width=SIDE, name="groups-agreement")
        self.listed = Div(text="", width=SIDE, name="groups-list")
        self.told, self.filed = reason("groups-told"), reason("groups-filed")  # below the buttons that they are about

    def _choices(self) -> None:
        labelled = list(self.tables)
        self.table = Select(title="features", options=labelled, value=labelled[0], width=INNER, name="groups-table")
        self.network = Select(title="network", width=INNER, name="groups-network")
        self.layer = Select(title="layer", width=INNER - 90, name="groups-layer-choice")
        self.picture = Spinner(title="picture", low=0, high=0, step=1, value=0, width=80, name="groups-picture")
        for widget in (self.table, self.network, self.layer, self.picture):
            widget.on_change("value", lambda attr, old, new: self.going or self.refresh())
        self.turn = Slider(title="turn of the scatter", start=0, end=TURNS, step=1, value=0, width=INNER)
        self.turn.on_change("value", lambda attr, old, new: self.linked.turn(new))
        self.play = Toggle(label="turn", width=60, name="groups-play", stylesheets=[TIGHT])
        self.play.on_change("active", lambda attr, old, on: self._play(on))
        self.zero = self._button("principal components", 150, self._to_start)

    def _edits(self) -> None:
        self.method = Select(title="group anew by", options=list(METHODS), width=136, name="groups-method")
        self.method.value = METHODS[0]
        self.count = Spinner(title="groups", low=1, step=1, value=1, width=60, name="groups-count")
        self.again = self._button("make", 46, self._again, margin=(22, 1, 4, 1))
        self.group = Select(title="group in hand", options=[NONE], value=NONE, width=INNER, name="groups-group")
        self.name = TextInput(title="its name, then Enter", width=INNER - 104, name="groups-name")
        self.colour = Select(title="its colour", options=list(PALETTE), value=LARGE[0], width=90, name="groups-colour")
        self.group.on_change("value", lambda attr, old, new: self._pick(new))
        self.name.on_change("value", lambda attr, old, new: self._describe(self._name))
        self.colour.on_change("value", lambda attr, old, new: self._describe(self._colour))
        self.buttons = [
            self._button(label, width, act)
            for label, width, act in (
                ("whole groups", 82, self._whole), ("merge", 46, lambda: self._act(self._merge)),
                ("split", 40, lambda: self._act(self._split)), ("undo", 44, self._undo),
            )
        ]  # fmt: skip

    def _files(self) -> None:
        self.file = TextInput(title="save labels as", value="labels", width=INNER - 66, name="groups-file")
        self.save = self._button("save", 56, self.session.guarded(self._save, self.filed), margin=(22, 1, 4, 1))
        self.saved = Select(title="saved labels", options=[], width=INNER - 66, name="groups-saved")
        self.load = self._button("load", 56, self.session.guarded(self._load, self.filed), margin=(22, 1, 4, 1))

    def _button(self, label: str, width: int, act: Callable[[], None], margin=(4, 1, 4, 1)) -> Button:
        name = f"groups-{label.replace(' ', '-')}"
        button = Button(label=label, width=width, margin=margin, stylesheets=[TIGHT], name=name)
        button.on_click(self._once_drawn(act))
        return button

    def _once_drawn(self, act: Callable[[], None]) -> Callable[[], None]:
        """An act that does nothing while there is nothing to act on: a file is broken, say."""
        return lambda: act() if self.place else None

    def _keys(self) -> dict[str, Callable[[], None]]:
        return {
            **{key: self._moving(key) for key in MOVES}, " ": self.linked.toggle, "g": self._whole,
            "Escape": lambda: self.linked.select([]), "m": lambda: self._act(self._merge),
            "x": lambda: self._act(self._split), "c": lambda: self._act(self._next_colour), "u": self._undo,
            "p": lambda: self.play.update(active=not self.play.active), "[": lambda: self._step(-1),
            "]": lambda: self._step(1), "0": self._to_start, "w": self.session.guarded(self._save, self.filed),
        }  # fmt: skip

    def _moving(self, key: str) -> Callable[[], None]:
        return lambda: self.linked.move(*MOVES[key])

    # ---- drawing -----------------------------------------------------------------------------------------------

    def _draw(self) -> None:
        place = self._chosen()
        if place != self.place:
            self._enter(place)
        self._show()
        self.linked.light()

    def _chosen(self) -> Place:
        """What the widgets choose; they offer what there is."""
        files = self.tables[self.table.value]
        known = {network.label: network for network in activations.networks(self.results, files)}
        if not known:
            raise TableError(f"{files[0].parent}: no layer with places; allowed: features of a convolutional network")
        trained = max(known, key=lambda label: known[label].update)
        self.network.update(options=list(known), value=_kept(self.network.value, list(known), trained))
        network = known[self.network.value]
        levels = activations.levels(self.results, files, network)
        number = min(max(int(self.picture.value or 0), 0), len(levels) - 1)
        self.picture.update(high=len(levels) - 1, value=number)
        self.levels = activations.layers(self.results, files, network, levels[number])
        named = list(self.levels)
        self.layer.update(options=named, value=_kept(self.layer.value, named, named[0]))
        return Place(self.table.value, network, levels[number], self.layer.value)

    def _enter(self, place: Place) -> None:
        self.place = place
        self.turn.value = 0
        self.linked.enter(Tour(self.level.points))
        self.count.update(high=len(self.level.points), value=len(self.labelling))
        self.told.text = ""

    @property
    def level(self) -> Level:
        return self.levels[self.place.layer]

    @property
    def labelling(self) -> Labelling:
        return self._history(self.place)[-1]

    def _history(self, place: Place) -> list[Labelling]:
        if place not in self.made:
            self.made[place] = [labels.automatic(self.levels[place.layer].points)]
        return self.made[place]

    def _show(self) -> None:
        level, labelling = self.level, self.labelling
        self.linked.show(self.place.layer, level, labelling, self.turn.value)
        named = list(self.levels)
        number = named.index(self.place.layer)
        size = self.levels[named[number - 1]].patches.shape
        if number == 0 or size < level.patches.shape:  # what comes before has no fewer pixels
            self.linked.show_picture(level.picture)
        else:
            before = self.place._replace(layer=named[number - 1])
            self.linked.show_before(before.layer, size, self._history(before)[-1])
        self.agrees.text = f"<b>Agreement.</b> {group_panels.agreement(level, labelling)}"
        self.group.options = [NONE, *(f"{number} {name}".strip() for number, name in enumerate(labelling.names))]
        self.saved.options = list(labels.files(self.results))

    # ---- selecting ---------------------------------------------------------------------------------------------

    def _brushed(self) -> None:
        """Show the current group: that of the selected pixels, if all are in one."""
        touched = self.labelling.touched(self.linked.selected)
        alone = touched[0] if len(touched) == 1 else None
        self.listed.text = group_panels.listed(self.level, self.labelling, touched)
        self.group.value = NONE if alone is None else self.group.options[alone + 1]
        self.name.value, self.colour.value = self._in_words(touched)

    def _in_words(self, touched: list[int]) -> tuple[str, str]:
        """The name and the colour that are shown for these groups."""
        if len(touched) != 1:
            return "", LARGE[0]
        return self.labelling.names[touched[0]], self.labelling.colours[touched[0]]

    def _pick(self, label: str) -> None:
        """Select a group, if it is not the one that the selected pixels are of."""
        if label != NONE and self.labelling.touched(self.linked.selected) != [self.group.options.index(label) - 1]:
            self.linked.select(self.labelling.groups == self.group.options.index(label) - 1)

    def _whole(self) -> None:
        self.linked.select(np.isin(self.labelling.groups, self.labelling.touched(self.linked.selected)))

    # ---- changing groups ---------------------------------------------------------------------------------------

    def _act(self, change: Callable[[], Labelling]) -> None:
        """Change the labels, or say why not."""
        try:
            self._history(self.place).append(change())
        except Impossible as error:
            self._tell(str(error))
        else:
            self._tell("")
        self.refresh()

    def _describe(self, change: Callable[[], Labelling]) -> None:
        """Name or colour the current group, unless the page itself filled in what is known."""
        if (self.name.value, self.colour.value) != self._in_words(self.labelling.touched(self.linked.selected)):
            self._act(change)

    def _tell(self, text: str) -> None:
        self.told.text = said_why(text)

    def _in_hand(self) -> int:
        touched = self.labelling.touched(self.linked.selected)
        if len(touched) != 1:
            raise Impossible(f"{len(touched)} groups are selected; allowed: one, to name or to colour it")
        return touched[0]

    def _name(self) -> Labelling:
        return self.labelling.named(self._in_hand(), self.name.value)

    def _colour(self) -> Labelling:
        return self.labelling.coloured(self._in_hand(), self.colour.value)

    def _next_colour(self) -> Labelling:
        group, palette = self._in_hand(), list(PALETTE)
        after = (palette.index(self.labelling.colours[group]) + 1) % len(palette)
        return self.labelling.coloured(group, palette[after])

    def _merge(self) -> Labelling:
        return self.labelling.merged(self.labelling.touched(self.linked.selected))

    def _split(self) -> Labelling:
        touched = self.labelling.touched(self.linked.selected)
        if len(touched) == 1 and (self.labelling.groups == touched[0]).sum() == len(self.linked.selected):
            return self.labelling.halved(touched[0], self.level.points)
        return self.labelling.taken(self.linked.selected)

    def _again(self) -> None:
        self._act(lambda: labels.automatic(self.level.points, self.method.value, int(self.count.value or 1)))

    def _undo(self) -> None:
        history = self._history(self.place)
        if len(history) > 1:
            history.pop()
            self._tell("")
        else:
            self._tell("nothing to undo")
        self.refresh()

    # ---- the tour ----------------------------------------------------------------------------------------------

    def _step(self, by: int) -> None:
        self.turn.value = (self.turn.value + by) % (TURNS + 1)

    def _to_start(self) -> None:
        self.play.active, self.turn.value = False, 0

    def _play(self, on: bool) -> None:
        if self.playing:
            self.session.document.remove_periodic_callback(self.playing)
            self.playing = None
        if on:
            self.playing = self.session.document.add_periodic_callback(lambda: self._step(1), PACE)

    # ---- files -------------------------------------------------------------------------------------------------

    def _save(self) -> None:
        name = self.file.value.strip()
        if labels.path_of(self.results, name).exists() and name not in self.known:
            raise TableError(f"labels '{name}' are there already; allowed: another name, or load them first")
        path = labels.save(self.results, name, self.place, self.level, self.labelling)
        self.known.add(name)
        self.saved.update(options=list(labels.files(self.results)), value=name)
        self.filed.text = escape(f"saved: {path}")

    def _load(self) -> None:
        if not self.saved.value:
            raise TableError("no saved labels are chosen; allowed: one of the list")
        saved = labels.load(self.results, self.saved.value)
        self._go(saved)
        self.known.add(self.saved.value)
        self.file.value = self.saved.value

    def _go(self, saved: labels.Saved) -> None:
        """Show loaded labels, where they belong."""
        place, files = saved.place, self.tables.get(saved.place.table)
        if files is None or place.network not in activations.networks(self.results, files):
            raise TableError(
                f"{saved.path}: labels of {place.table}, {place.network.label}, which are not in the results"
            )
        levels = activations.levels(self.results, files, place.network)
        layers = activations.layers(self.results, files, place.network, place.level) if place.level in levels else {}
        if place.layer not in layers or layers[place.layer].patches.shape != saved.shape:
            size = " × ".join(map(str, saved.shape))
            raise TableError(
                f"{saved.path}: labels of layer '{place.layer}' ({size}), level {place.level}, which are not in "
                f"{place.table}"
            )
        self.going = True
        try:
            self.table.value, self.network.value = place.table, place.network.label
            self.layer.value, self.picture.value = place.layer, levels.index(place.level)
        finally:
            self.going = False
        history = self.made.setdefault(place, [labels.automatic(layers[place.layer].points)])
        history.append(saved.labelling)
        self.refresh()
        same = saved.digest == activations.digest(layers[place.layer])
        stale = "; the layer's activations have changed since they were saved: they may not fit" * (not same)
        self.filed.text = escape(f"loaded: {saved.path}{stale}")


def _kept(value: str, options: list[str], otherwise: str) -> str:
    return value if value in options else otherwise
