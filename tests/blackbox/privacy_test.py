"""What clients say stays between them and the server: it is not logged, and nobody else is called."""

import pathlib
import re
import socket
import struct

import pytest
from api import CHAT, COMPLETIONS, JSON_TYPE
from cases import chat, completion

MARKER = "xylograph"
LISTEN = 0x0A


@pytest.fixture
def api(start_server):
    return start_server(2, "--set", "log.level=debug")


def test_nothing_that_a_client_says_is_logged(api):
    for body in ({"prompt": MARKER}, {"prompt": "a", "stop": MARKER}, {"prompt": "a", "user": MARKER}):
        api.answer(COMPLETIONS, {"max_tokens": 8, **body})
    api.answer(*chat(MARKER))
    api.stream(*chat(MARKER))
    api.answer("/tokenize", {"prompt": MARKER})
    headers = {**JSON_TYPE, "Authorization": f"Bearer {MARKER}", "X-Request-Id": MARKER, "X-Other": MARKER}
    assert api.post(*completion(), headers=headers).status == 200
    assert api.get(f"/{MARKER}").status == 404
    assert api.get(f"/v1/models/{MARKER}").status == 404
    assert api.get(f"/health?{MARKER}=1").status == 200
    for path in (CHAT, COMPLETIONS):
        api.refusal(path, {"model": MARKER, "prompt": "a", "messages": []}, status=404)
        api.refusal(path, {MARKER: MARKER})
        api.refusal(path, {"prompt": {"a": MARKER}, "messages": MARKER})
        api.refusal(path, {"prompt": "a", "messages": [{"role": MARKER, "content": "a"}], "max_tokens": MARKER})
        api.refusal(path, b'{"prompt": "' + MARKER.encode())
        api.refusal(path, MARKER.encode())
    for line in (f"{MARKER} / HTTP/1.1", f"GET /{MARKER} HTTP/9", f"GET / HTTP/1.1\r\n{MARKER}", MARKER):
        api.raw(f"{line}\r\n\r\n".encode(), half_close=True)
    stream = api.open_stream(COMPLETIONS, {"prompt": MARKER, "max_tokens": 300, "ignore_eos": True})
    stream.next_event()
    stream.leave()
    assert api.get("/health").status == 200
    api.server.begin_stop()
    assert api.server.wait_for_exit() == 0
    assert "ready at" in api.server.log()
    assert MARKER not in api.server.log()


def sockets_of(pid):
    """The inodes of a process's sockets."""
    inodes = set()
    for descriptor in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        try:
            if found := re.fullmatch(r"socket:\[(\d+)\]", str(descriptor.readlink())):
                inodes.add(found[1])
        except FileNotFoundError:  # closed meanwhile
            pass
    return inodes


def address(text):
    """An address and port as /proc/net writes them: words of the machine's byte order, in hexadecimal."""
    host, port = text.split(":")
    raw = b"".join(struct.pack("=I", int(host[i : i + 8], 16)) for i in range(0, len(host), 8))
    raw = raw.removeprefix(bytes(10) + b"\xff\xff")  # IPv4 as IPv6
    return socket.inet_ntop(socket.AF_INET if len(raw) == 4 else socket.AF_INET6, raw), int(port, 16)


def internet_sockets(pid):
    """(local, remote, listens) of the process's TCP and UDP sockets."""
    inodes = sockets_of(pid)
    for protocol in ("tcp", "tcp6", "udp", "udp6"):
        table = pathlib.Path(f"/proc/{pid}/net/{protocol}")
        for line in table.read_text().splitlines()[1:] if table.exists() else ():
            fields = line.split()
            if fields[9] in inodes:
                yield address(fields[1]), address(fields[2]), int(fields[3], 16) == LISTEN


def test_the_server_calls_nobody(api):
    stream = api.open_stream(COMPLETIONS, {"prompt": "a", "max_tokens": 300, "ignore_eos": True})
    assert stream.next_event()
    api.refusal(CHAT, {"messages": []})
    clients = 0
    for pid in api.server.rank_pids():
        for local, remote, listens in internet_sockets(pid):
            clients += local[1] == api.server.port and not listens
            # Unconnected, of this machine's own (ranks and mpirun), or a client.
            same_machine = remote[0] in ("0.0.0.0", "::", "::1", local[0]) or remote[0].startswith("127.")
            assert listens or same_machine, f"{local} is connected to {remote}"
    assert clients > 0
    stream.leave()
