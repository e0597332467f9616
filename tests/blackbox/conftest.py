"""Servers for the whole session: one each of 1, 2 and 4 ranks, started together when the first is asked for."""

import openai
import pytest
import schemas
from api import Api
from program import ANSWER_SECONDS, PROGRAM, Server

RANKS = (1, 2, 4)


@pytest.fixture(scope="session")
def servers(tmp_path_factory):
    """Ranks -> Api, of servers that no test may harm."""
    assert PROGRAM.exists(), f"{PROGRAM} is not built"
    folder = tmp_path_factory.mktemp("servers")
    started = {ranks: Server(folder / str(ranks), ranks) for ranks in RANKS}
    try:
        yield {ranks: Api(server.wait_until_ready()) for ranks, server in started.items()}
        for ranks, server in started.items():
            assert server.process.poll() is None, f"{ranks} ranks: the server ended:\n{server.log()}"
    finally:
        for server in started.values():
            server.begin_stop()
        for server in started.values():
            server.stop()


@pytest.fixture(scope="session")
def api(servers):
    """The server that most tests use: two ranks, as launch/up starts them."""
    return servers[2]


@pytest.fixture(scope="session")
def client(api):
    """The openai client of that server; every answer that is not a stream is checked against its schema."""

    def validate(response):
        if response.headers["content-type"] == "application/json":
            response.read()
            schemas.validate(response.json(), schemas.of_answer(response.url.path, response.status_code))

    with openai.OpenAI(
        base_url=api.server.url + "/v1",
        api_key="none",
        timeout=ANSWER_SECONDS,
        max_retries=0,
        http_client=openai.DefaultHttpxClient(event_hooks={"response": [validate]}),
    ) as made:
        yield made


@pytest.fixture
def start_server(tmp_path):
    """start_server(ranks, *options): a server of the test's own, ready; it is stopped afterwards."""
    started = []

    def start(ranks, *options):
        started.append(Server(tmp_path / f"server{len(started)}", ranks, *options))
        return Api(started[-1].wait_until_ready())

    yield start
    for server in started:
        server.stop()
