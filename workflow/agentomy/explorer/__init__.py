"""The explorer: a local web page to look inside the agents that the pipeline has trained.

A view is a module with three names, listed in `pages.VIEWS`, and a tab on the page:

    NAME = "maze"                                   # of its tab
    def view(session: Session) -> LayoutDOM: ...    # a Bokeh layout, made anew for each visitor

`session.results` finds files (`Results.runs`, `.table`); they are read nowhere else. Whatever is wrong with one is a
`TableError`, which the page shows in place of the view: let it pass, or catch it and show `drawing.message`. Callbacks
that read files are wrapped in `session.guarded`; work that takes seconds is asked of a `session.Work`, which announces
it. A view that needs no server also has

    def copy(results: Results) -> LayoutDOM: ...    # for the self-contained page, see `static`

A view computes nothing of its own: networks are run by the functions that extract (`lenses`, `papers`), pixels are
grouped by those of `papers.maze.measure.pixel_groups`. What takes thought is kept apart from Bokeh and tested without a
browser (`scenes`, `readings`, `activations`, `tours`, `labels`, `paths`, `players`, `beliefs`);
tests/explorer/test_page*.py drive the page in one.
All that is ever written are tables of labels (`labels.save`), below results/SCALE/explorer.
"""
