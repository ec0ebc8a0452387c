"""The page's files and its session: what the cookie is, what it may, and that other sites' pages cannot use it."""

import re

import pytest
import requests


@pytest.fixture
def signed_in(daemon):
    one = requests.Session()
    reply = one.post(daemon.base + "/v1/session", json={"token": daemon.tokens["ann"]}, timeout=60)
    daemon.contract.check(reply)
    assert reply.status_code == 201 and reply.json()["user"] == "ann", reply.text
    one.cookie = reply.headers["Set-Cookie"]
    return one


def ask(daemon, session, method, path, **kwargs):
    reply = session.request(method, daemon.base + path, timeout=60, **kwargs)
    daemon.contract.check(reply)
    return reply


def test_page_is_served_with_a_strict_policy(daemon):
    plain = requests.Session()
    page = ask(daemon, plain, "GET", "/")
    assert page.status_code == 200 and page.headers["Content-Type"].startswith("text/html")
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy
    assert page.headers["X-Frame-Options"] == "DENY" and page.headers["X-Content-Type-Options"] == "nosniff"
    again = ask(daemon, plain, "GET", "/", headers={"If-None-Match": page.headers["ETag"]})
    assert again.status_code == 304
    links = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert links and all(link.startswith("page/") for link in links)  # below whatever path a proxy has it
    for link in links:
        assert ask(daemon, plain, "GET", "/" + link).status_code == 200, link


@pytest.mark.parametrize("name", ["nothing.js", "..%2f..%2fopenapi.yaml", "README.md", "%00"])
def test_page_has_no_other_files(daemon, name):
    reply = requests.get(daemon.base + "/page/" + name, timeout=60)
    assert reply.status_code in (400, 404), reply.text


def test_modules_are_all_there(daemon):
    """Each module that one imports is served, and as a script."""
    seen, todo = set(), ["main.js"]
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        reply = requests.get(f"{daemon.base}/page/{name}", timeout=60)
        assert reply.status_code == 200 and reply.headers["Content-Type"].startswith("text/javascript"), name
        todo += re.findall(r"from '\./([^']+)'", reply.text)
    assert len(seen) > 10


def test_cookie_is_out_of_reach_of_scripts_and_sites(daemon, signed_in):
    assert "HttpOnly" in signed_in.cookie and "SameSite=Strict" in signed_in.cookie and "Secure" not in signed_in.cookie
    assert daemon.tokens["ann"] not in signed_in.cookie
    assert ask(daemon, signed_in, "GET", "/v1/whoami").json()["user"] == "ann"
    over_tls = requests.post(daemon.base + "/v1/session", json={"token": daemon.tokens["ann"]}, timeout=60,
                             headers={"X-Forwarded-Proto": "https"})
    assert "Secure" in over_tls.headers["Set-Cookie"]


@pytest.mark.parametrize(("headers", "status"), [
    ({}, 403),
    ({"Sec-Fetch-Site": "cross-site"}, 403),
    ({"Sec-Fetch-Site": "same-site"}, 403),
    ({"Sec-Fetch-Site": "none"}, 403),
    ({"Origin": "https://elsewhere.example"}, 403),
    ({"Origin": "null"}, 403),
    ({"Sec-Fetch-Site": "cross-site", "Origin": "SELF"}, 403),
    ({"Sec-Fetch-Site": "same-origin"}, 404),
    ({"Origin": "SELF"}, 404),
])
def test_writes_by_cookie_need_the_same_origin(daemon, signed_in, headers, status):
    headers = {name: daemon.base if value == "SELF" else value for name, value in headers.items()}
    reply = ask(daemon, signed_in, "POST", "/v1/evaluations/0123456789abcdef/cancel", headers=headers)
    assert reply.status_code == status, reply.text


def test_token_in_the_header_needs_no_origin(daemon, signed_in):
    reply = ask(daemon, signed_in, "POST", "/v1/evaluations/0123456789abcdef/cancel",
                headers={"Authorization": f"Bearer {daemon.tokens['ann']}"})
    assert reply.status_code == 404


def test_sign_in_from_another_site_is_refused(daemon):
    reply = requests.post(daemon.base + "/v1/session", json={"token": daemon.tokens["ann"]}, timeout=60,
                          headers={"Origin": "https://elsewhere.example"})
    assert reply.status_code == 403 and "Set-Cookie" not in reply.headers


@pytest.mark.parametrize(("body", "status"), [({"token": "nel_wrong"}, 401), ({}, 400), ({"token": ""}, 400),
                                              ({"token": "a.b.c"}, 401), ({"token": "x", "more": 1}, 400)])
def test_wrong_sign_in_sets_no_cookie(daemon, body, status):
    reply = requests.post(daemon.base + "/v1/session", json=body, timeout=60)
    daemon.contract.check(reply)
    assert reply.status_code == status and "Set-Cookie" not in reply.headers, reply.text


def test_sign_out_ends_the_session_and_nothing_else(daemon, signed_in):
    cookie = signed_in.cookies["nel_session"]
    reply = ask(daemon, signed_in, "DELETE", "/v1/session", headers={"Sec-Fetch-Site": "same-origin"})
    assert reply.status_code == 204 and "Max-Age=0" in reply.headers["Set-Cookie"]
    stolen = requests.get(daemon.base + "/v1/whoami", cookies={"nel_session": cookie}, timeout=60)
    assert stolen.status_code == 401
    assert daemon.client("ann").get("/v1/whoami").json()["user"] == "ann"
    assert daemon.client("ann").request("DELETE", "/v1/session").status_code == 409


def test_session_ends_with_the_token_that_made_it(daemon):
    made = daemon.client("ann").post("/v1/tokens", 201, json={"label": "laptop", "role": "viewer"}).json()
    one = requests.Session()
    one.post(daemon.base + "/v1/session", json={"token": made["token"]}, timeout=60)
    who = ask(daemon, one, "GET", "/v1/whoami").json()
    assert who["role"] == "viewer" and who["expires_at"] is not None
    daemon.client("ann").delete(f"/v1/tokens/{made['id']}")
    assert ask(daemon, one, "GET", "/v1/whoami").status_code == 401


def test_viewer_may_sign_in(daemon):
    one = requests.Session()
    assert one.post(daemon.base + "/v1/session", json={"token": daemon.tokens["eve"]}, timeout=60).status_code == 201
    assert ask(daemon, one, "GET", "/v1/whoami").json()["role"] == "viewer"
