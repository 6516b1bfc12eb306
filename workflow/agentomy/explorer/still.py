"""The maze agents along training, without a server: every snapshot is drawn in advance, and JavaScript only selects."""

from typing import Any

import numpy as np
from bokeh.models import CategoricalSlider, Column, CustomJS, Div, LayoutDOM, Select

from agentomy.explorer import readings
from agentomy.explorer.choices import GENERATED, level_tables, levels_of, longest, maze_runs
from agentomy.explorer.drawing import MORE, STRONG, WHOLE, Field, Mosaic, Panel, heading, marks, no_marks, wrapping
from agentomy.explorer.readings import EDITED, HEADS, Edit
from agentomy.explorer.results import Results, Run
from agentomy.explorer.scenes import Scene

CHOOSE = """
const run = frames[choice.value]
if (cb_obj === choice) time.setv({categories: run.updates, value: run.updates.at(-1)})
const frame = run.frames[run.updates.indexOf(time.value)]
objects.data = run.marks
for (const [number, panel] of panels.entries()) {
  const shown = frame[number]
  panel.mapper.setv({low: shown.low, high: shown.high})
  panel.figure.x_range.end = panel.figure.y_range.end = shown.end
  panel.picture.data = shown.picture
  if (shown.arrows) panel.arrows.data = shown.arrows
}
"""
TEXT = (
    "One maze per world, the mouse at its start, for the first training seed of every run: choose two agents and drag "
    "their time sliders. Left to right: the policy as arrows on the map of values (walls sand, ◆ cheese, ★ top-right "
    "cell); saliency of the most likely move; all channels of {layer}. For your own mazes and for edits: "
    "<code>agentomy explore</code>."
)


def copy(results: Results) -> LayoutDOM:
    """Two agents side by side, each with a time slider."""
    runs = maze_runs(results)
    lanes = [_Lane(), _Lane()]
    frames = {label: lanes[0].frames(results, run) for label, run in runs.items()}
    first = longest(runs)
    rows = []
    for lane, place in zip(lanes, (-1, 0), strict=True):
        updates = frames[first]["updates"]
        choice = Select(title="agent", options=list(runs), value=first, width=200)
        time = CategoricalSlider(title="training update", categories=updates, value=updates[place], width=200)
        lane.draw(frames[first], frames[first]["frames"][place])
        panels = [
            {"figure": panel.figure, "mapper": panel.mapper, "picture": panel.picture}
            | ({"arrows": panel.arrows} if isinstance(panel, Field) else {})
            for panel in lane.panels
        ]
        args = {"frames": frames, "choice": choice, "time": time, "objects": lane.objects, "panels": panels}
        for widget in (choice, time):
            widget.js_on_change("value", CustomJS(args=args, code=CHOOSE))
        rows.append([Column(choice, time, width=230), *(panel.figure for panel in lane.panels)])
    text = Div(text=f"<p>{TEXT.format(layer=EDITED)}</p>", **WHOLE)
    return Column(text, *(wrapping(*row) for row in rows), **WHOLE)


class _Lane:
    """A row of panels for one agent."""

    def __init__(self):
        self.objects = no_marks()
        self.panels = [
            Field("policy on values", MORE, ""), Panel(f"saliency of {HEADS['move']}", STRONG, ""), Mosaic("")
        ]  # fmt: skip
        for panel in self.panels[:2]:
            panel.mark(self.objects)

    def frames(self, results: Results, run: Run) -> dict[str, Any]:
        """What the panels show for a run at every snapshot, and the objects in its maze."""
        world = readings.world_of(run)
        label = next((label for label, _ in level_tables(results, world)), GENERATED)
        levels, first = levels_of(results, world, label)
        scene = Scene(levels[[first]])
        agents = readings.load(results, run, min(run.files))
        return {
            "updates": [str(update) for update in agents],
            "marks": marks(scene.levels, scene.mouse, True),
            "frames": [self._frame(agent, scene) for agent in agents.values()],
        }

    def _frame(self, agent: readings.Agent, scene: Scene) -> list[dict[str, Any]]:
        layer = EDITED if EDITED in agent.editable else agent.editable[-1]
        side, _ = readings.read(agent, scene, layer, "move", Edit(layer))
        field, saliency, channels = self.panels
        field.show(side.values[::-1], np.nanmin(side.values), np.nanmax(side.values), scene.world)
        field.point(*heading(side.moves))
        saliency.show(side.saliency, 0, side.saliency.max(), scene.world)
        channels.show_all(side.layer)
        return [
            {
                "low": panel.mapper.low,
                "high": panel.mapper.high,
                "end": panel.figure.x_range.end,
                "picture": dict(panel.picture.data),
                "arrows": dict(panel.arrows.data) if panel is field else None,
            }
            for panel in self.panels
        ]

    def draw(self, run: dict[str, Any], frame: list[dict[str, Any]]) -> None:
        """Show one frame, as the page does."""
        self.objects.data = run["marks"]
        for panel, content in zip(self.panels, frame, strict=True):
            panel.mapper.update(low=content["low"], high=content["high"])
            panel.figure.x_range.end = panel.figure.y_range.end = content["end"]
            panel.picture.data = content["picture"]
        self.panels[0].arrows.data = frame[0]["arrows"]
