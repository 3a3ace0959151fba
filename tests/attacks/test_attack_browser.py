"""A foreign page in a real browser, whose user is logged in to the running server.

`test_attack_server.py` makes the requests of such pages without a browser, in every run of the tests; these are slow.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from attacked_server import CODE, WEBHOOK, Target
from headless import chromium, new_context

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

pytestmark = [pytest.mark.attacks, pytest.mark.browser, pytest.mark.e2e, pytest.mark.slow]
ATTEMPTS = {
    "fetch that asks first": """await fetch(create, {
        method: 'POST', body, headers: {'Content-Type': 'application/json'}
    }).then(answer => answer.text())""",
    "fetch of text": """await fetch(create, {method: 'POST', body, credentials: 'include', mode: 'no-cors'})
        .then(answer => answer.text())""",
    "fetch without a type": """await fetch(create, {method: 'POST', body: new Blob([body]), mode: 'no-cors'})
        .then(answer => answer.text())""",
    "beacon": "String(navigator.sendBeacon(create, new Blob([body])))",
    "form": """await new Promise(done => {
        const form = Object.assign(document.createElement('form'), {method: 'POST', action: create});
        form.enctype = 'text/plain';
        form.append(Object.assign(document.createElement('input'), {name: body.slice(0, -1), value: '}'}));
        form.target = document.body.appendChild(Object.assign(document.createElement('iframe'), {name: 'f'})).name;
        document.body.append(form);
        form.submit();
        setTimeout(() => done(''), 2000);
    })""",
    "read": "await fetch(secret).then(answer => answer.text())",
    "script": """await new Promise(done => {
        const script = Object.assign(document.createElement('script'), {src: secret});
        script.onload = () => done('loaded');
        script.onerror = () => done('');
        document.head.append(script);
    })""",
    "frame": """await new Promise(done => {
        const frame = Object.assign(document.createElement('iframe'), {src: origin});
        frame.onload = () => setTimeout(() => {
            try { done(frame.contentDocument.body.innerText) } catch { done('') }
        }, 1000);
        document.body.append(frame);
    })""",
    "window": """await new Promise(done => {
        const opened = window.open(origin);
        setTimeout(() => { try { done(opened.localStorage.getItem('prefect-password')) } catch { done('') } }, 3000);
    })""",
    "socket": """await new Promise(done => {
        const socket = new WebSocket(origin.replace('http', 'ws') + '/api/events/out', 'prefect');
        socket.onopen = () => done('open');
        socket.onerror = () => done('');
    })""",
}


@contextmanager
def foreign_site() -> Iterator[int]:
    """The port of a web server whose only page is empty."""

    class Empty(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>evil</title><body>")

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Empty) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    """A browser in which evil.example is this machine: a foreign page that can be rebound to the server."""
    with chromium("--host-resolver-rules=MAP evil.example 127.0.0.1") as browser:
        yield browser


@pytest.fixture(scope="module")
def user(browser: "Browser", target: Target) -> Iterator["BrowserContext"]:
    """A user who opened the link that `nerbench serve` prints."""
    context = new_context(browser)
    page = context.new_page()
    page.goto(target.link)
    page.get_by_text("Logout").first.wait_for()
    yield context
    context.close()


@pytest.fixture(scope="module", params=["http://evil.example:{}", "http://localhost:{}"])
def foreign(request: pytest.FixtureRequest, user: "BrowserContext") -> Iterator["Page"]:
    """A page of another origin, or of another server of this machine, in that browser."""
    with foreign_site() as port:
        page = user.new_page()
        page.goto(request.param.format(port))
        yield page
        page.close()


def attempt(page: "Page", target: Target, script: str, origin: str | None = None) -> str:
    """The result of a script in a page that calls the server; empty if it reads nothing."""
    told = {
        "origin": origin or target.origin,
        "create": f"{origin or target.origin}/api/deployments/{target.deployment}/create_flow_run",
        "secret": f"{origin or target.origin}/api/block_documents/{target.block}?include_secrets=true",
        "body": json.dumps({"parameters": CODE, "enforce_parameter_schema": False}),
    }
    function = f"async ({{origin, create, secret, body}}) => {{ try {{ return {script} }} catch {{ return '' }} }}"
    return str(page.evaluate(function, told) or "")


@pytest.mark.legitimate
def test_the_pages_open_with_the_link_and_show_the_deployment(user: "BrowserContext", target: Target) -> None:
    page = user.new_page()
    refused: list[str] = []
    page.on("response", lambda answer: refused.append(answer.url) if answer.status >= 400 else None)
    for path in ("/v2/deployments", "/deployments"):
        page.goto(f"{target.origin}{path}")
        page.get_by_text("on-demand").first.wait_for()
    page.goto(target.link.replace("127.0.0.1", "localhost"))
    page.get_by_text("Logout").first.wait_for()
    assert refused == []
    page.close()


@pytest.mark.legitimate
def test_without_the_link_they_ask_for_the_password(browser: "Browser", target: Target) -> None:
    context = new_context(browser)
    page = context.new_page()
    page.goto(target.origin)
    page.locator("input[type=password]").wait_for()
    page.locator("input[type=password]").fill(target.credential)
    page.keyboard.press("Enter")
    page.get_by_text("Logout").first.wait_for()
    context.close()


@pytest.mark.parametrize("name", ATTEMPTS)
def test_a_foreign_page_does_nothing(foreign: "Page", target: Target, name: str) -> None:
    said = attempt(foreign, target, ATTEMPTS[name])
    assert said in {"", "true"}, said  # a beacon is always sent
    assert CODE not in target.runs()


@pytest.mark.parametrize("name", ["fetch of text", "read"])
def test_a_rebound_name_does_nothing(user: "BrowserContext", target: Target, name: str) -> None:
    page = user.new_page()
    rebound = f"http://evil.example:{target.port}"
    answer = page.goto(rebound)
    assert answer
    assert answer.status == 421
    said = attempt(page, target, ATTEMPTS[name], origin=rebound)
    assert WEBHOOK not in said
    assert "this server answers to" in said
    assert CODE not in target.runs()
    page.close()


@pytest.mark.legitimate
def test_its_own_page_has_access(user: "BrowserContext", target: Target) -> None:
    """Counter-check of the attacks above."""
    page = user.new_page()
    page.goto(target.origin)
    read = """await fetch(secret, {headers: {Authorization: 'Basic ' + localStorage.getItem('prefect-password')}})
        .then(answer => answer.text())"""
    assert WEBHOOK in attempt(page, target, read)
    page.close()
