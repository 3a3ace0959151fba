"""Programs without the credential, and requests of web pages, neither read from the server nor change it."""

import asyncio
import http.client
import json
import multiprocessing
import os
from base64 import b64encode
from collections.abc import Callable
from typing import Any

import psutil
import pytest
from attacked_server import CODE, WEBHOOK, Target
from prefect_site import client_of

pytestmark = [pytest.mark.attacks, pytest.mark.e2e]
EVIL = "http://evil.example"
NOBODY = 65534
SOCKETS = ("events/in", "events/out", "logs/out", "task_runs/subscriptions/scheduled", "work_pools/x/workers/connect")


def ask(target: Target, method: str, path: str, body: str = "", **headers: str) -> tuple[int, str, str]:
    """Status, body and headers of the answer to exactly this request; `_` in a name stands for `-`."""
    connection = http.client.HTTPConnection("127.0.0.1", target.port, timeout=240)
    sent = {"Host": f"127.0.0.1:{target.port}"} | {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body.encode(), sent)
    answer = connection.getresponse()
    return answer.status, answer.read().decode(), str(answer.headers).lower()


def basic(credential: str) -> str:
    return f"Basic {b64encode(credential.encode()).decode()}"


def csrf(target: Target) -> dict[str, str]:
    """A CSRF token, which only a client with the credential gets."""
    right = basic(target.credential)
    _, said, _ = ask(target, "GET", "/api/csrf-token?client=me", Authorization=right)
    token = json.loads(said)["token"]
    return {"Authorization": right, "Prefect_Csrf_Token": token, "Prefect_Csrf_Client": "me"}


REQUESTS: dict[str, Callable[[Target], dict[str, str]]] = {
    "a page's form": lambda _: {"Origin": EVIL, "Content_Type": "text/plain"},
    "a page's fetch": lambda _: {"Origin": EVIL, "Content_Type": "application/json"},
    "a sandboxed frame or a file": lambda _: {"Origin": "null"},
    "a page of another server of this machine": lambda _: {"Origin": "http://127.0.0.1:1"},
    "a page whose browser knows the credential": lambda target: {"Origin": EVIL, **csrf(target)},
    "a request without an origin": lambda target: {"Sec_Fetch_Site": "cross-site", **csrf(target)},
    "a page of another port": lambda target: {"Sec_Fetch_Site": "same-site", **csrf(target)},
    "a rebound name": lambda target: {"Host": f"evil.example:{target.port}", **csrf(target)},
    "a rebound name without a port": lambda target: {"Host": "evil.example", **csrf(target)},
    "a name that begins as ours": lambda target: {"Host": f"127.0.0.1:{target.port}.evil.example", **csrf(target)},
    "another port": lambda target: {"Host": "127.0.0.1:1", **csrf(target)},
    "any address": lambda target: {"Host": f"0.0.0.0:{target.port}", **csrf(target)},
    "no name": lambda target: {"Host": "", **csrf(target)},
    "a program": lambda _: {},
    "a program that guesses": lambda target: {**csrf(target), "Authorization": basic("nerbench:guess")},
    "a program that forgets its password": lambda target: {**csrf(target), "Authorization": basic("nerbench:")},
    "another scheme": lambda target: {**csrf(target), "Authorization": f"Bearer {target.credential}"},
    "a request without a token": lambda target: {"Authorization": basic(target.credential)},
}


@pytest.mark.parametrize("who", REQUESTS)
def test_requests_without_the_credential_start_no_run(target: Target, who: str) -> None:
    path = f"/api/deployments/{target.deployment}/create_flow_run"
    headers = {"Content_Type": "application/json"} | REQUESTS[who](target)
    status, said, sent = ask(target, "POST", path, json.dumps({"parameters": CODE}), **headers)
    assert status in {401, 403, 421}, said
    assert "access-control-allow-origin" not in sent
    assert CODE not in target.runs()


@pytest.mark.legitimate
def test_the_owner_can_start_a_run(target: Target) -> None:
    """Counter-check of the attack above."""
    path = f"/api/deployments/{target.deployment}/create_flow_run"
    headers = {"Content_Type": "application/json", "Origin": target.origin, **csrf(target)}
    harmless = {"models": ["the owner's"]}
    body = json.dumps({"parameters": harmless, "enforce_parameter_schema": False})
    assert ask(target, "POST", path, body, **headers)[0] == 201
    assert harmless in target.runs()


@pytest.mark.parametrize("who", [who for who in REQUESTS if who != "a request without a token"])
def test_requests_without_the_credential_read_no_secret(target: Target, who: str) -> None:
    status, said, sent = ask(
        target, "GET", f"/api/block_documents/{target.block}?include_secrets=true", **REQUESTS[who](target)
    )
    assert status in {401, 403, 421}, said
    assert "hooks.example.org" not in said
    assert "access-control-allow-origin" not in sent


@pytest.mark.legitimate
def test_the_owner_reads_it(target: Target) -> None:
    path = f"/api/block_documents/{target.block}?include_secrets=true"
    assert WEBHOOK in ask(target, "GET", path, Authorization=basic(target.credential))[1]


def test_a_foreign_page_gets_no_cors_permission(target: Target) -> None:
    asked = {"Origin": EVIL, "Access_Control_Request_Method": "POST", "Access_Control_Request_Headers": "authorization"}
    status, _, sent = ask(target, "OPTIONS", "/api/flows/filter", **asked)
    assert status == 403
    assert "access-control-allow" not in sent


@pytest.mark.parametrize("path", ["/api/health", "/api/ready"])
@pytest.mark.legitimate
def test_health_is_open(target: Target, path: str) -> None:
    assert ask(target, "GET", path)[:2] == (200, "true" if path == "/api/health" else '{"message":"OK"}')


@pytest.mark.parametrize("path", ["/api/health/../flows/count", "//api/flows/count", "/api/health%2f..%2fflows/count"])
def test_no_other_way_to_write_a_path_is_open(target: Target, path: str) -> None:
    assert ask(target, "POST", path, **csrf(target) | {"Authorization": ""})[0] in {401, 403, 404, 405}


@pytest.mark.parametrize("where", SOCKETS)
@pytest.mark.parametrize("who", ["a page", "a page that knows the credential", "a program", "a program of old"])
def test_no_socket_opens(target: Target, where: str, who: str) -> None:
    assert asyncio.run(open_socket(target, where, who)) is None


async def open_socket(target: Target, where: str, who: str) -> Any:
    """The first message of a socket; None if there is none."""
    from websockets.asyncio.client import connect
    from websockets.exceptions import ConnectionClosed, InvalidStatus

    origin: Any = EVIL if who.startswith("a page") else None
    protocols: Any = None if who == "a program of old" else ["prefect"]
    token = target.credential if "knows" in who else "guess"
    try:
        async with connect(
            f"ws://127.0.0.1:{target.port}/api/{where}", origin=origin, subprotocols=protocols
        ) as socket:
            await socket.send(json.dumps({"type": "auth", "token": token}))
            return await asyncio.wait_for(socket.recv(), 240)
    except (InvalidStatus, ConnectionClosed):
        return None


@pytest.mark.legitimate
def test_the_owner_opens_one(target: Target) -> None:
    async def opened() -> str:
        from websockets.asyncio.client import connect

        protocols: Any = ["prefect"]
        async with connect(f"ws://127.0.0.1:{target.port}/api/events/out", subprotocols=protocols) as socket:
            await socket.send(json.dumps({"type": "auth", "token": target.credential}))
            return str(await socket.recv())

    assert json.loads(asyncio.run(opened())) == {"type": "auth_success"}


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


def as_another_user(function: Callable[[], Any]) -> Any:
    """The result or exception of a function in a process of another user."""
    context = multiprocessing.get_context("fork")
    reading, writing = context.Pipe(duplex=False)

    def child() -> None:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
        try:
            writing.send(function())
        except Exception as error:
            writing.send(error)

    process = context.Process(target=child)
    process.start()
    found = reading.recv()
    process.join()
    return found


@needs_root
def test_another_user_reads_none_of_its_files(target: Target) -> None:
    with client_of(f"{target.origin}/api", target.credential) as client:
        client.read_flows()
    files = [path for path in target.home.rglob("*") if path.is_file()]
    assert {"prefect.db", f"nerbench-{target.port}.env"} <= {path.name for path in files}
    for path in files:
        assert isinstance(as_another_user(path.read_bytes), PermissionError), path


@needs_root
def test_another_user_sees_no_credential_among_processes(target: Target) -> None:
    processes = [psutil.Process(target.process.pid), *psutil.Process(target.process.pid).children(recursive=True)]
    assert len(processes) > 1
    for process in processes:
        assert isinstance(as_another_user(process.environ), psutil.AccessDenied)
        assert target.credential.partition(":")[2] not in " ".join(as_another_user(process.cmdline))


@needs_root
def test_another_user_calls_nothing(target: Target) -> None:
    def call() -> int:
        return ask(target, "GET", f"/api/block_documents/{target.block}?include_secrets=true")[0]

    assert as_another_user(call) == 401
