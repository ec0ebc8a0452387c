"""Every route of api/routes.def as every role: what openapi.yaml says (x-role, x-owner, 401, 403) is what happens."""

import re
from pathlib import Path

import pytest
import yaml
from conftest import CONFIG, Client, ROOT, UnixConnection

ROLES = ["none", "viewer", "user", "admin"]
TABLE = re.findall(r'^ROUTE\((\w+), "([^"]+)", (\w+), (\w+), .*\)$', (ROOT / "api/routes.def").read_text(), re.M)
DOCUMENT = yaml.safe_load((Path(ROOT) / "openapi.yaml").read_text())
# What is somebody's has an id of ann's; other names are such that nothing is there.
ABSENT = {"id": "0123456789abcdef", "name": "not-there", "path": "not/there"}


def operation_of(method, path):
    return DOCUMENT["paths"][path][method.lower()]


@pytest.fixture(scope="module")
def ids(daemon):
    """Ids of what belongs to ann, by the path that shows it."""
    ann = daemon.client("ann")
    evaluation = ann.submit().json()["id"]
    token = ann.post("/v1/tokens", 201, json={"label": "roles"}).json()["id"]
    hook = ann.request("POST", "/v1/webhooks", json={"url": "https://hooks.example/x"})
    campaign = ann.post("/v1/campaigns", 201, json={"name": "ann's", "config": CONFIG, "values": ["org/step-1"],
                                                    "parameter": "target.api_endpoint.model_id"}).json()["id"]
    return {"/v1/campaigns/": campaign, "/v1/evaluations/": evaluation, "/v1/jobs/": f"{evaluation}.0", "/v1/tokens/": str(token), "/v1/users/": "ann",
            "/v1/webhooks/": hook.json().get("id", ABSENT["id"])}


def fill(path, ids, mine):
    """The path with its parameters filled in: with what is ann's, or with what is not there."""
    for prefix, identity in ids.items():
        if mine and path.startswith(prefix):
            path = re.sub(r"{\w+}", identity, path, count=1)
    if path.startswith("/v1/secrets/"):
        path = path.replace("{name}", "NOT_THERE")
    if path.startswith("/v1/jobs/"):
        path = path.replace("{id}", ABSENT["id"] + ".0")
    if path.startswith("/v1/tokens/"):
        path = path.replace("{id}", "123456789")
    return re.sub(r"{(\w+)}", lambda m: ABSENT.get(m[1], ABSENT["name"]), path)


def ask(client, method, path):
    """Without a body: whoever may do this is told 400 or 404, or it does no harm. A stream is not read."""
    with client.session.request(method, client.base + path, stream=True, timeout=60,
                                headers={"Authorization": f"Bearer {client.token}"} if client.token else {}) as reply:
        return reply.status_code


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("method, path, operation, least", TABLE, ids=[row[2] for row in TABLE])
def test_route_takes_its_roles_and_no_other(daemon, ids, method, path, operation, least, role):
    told = operation_of(method, path)
    assert told["operationId"] == operation and told["x-role"] == least.lower()
    name = {"none": None, "viewer": "eve", "user": "bob", "admin": "root-of-all"}[role]
    status = ask(daemon.client(name), method, fill(path, ids, mine=False))
    if ROLES.index(role) >= ROLES.index(told["x-role"]):
        # What is not there belongs to nobody; but who may see a user is asked before whether there is one.
        assert status not in (401, 403) or (operation == "getUser" and role != "admin"), status
    else:
        assert status == (401 if role == "none" else 403)
        assert str(status) in told["responses"]


OWNED = [row for row in TABLE if operation_of(row[0], row[1]).get("x-owner")]


@pytest.mark.parametrize("method, path, operation, least", OWNED, ids=[row[2] for row in OWNED])
def test_what_is_anns_is_for_ann_and_admins(daemon, ids, method, path, operation, least):
    """bob may not touch it, nor may a viewer; ann and admins may (and removing comes last: the order of the table)."""
    target = fill(path, ids, mine=True)
    assert ask(daemon.client("bob"), method, target) in (403, 404)
    assert ask(daemon.client("eve"), method, target) in (403, 404)
    if ids["/v1/webhooks/"] != ABSENT["id"] or not path.startswith("/v1/webhooks/"):
        if operation not in ("removeWebhook", "revokeToken"):
            assert ask(daemon.client("ann"), method, target) not in (401, 403, 404)
            assert ask(daemon.client("root-of-all"), method, target) not in (401, 403, 404)
    # Not the same as one that nobody has: it is there, and still is.
    assert ask(daemon.client("ann"), "GET", "/v1/tokens/" + ids["/v1/tokens/"]) == 200


def test_all_writes_on_what_is_somebodys_are_for_the_owner(daemon):
    """A route that names something in its path and is open to users is either marked, or about one's own alone."""
    own_alone = {"putSecret", "deleteSecret"}
    nobodys = ("/v1/clusters/",)
    for method, path, operation, least in TABLE:
        if least == "USER" and "{" in path and method != "GET" and operation not in own_alone and not path.startswith(nobodys):
            told = operation_of(method, path)
            assert told.get("x-owner") or "identit" in path.lower(), operation


def test_narrower_token_is_its_role_on_every_route(daemon, ids):
    admin = daemon.client("root-of-all")
    token = admin.post("/v1/tokens", 201, json={"role": "viewer", "expires_in": 600}).json()["token"]
    viewer = Client(daemon.base, daemon.contract, token)
    for method, path, operation, least in TABLE:
        status = ask(viewer, method, fill(path, ids, mine=False))
        assert (status == 403) == (least in ("USER", "ADMIN") or operation == "getUser"), operation


def test_unix_peer_is_an_admin_on_every_route(daemon, ids):
    for method, path, operation, _ in TABLE:
        if operation == "listEvents":
            continue  # may stream
        connection = UnixConnection(daemon.socket)
        connection.request(method, fill(path, ids, mine=False))
        assert connection.getresponse().status not in (401, 403), operation
        connection.close()
