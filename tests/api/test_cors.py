"""Pages of other origins: closed unless the settings name them, and then to no more than they say."""

import pytest
import requests
from conftest import prepared_in

ASK = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}
NAMED, OTHER = "https://dash.example", "https://dash.example.evil"


def cors_of(reply):
    return {name: value for name, value in reply.headers.items() if name.lower().startswith("access-control-")}


def with_cors(fresh, origins):
    daemon = fresh()
    daemon.settings.write_text(daemon.settings.read_text() + f"cors: {{origins: {origins}}}\n")
    daemon.start()
    return daemon


@pytest.fixture(scope="module")
def open_daemon(tmp_path_factory):
    made = prepared_in(tmp_path_factory.mktemp("cors"))
    yield with_cors(next(made), "['https://dash.example', 'http://localhost:5173']")
    next(made, None)


def test_closed_unless_the_settings_say_so(ann, nobody):
    assert cors_of(ann.request("GET", "/v1/jobs", headers={"Origin": NAMED})) == {}
    reply = nobody.request("OPTIONS", "/v1/jobs", headers={"Origin": NAMED, **ASK})
    assert reply.status_code == 405 and cors_of(reply) == {}


@pytest.mark.parametrize("origin", [NAMED, "http://localhost:5173"])
def test_named_origin_reads_with_its_credentials(open_daemon, origin):
    ann, nobody = open_daemon.client("ann"), open_daemon.client()
    for client, path, status in ((ann, "/v1/jobs", 200), (nobody, "/v1/jobs", 401), (ann, "/v1/none", 404)):
        reply = client.request("GET", path, headers={"Origin": origin})
        assert reply.status_code == status and reply.headers["Vary"] == "Origin"
        assert cors_of(reply) == {
            "Access-Control-Allow-Origin": origin, "Access-Control-Allow-Credentials": "true",
            "Access-Control-Expose-Headers": "Accept-Ranges, Content-Disposition, Content-Location, Content-Range, ETag, Link, "
                                             "Location, Nel-Kept-From, Retry-After, X-Request-Id"}
    # Of no path in particular, and so in no path's description.
    reply = requests.options(f"{nobody.base}/v1/evaluations", headers={"Origin": origin, **ASK}, timeout=60)
    assert reply.status_code == 204 and reply.text == ""
    found = cors_of(reply)
    assert found["Access-Control-Allow-Origin"] == origin and "POST" in found["Access-Control-Allow-Methods"]
    assert {"Authorization", "Content-Type"} <= set(found["Access-Control-Allow-Headers"].split(", "))
    assert found["Access-Control-Max-Age"] == "600"


@pytest.mark.parametrize("origin", [OTHER, "http://dash.example", "https://DASH.example", "null", "", "https://dash.example:444"])
def test_other_origins_get_nothing(open_daemon, origin):
    reply = open_daemon.client("ann").request("GET", "/v1/jobs", headers={"Origin": origin})
    assert reply.status_code == 200 and cors_of(reply) == {} and reply.headers["Vary"] == "Origin"
    reply = open_daemon.client().request("OPTIONS", "/v1/jobs", headers={"Origin": origin, **ASK})
    assert reply.status_code == 405 and cors_of(reply) == {}


def test_options_that_is_no_preflight_is_refused_as_ever(open_daemon):
    assert open_daemon.client().request("OPTIONS", "/v1/jobs", headers={"Origin": NAMED}).status_code == 405


def test_every_origin_without_credentials(fresh):
    client = with_cors(fresh, "'*'").client("ann")
    reply = client.request("GET", "/v1/jobs", headers={"Origin": OTHER})
    assert reply.headers["Access-Control-Allow-Origin"] == "*" and "Access-Control-Allow-Credentials" not in reply.headers
