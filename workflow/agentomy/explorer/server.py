"""`agentomy explore`: serve the explorer to this machine's browsers."""

import argparse
import re
import sys
from contextlib import suppress
from pathlib import Path

import torch
from bokeh.application import Application
from bokeh.application.handlers.function import FunctionHandler
from bokeh.server.server import BaseServer
from bokeh.server.util import bind_sockets
from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.web import HTTPError, StaticFileHandler

from agentomy.explorer.claims import DOCS
from agentomy.explorer.guard import MESSAGE, Guarded
from agentomy.explorer.pages import fill
from agentomy.explorer.results import CONFIG, Results, planned
from agentomy.pipeline.plan.config import SCALES, ConfigError, parse_config, read_yaml
from agentomy.pipeline.plan.study import Plan

LOCAL, LOCAL_6, PORT = "127.0.0.1", "::1", 5006
# a name, as browsers write it in lower case, with or without a port
ORIGIN = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?(:[0-9]{1,5})?")


class Files(StaticFileHandler):
    """Serves files below a folder, only those with certain suffixes, and none outside of the folder."""

    def initialize(self, path: str, sorts: tuple[str, ...]) -> None:
        super().initialize(path)
        self.sorts = sorts

    def validate_absolute_path(self, root: str, absolute_path: str) -> str | None:
        path = Path(absolute_path).resolve()
        hidden = any(part.startswith(".") for part in Path(absolute_path).parts[len(Path(root).parts) :])
        if path.suffix not in self.sorts or hidden or not path.is_relative_to(Path(root).resolve()):
            raise HTTPError(404)
        return super().validate_absolute_path(root, absolute_path)

    def get_content_type(self) -> str:
        return "text/plain; charset=utf-8" if self.absolute_path.endswith(".md") else super().get_content_type()


def serve(
    results: Path,
    scale: str,
    address: str = LOCAL,
    port: int | None = None,
    plan: Plan | None = None,
    origins: tuple[str, ...] = (),
) -> tuple[BaseServer, int]:
    """A server that is not yet started, and its port: the given one, else the usual one, else any that is free."""
    patterns = [
        (r"/results/(.*)", Files, {"path": str(results.absolute()), "sorts": (".png", ".pdf")}),
        (r"/docs/((?:explorer|verdicts)\.md)", Files, {"path": str(DOCS.parent), "sorts": (".md",)}),
        (r"/docs/(.*)", Files, {"path": str(DOCS), "sorts": (".md",)}),
    ]
    try:
        sockets, bound = bind_sockets(address, PORT if port is None else port)
    except OSError:
        if port is not None:
            raise
        sockets, bound = bind_sockets(address, 0)
    if address == LOCAL:
        with suppress(OSError):  # a machine may have no IPv6, or something else there
            sockets += bind_sockets(LOCAL_6, bound)[0]
    pages = Application(FunctionHandler(lambda document: fill(document, Results(results, scale, plan))))
    app = Guarded(pages, address, origins, extra_patterns=patterns)
    http = HTTPServer(app, max_body_size=MESSAGE)
    http.add_sockets(sockets)
    return BaseServer(IOLoop.current(), app, http), bound


def main(given: list[str] | None = None) -> None:
    options = _options(sys.argv[1:] if given is None else given)
    torch.set_num_threads(1)  # the networks are small: threads would wait for each other
    try:
        scale = options.scale or parse_config(read_yaml(CONFIG)).scale
        plan = planned(scale)
    except ConfigError as error:
        sys.exit(f"agentomy: {error}" + ("" if options.scale else "; or say --scale"))
    try:
        server, port = serve(options.results, scale, options.address, options.port, plan, tuple(options.origin))
    except (OSError, OverflowError) as error:  # a port beyond 65,535 overflows
        reason = getattr(error, "strerror", None) or str(error)
        sys.exit(
            f"agentomy: {options.address}, port {options.port or PORT}: {reason}; allowed: --port with another one"
        )
    server.start()
    host = f"[{options.address}]" if ":" in options.address else options.address
    print(f"the explorer is at http://{host}:{port}/ (stop it with Ctrl-C)", flush=True)
    if options.address not in (LOCAL, LOCAL_6, "localhost"):
        print("anyone who reaches this address can look at these results and save labels of pixel groups", flush=True)
    try:
        server.io_loop.start()
    except KeyboardInterrupt:
        server.stop()


def _options(given: list[str]) -> argparse.Namespace:
    explore = argparse.ArgumentParser("agentomy explore", description="Look inside the agents of the pipeline.")
    explore.add_argument("--scale", choices=SCALES, help="which results; by default that of config.yaml")
    explore.add_argument("--results", type=Path, default=Path("results"), help="folder of results (results)")
    explore.add_argument("--address", default=LOCAL, help=f"where to listen ({LOCAL}: this machine alone)")
    explore.add_argument("--port", type=int, help=f"which port to listen on ({PORT}, or a free one)")
    explore.add_argument(
        "--origin", action="append", default=[], type=_origin, metavar="HOST[:PORT]",
        help="a further name by which browsers may ask for the page, behind a proxy, say; may be given again",
    )  # fmt: skip
    return explore.parse_args(given)


def _origin(given: str) -> str:
    if not ORIGIN.fullmatch(given.lower()):
        raise argparse.ArgumentTypeError(f"found '{given}'; allowed: a host name, or host:port, such as lab.example")
    return given.lower()


if __name__ == "__main__":
    main()
