"""The explorer: a local web page to look inside the agents that the pipeline has trained.

A view is a module with three names, listed in `pages.VIEWS`, and a tab on the page:

    NAME = "maze"                                   # of its tab
    def view(session: Session) -> LayoutDOM: ...    # a Bokeh layout, made anew for each visitor

`session.results` finds and reads files (`Results.runs`, `.table`); nothing else does. A file that is missing, broken or
of another version raises a `TableError`, which the page shows in place of the view: let it pass, or catch it and show
`drawing.message`. Every other exception is a bug: the page says so, and its traceback is logged. Wrap callbacks that
read files in `session.guarded`, and give work that takes seconds to a `session.Work`, which announces it. A view that
needs no server also has

    def copy(results: Results) -> LayoutDOM: ...    # for the self-contained page, see `static`

A view computes nothing itself: networks are run by the functions that extract (`lenses`, `papers`), and pixels are
grouped by `papers.maze.measure.pixel_groups`. Everything that isn't simple is kept apart from Bokeh and tested without
a browser (`scenes`, `readings`, `activations`, `tours`, `labels`, `paths`, `players`, `beliefs`);
tests/explorer/test_page*.py drive the page in one.
The only files that the explorer writes are tables of labels (`labels.save`), below results/SCALE/explorer.
"""
