"""Where the explorer listens, what it hands out, and what it says when files are wrong."""

import asyncio
import html
import http.client
import os
import re
import shutil
import socket
import subprocess
import sys
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from bokeh.document import Document
from bokeh.util.token import generate_jwt_token, generate_session_id
from tornado.httpclient import AsyncHTTPClient
from tornado.websocket import websocket_connect

from agentomy import kinds, tables
from agentomy.explorer import claims, guard, static
from agentomy.explorer.pages import fill
from agentomy.explorer.results import Results
from agentomy.explorer.server import _options, serve
from agentomy.explorer.session import Session
from tests.explorer.conftest import planted
from tests.pipeline.trees import ROOT

CORNER = "corner.seeds0-1.parameters"


def said(results: Results, *views: str) -> str:
    """Everything that a page over these results says, once these views are open (all, if none is named)."""
    document = Document()
    fill(document, results)
    tabs = document.get_model_by_name("tabs")
    for number, tab in enumerate(tabs.tabs):
        if tab.title in (views or [tab.title]):
            tabs.active = number
    return html.unescape(str(document.to_json()))


def status(address: str, place: str, **headers: str) -> int:
    """What a path is answered with, as it is written, dots and all."""
    connection = http.client.HTTPConnection(address.removeprefix("http://").rstrip("/"), timeout=100)
    connection.putrequest("GET", place, skip_host="Host" in headers)
    for name, value in headers.items():
        connection.putheader(name.replace("_", "-"), value)
    connection.endheaders()
    return connection.getresponse().status


def test_it_listens_on_this_machine_alone(served):
    port = int(served.rstrip("/").rpartition(":")[2])
    with open("/proc/net/tcp") as tcp, open("/proc/net/tcp6") as tcp6:
        lines = [line.split() for line in [*tcp.readlines()[1:], *tcp6.readlines()[1:]]]
    listening = [fields[1] for fields in lines if fields[3] == "0A" and fields[1].endswith(f":{port:04X}")]
    everywhere = f"0100007F:{port:04X}", f"{'0' * 24}01000000:{port:04X}"  # 127.0.0.1, ::1
    assert listening in ([everywhere[0]], [*everywhere])


WEBSOCKET = {
    "Upgrade": "websocket", "Connection": "Upgrade", "Sec_WebSocket_Version": "13",
    "Sec_WebSocket_Key": "x3JJHMbDL1EzLkh9GBhXDw==",
}  # fmt: skip


@pytest.mark.parametrize(
    ("host", "answer"),
    [
        ("evil.example", 403),  # a name that leads here (DNS rebinding)
        ("evil.example:80", 403),
        ("localhost.evil.example", 403),
        ("127.0.0.1.evil.example", 403),
        ("", 403),
        ("[", 403),
        ("localhost:8080", 200),  # a port of another machine, through ssh -L
        ("LOCALHOST", 200),
        ("127.0.0.1", 200),
        ("[::1]:8080", 200),
    ],
)
def test_it_answers_to_names_that_nobody_else_can_give_away(served, host, answer):
    for place in ("/docs/maze.md", "/static/js/bokeh.min.js"):
        assert status(served, place, Host=host) == answer
    if answer == 403:
        assert status(served, "/", Host=host) == status(served, "/ws", Host=host, **WEBSOCKET) == 403


@pytest.mark.parametrize(
    ("host", "answer"),
    [("lab.example", 200), ("lab.example:99", 200), ("other.example:8080", 200), ("other.example", 403),
     ("other.example:81", 403), ("www.lab.example", 403), ("evil.example", 403)],
)  # fmt: skip
def test_it_answers_to_further_names_when_asked(tmp_path, host, answer):
    async def visit(address: str) -> None:
        client = AsyncHTTPClient(force_instance=True)
        headers = {"Host": host, "Origin": f"http://{host}"}
        for place in ("/", "/docs/explorer.md"):
            assert (await client.fetch(f"http://{address}{place}", headers=headers, raise_error=False)).code == answer
        stranger = {"Host": host, "Origin": "http://evil.example"}
        assert (await client.fetch(f"http://{address}/", headers=stranger, raise_error=False)).code == 403

    alone(tmp_path, visit, origins=("lab.example", "other.example:8080"))


@pytest.mark.parametrize("name", ["*", "http://lab.example", "lab.example/", "", "a b", "<b>", "lab.example:", "-"])
def test_what_is_no_name_is_refused(name, capsys):
    with pytest.raises(SystemExit):
        _options(["--origin", name])
    assert "allowed: a host name, or host:port" in capsys.readouterr().err


def test_it_can_be_asked_by_ipv6(tmp_path):
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")

    async def visit(address: str) -> None:
        answer = await AsyncHTTPClient(force_instance=True).fetch(f"http://{address}/")
        assert answer.code == 200

    alone(tmp_path, visit, address="::1")


@pytest.mark.parametrize(
    "said",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},  # another server of this machine
        {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "no-cors", "Sec_Fetch_Dest": "image"},
        {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "iframe"},
        {"Sec_Fetch_Site": "same-site", "Sec_Fetch_Mode": "cors", "Sec_Fetch_Dest": "empty"},
    ],
)
def test_a_page_from_elsewhere_may_not_talk_to_it(served, said):
    assert status(served, "/ws", **said, **WEBSOCKET) == 403
    assert status(served, "/", **said) == status(served, "/docs/maze.md", **said) == 403


def test_a_link_from_elsewhere_may_be_followed(served):
    said = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"}
    assert status(served, "/docs/maze.md", **said) == 200


@pytest.mark.parametrize(
    "place",
    [
        *("/nothing", "/ws/", "//", "/autoload.js?bokeh-autoload-element=1", "/metadata", "/static/", "/static/js"),
        *(
            "/%00",
            "/results/%00.png",
            "/results/smoke/%00/F.png",
            "/docs/%00.md",
            "/static/%00",
            "/static/js/%2e%2e/x.js",
        ),
        *("/results/%ff.png", "/results/<b>.png", f"/docs/{'a' * 5000}.md", "/results/.store/F.png", "/docs/.md"),
        *("/results/nothing/F.png", "/docs/nothing.md", "/static/js/nothing.js"),
    ],
)
def test_a_path_that_leads_nowhere_is_not_found(served, place):
    assert status(served, place) == 404


def alone(folder, visit, address: str = "127.0.0.1", **given) -> None:
    """Let `visit` do something with the address of an explorer over nothing, in one process with it."""

    async def living() -> None:
        server, port = serve(folder, "smoke", address, port=0, **given)
        server.start()
        try:
            await asyncio.wait_for(visit(f"[{address}]:{port}" if ":" in address else f"{address}:{port}"), 100)
        finally:
            server.stop()

    with ThreadPoolExecutor(1) as pool:  # a browser of another test may have a loop in this thread
        pool.submit(asyncio.run, living()).result()


def test_so_many_pages_may_be_open_and_no_more(tmp_path, monkeypatch):
    monkeypatch.setattr(guard, "SESSIONS", 3)

    async def visit(address: str) -> None:
        client = AsyncHTTPClient(force_instance=True)
        asked = [client.fetch(f"http://{address}/", raise_error=False) for _ in range(8)]
        answers = [(await answer).code for answer in asked]
        assert sorted(answers) == [200] * 3 + [503] * 5
        assert (await client.fetch(f"http://{address}/docs/maze.md")).code == 200

    alone(tmp_path, visit)


def test_a_page_may_send_so_much_at_once_and_no_more(tmp_path, monkeypatch):
    monkeypatch.setattr(guard, "MESSAGE", 10_000)

    async def visit(address: str) -> None:
        answer = await AsyncHTTPClient(force_instance=True).fetch(f"http://{address}/")
        assert answer.headers["Content-Security-Policy"] == "frame-ancestors 'none'"
        page = answer.body.decode()
        (token,) = re.findall(r'"token":"([^"]+)"', page)
        line = await websocket_connect(f"ws://{address}/ws", subprotocols=["bokeh", token])
        assert "ACK" in await line.read_message()
        await line.write_message("x" * 10_001)
        while await line.read_message() is not None:
            pass
        assert line.close_code == 1009  # too big (RFC 6455, section 7.4.1)

    alone(tmp_path, visit)


def test_no_session_begins_but_by_a_page_of_ours(tmp_path):
    async def visit(address: str) -> None:
        forged = generate_jwt_token(generate_session_id(signed=False), signed=False)
        line = await websocket_connect(f"ws://{address}/ws", subprotocols=["bokeh", forged])
        assert await line.read_message() is None

    alone(tmp_path, visit)


@pytest.mark.parametrize(
    ("place", "answer"),
    [
        ("/results/smoke/maze/figures/F3-learning-curves.png", 200),
        ("/results/smoke/maze/claims.parquet", 404),
        ("/results/../secret.png", 404),
        ("/results/smoke/out.png", 404),  # a link that leads out
        ("/results/%2e%2e/secret.png", 404),
        ("/docs/maze.md", 200),
        ("/docs/../explorer.md", 404),
    ],
)
def test_figures_and_docs_are_handed_out_and_nothing_else(served, results, place, answer):
    secret = results.root.parent / "secret.png"
    secret.write_bytes(b"secret")
    link = results.folder / "out.png"
    if not link.is_symlink():
        link.symlink_to(secret)
    assert status(served, place) == answer


def test_a_taken_port_is_one_clear_line(results):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "agentomy.explorer.server", "--scale", "smoke", "--port", str(port)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "workflow")}
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert f"port {port}: Address already in use" in done.stderr


def test_no_results_are_a_message(tmp_path):
    text = said(Results(tmp_path / "nothing", "laptop"))
    assert "no trained maze agent" in text
    assert "no claims below" in text


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        (
            "training/corner.seeds0-1.parameters",
            lambda path: path.write_bytes(b"PAR1 not really"),
            "not a whole Parquet file",
        ),
        (
            "training/corner.seeds0-1.parameters",
            lambda path: path.write_bytes(path.read_bytes()[:-99]),
            "not a whole Parquet",
        ),
        ("claims", lambda path: path.write_text("hello"), "claims.parquet: not a whole Parquet file"),
        ("claims", lambda path: shutil.copy(path.parent / "environments" / "test.parquet", path), "no column 'study'"),
        ("environments/test", lambda path: path.write_text("hello"), "test.parquet: not a whole Parquet file"),
    ],
)
def test_a_broken_or_foreign_file_is_a_message_and_the_rest_is_shown(tmp_path, name, damage, message):
    results = planted(tmp_path / "results")
    damage(results.folder / "maze" / f"{name}.parquet")
    text = said(results, "maze", "claims")
    assert message in text
    assert "maze: anywhere" in text or name == "environments/test"


@pytest.mark.parametrize(
    "odd",
    [
        "<img src=x onerror=alert(1)>",
        "maze/training/<i>.seeds0-1.parameters.parquet",
        "maze/metrics/$(ls) `.parquet",
        "maze/checkpoints/a&b",
        "maze/checkpoints/features/\n.seeds0-1.parquet",
        "-maze",
    ],
)
def test_what_bears_a_name_of_another_form_is_a_message(tmp_path, odd):
    """It would be part of the page: a list of studies shows HTML."""
    results = planted(tmp_path / "results")
    path = results.folder / odd
    if path.suffix == ".parquet":
        path.parent.mkdir(exist_ok=True)
        shutil.copy(results.folder / "maze/training/corner.seeds0-1.parameters.parquet", path)
    else:
        path.mkdir()
        shutil.copy(results.folder / "maze/claims.parquet", path)
    document = Document()
    fill(document, results)
    tabs = document.get_model_by_name("tabs")
    tabs.active = [tab.title for tab in tabs.tabs].index("claims")
    assert document.get_model_by_name("claims-studies").options == [("maze", "maze")]
    written = str(document.to_json())
    assert html.unescape(written).count("passed over because of its name") == 1
    assert path.name not in written or path.name == html.escape(path.name)
    assert {run.label for run in results.runs()} == {"maze: anywhere", "maze: corner"}


def test_of_many_files_that_cannot_be_shown_a_few_are_named(tmp_path):
    results = planted(tmp_path / "results")
    for number in range(40):
        (results.folder / "maze" / "training" / f"a b {number}.parquet").write_bytes(b"")
    text = said(results, "claims")
    assert text.count("passed over because of its name") == 5
    assert "and 35 more; agentomy verify looks at all files" in text


def test_a_run_that_is_no_maze_network_is_a_message(tmp_path):
    results = planted(tmp_path / "results")
    path = results.folder / "maze" / "training" / "anywhere.seeds0-1.parameters.parquet"
    table = tables.Table(kinds.common.PARAMETERS, [path])
    described = table.description.model_copy(update={"network": {"use": "impala.ImpalaStack", "pixels": 9}})
    pieces = list(table.groups())
    tables.write(path, kinds.common.PARAMETERS, [piece.replace_schema_metadata(None) for piece in pieces], described)
    assert "not the parameters of a maze network" in said(results, "maze")


def test_a_bug_is_called_a_bug_and_logged_with_its_traceback(results, monkeypatch, caplog):
    def broken(session):
        raise ZeroDivisionError("no <b>number</b>")

    monkeypatch.setattr(claims, "view", broken)
    text = said(results, "claims")
    assert "a bug in agentomy (ZeroDivisionError)" in text
    assert "no <b>number" not in text
    assert "in broken" in caplog.text


def test_a_bug_in_a_callback_leaves_a_line_on_the_page(results, caplog):
    session = Session(results, Document())
    assert session.guarded(lambda: 1 / 0)() is None
    assert "a bug in agentomy (ZeroDivisionError)" in session.said.text
    assert "Traceback" in caplog.text


def test_a_file_that_leads_out_of_the_results_is_refused(tmp_path):
    results = planted(tmp_path / "results")
    path = results.folder / "maze" / "claims.parquet"
    path.rename(tmp_path / "claims.parquet")
    path.symlink_to(tmp_path / "claims.parquet")
    assert "leads out of" in said(results, "claims")


def test_the_copy_needs_no_server_and_no_network(results, tmp_path, browser):
    path = tmp_path / "explorer.html"
    static.write(results, path)
    context = browser.new_context(offline=True)
    page = context.new_page()
    asked, trouble = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.goto(path.as_uri())
    page.get_by_text("mazes along training").click()
    shown = """() => [...Bokeh.documents[0]._all_models.values()].filter(model => model.type === "Figure")
      .map(model => model.renderers[0].data_source.data.image[0][0])"""
    before = page.evaluate(shown)
    page.evaluate("""() => { const slider = [...Bokeh.documents[0]._all_models.values()]
      .find(model => model.type === "CategoricalSlider"); slider.value = slider.categories[1] }""")
    assert page.evaluate(shown) != before
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
    assert trouble == []
    context.close()


def test_random_identifiers_are_numbered_and_stay_apart():
    pages = []
    for _ in range(2):
        one, other = uuid.uuid4(), uuid.uuid4()
        pages.append(static.same(f"<div id='{one}'></div><div id='{other}'></div>{{'{one}': 1}}"))
    assert pages[0] == pages[1]
    first, second, again = re.findall(r"'([-0-9a-f]+)'", pages[0])
    assert first == again != second
