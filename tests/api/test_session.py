"""The page's files and its session: what the cookie is, what it may, and that other sites' pages cannot use it."""

import re
import threading

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
    ({"Origin": "https://elsewhere.example", "X-Forwarded-Host": "elsewhere.example"}, 403),
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


def test_event_stream_ends_with_the_session(daemon, signed_in):
    with signed_in.get(daemon.base + "/v1/events?stream", stream=True, timeout=120) as stream:
        assert stream.status_code == 200
        lines = stream.iter_lines()
        next(lines)
        assert ask(daemon, signed_in, "DELETE", "/v1/session", headers={"Sec-Fetch-Site": "same-origin"}).status_code == 204
        for _ in lines:
            pass


def code_of(daemon, name="ann"):
    reply = daemon.client(name).post("/v1/session/codes", 201)
    assert reply.headers["Cache-Control"] == "no-store"
    made = reply.json()
    assert made["path"] == "/#/sign-in/" + made["code"]
    return made["code"]


def use_code(daemon, code, session=requests):
    reply = session.post(daemon.base + "/v1/session", json={"code": code}, timeout=60)
    daemon.contract.check(reply)
    assert reply.status_code in (201, 401), reply.text
    assert ("Set-Cookie" in reply.headers) == (reply.status_code == 201)
    return reply


@pytest.mark.parametrize(("name", "role"), [("ann", "user"), ("eve", "viewer"), ("root-of-all", "admin")])
def test_code_signs_in_once_as_who_made_it(daemon, name, role):
    code, one = code_of(daemon, name), requests.Session()
    assert use_code(daemon, code, one).json()["user"] == name
    assert ask(daemon, one, "GET", "/v1/whoami").json()["role"] == role
    again = use_code(daemon, code)
    assert again.status_code == 401 and "code" in again.json()["detail"]


def test_code_of_which_two_make_use_at_once_lets_one_in(daemon):
    for _ in range(5):
        code, statuses = code_of(daemon), []
        begin = threading.Barrier(4)

        def use(code=code, statuses=statuses, begin=begin):
            begin.wait()
            statuses.append(use_code(daemon, code).status_code)

        users = [threading.Thread(target=use) for _ in range(4)]
        for user in users:
            user.start()
        for user in users:
            user.join()
        assert sorted(statuses) == [201, 401, 401, 401]


def test_code_is_stored_as_a_hash_and_nowhere_else(daemon):
    code = code_of(daemon)
    store = b"".join(path.read_bytes() for path in daemon.folder.glob("nel.db*"))
    assert code.encode() not in store and code not in daemon.log()
    use_code(daemon, code)
    assert code not in daemon.log()
    audit = daemon.client("root-of-all").get("/v1/audit?limit=2")
    assert [(row["actor"], row["action"]) for row in audit.json()["items"]] == [("ann", "beginSession"), ("ann", "createSignInCode")]
    assert code not in audit.text


def test_code_that_is_late_or_whose_maker_has_gone_is_none(daemon):
    late = code_of(daemon)
    daemon.execute("UPDATE sign_in_codes SET expires_at = unixepoch() - 1")
    assert use_code(daemon, late).status_code == 401
    made = daemon.client("ann").post("/v1/tokens", 201, json={"label": "x", "role": "viewer"}).json()
    maker = daemon.client()
    maker.token = made["token"]
    code = maker.post("/v1/session/codes", 201).json()["code"]
    other = maker.post("/v1/session/codes", 201).json()["code"]
    one = requests.Session()
    assert use_code(daemon, code, one).json()["role"] == "viewer"
    daemon.client("ann").delete(f"/v1/tokens/{made['id']}")
    assert use_code(daemon, other).status_code == 401
    assert ask(daemon, one, "GET", "/v1/whoami").status_code == 401


def test_session_makes_no_code_and_no_session(daemon, signed_in):
    reply = ask(daemon, signed_in, "POST", "/v1/session/codes", headers={"Sec-Fetch-Site": "same-origin"})
    assert reply.status_code == 403, reply.text
    reply = requests.post(daemon.base + "/v1/session", json={"token": signed_in.cookies["nel_session"]}, timeout=60)
    assert reply.status_code == 403, reply.text


def test_token_and_code_together_are_refused(daemon):
    reply = requests.post(daemon.base + "/v1/session", timeout=60, json={"code": code_of(daemon), "token": daemon.tokens["ann"]})
    assert reply.status_code == 400 and "Set-Cookie" not in reply.headers


def test_signing_in_is_never_refused_for_the_number_of_tokens(daemon):
    """Nor does it take the place of a token: of the sessions the oldest end."""
    bob, sessions = daemon.client("bob"), []
    made = []
    while (reply := bob.request("POST", "/v1/tokens", json={"label": "many"})).status_code == 201:
        made.append(reply.json()["id"])
    assert reply.status_code == 409
    for _ in range(21):
        one = requests.Session()
        assert one.post(daemon.base + "/v1/session", json={"token": daemon.tokens["bob"]}, timeout=60).status_code == 201
        sessions.append(one)
    statuses = [ask(daemon, one, "GET", "/v1/whoami").status_code for one in sessions]
    assert statuses == [401] + [200] * 20
    assert bob.get(f"/v1/tokens/{made[0]}").json()["state"] == "active"
    for token in made:
        bob.delete(f"/v1/tokens/{token}")
