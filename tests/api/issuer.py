"""A stand-in for an OpenID Connect issuer, as strict as real ones: discovery, JWK set, device flow (RFC 8628), refresh tokens
that rotate and end when one comes twice, revocation (RFC 7009). It can also hang, fail, redirect, and answer garbage."""

import base64
import hashlib
import hmac
import http.server
import json
import random
import secrets
import ssl
import threading
import time
from urllib.parse import parse_qsl

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

HASHES = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}
CURVES = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
RSA_KEYS = {}  # making one takes long: those of a size and name are the same for all issuers of a test run


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(value, size=None):
    return b64(value.to_bytes(size or (value.bit_length() + 7) // 8, "big"))


class Key:
    """kind: RSA (with bits) or the name of a curve."""

    def __init__(self, kid, kind="RSA", bits=2048, **members):
        self.kid, self.kind, self.members = kid, kind, members
        if kind == "RSA":
            if (kid, bits) not in RSA_KEYS:
                RSA_KEYS[kid, bits] = rsa.generate_private_key(65537, bits)
            self.private = RSA_KEYS[kid, bits]
        else:
            self.private = ec.generate_private_key(CURVES[kind])

    def jwk(self):
        public = self.private.public_key().public_numbers()
        if self.kind == "RSA":
            jwk = {"kty": "RSA", "n": number(public.n), "e": number(public.e)}
        else:
            size = (self.private.curve.key_size + 7) // 8
            jwk = {"kty": "EC", "crv": self.kind, "x": number(public.x, size), "y": number(public.y, size)}
        return {**({"kid": self.kid} if self.kid is not None else {}), **jwk, "use": "sig", **self.members}

    def public_pem(self):
        return self.private.public_key().public_bytes(serialization.Encoding.PEM,
                                                      serialization.PublicFormat.SubjectPublicKeyInfo)

    def sign(self, data, algorithm):
        kind = HASHES[algorithm[2:]]
        if algorithm.startswith("RS"):
            return self.private.sign(data, padding.PKCS1v15(), kind)
        if algorithm.startswith("PS"):
            return self.private.sign(data, padding.PSS(padding.MGF1(kind), kind.digest_size), kind)
        r, s = utils.decode_dss_signature(self.private.sign(data, ec.ECDSA(kind)))
        size = (self.private.curve.key_size + 7) // 8
        return r.to_bytes(size, "big") + s.to_bytes(size, "big")


def jwt(key, claims, algorithm="RS256", header=None, raw_claims=None, raw_header=None, secret=None):
    """Signed as it says; alg none has no signature, HS256 takes the secret. Headers of None are left out."""
    head = {"alg": algorithm, "typ": "JWT", "kid": key.kid, **(header or {})}
    head = {k: v for k, v in head.items() if v is not None}
    text = f"{b64(raw_header or json.dumps(head).encode())}.{b64(raw_claims or json.dumps(claims).encode())}"
    if algorithm == "none":
        signature = b""
    elif algorithm.startswith("HS"):
        signature = hmac.new(secret, text.encode(), hashlib.sha256).digest()
    else:
        signature = key.sign(text.encode(), algorithm)
    return f"{text}.{b64(signature)}"


class Issuer:
    def __init__(self, path="", tls=None):
        """tls: (certificate, key), PEM files."""
        self.keys = [Key("first")]
        self.mode = "ok"  # hang, 500, 404, garbage, html, huge, redirect, cut
        self.fetches = []  # paths of GET requests
        self.posts = []    # (path, form)
        self.document = {}  # members in place of the usual ones; None: left out
        self.extra_jwks = []  # further members of the JWK set
        self.devices, self.refresh_tokens, self.spent, self.revoked = {}, {}, {}, []
        self.verdicts = ["authorization_pending"]  # what the token endpoint says in turn, then it gives tokens
        self.interval, self.device_life_s, self.token_life_s = 1, 600, 3600
        self.person = {"sub": "s-ann", "preferred_username": "ann", "groups": ["evals"]}
        self.opaque_access_tokens = False
        self.refuse_refresh = False
        self.release = threading.Event()
        issuer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                issuer.fetches.append(self.path)
                issuer.get(self)

            def do_POST(self):
                form = self.rfile.read(int(self.headers["Content-Length"])).decode()
                issuer.post(self, form)

        # An address of its own: once in some ten runs beside other suites a stranger answered at 127.0.0.1 and its port.
        host = "127.0.0.1" if tls else f"127.{random.randint(1, 250)}.{random.randint(0, 250)}.{random.randint(1, 250)}"
        self.server = http.server.ThreadingHTTPServer((host, 0), Handler)
        self.server.daemon_threads = True
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        host = "localhost" if tls else host
        self.url = f"{'https' if tls else 'http'}://{host}:{self.server.server_address[1]}{path}"
        self.path = path.rstrip("/")
        self.base = self.url.rstrip("/")  # an issuer may have a slash at its end, and is told apart by it
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def stop(self):
        if not self.thread.is_alive():
            return
        self.release.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def token(self, key=None, algorithm="RS256", header=None, life_s=3600, **claims):
        """A right token, but for what is said; claims of None are left out."""
        now = int(time.time())
        whole = {"iss": self.url, "aud": "nel-slurmd", "exp": now + life_s, "iat": now, **self.person, **claims}
        return jwt(key or self.keys[0], {k: v for k, v in whole.items() if v is not None}, algorithm, header)

    def count(self, part):
        return sum(part in path for path in self.fetches)

    # --- what it answers ---

    def send(self, handler, status, body, kind="application/json", **headers):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        handler.send_response(status)
        handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(data)

    def get(self, handler):
        if self.mode == "hang":
            self.release.wait(60)
            handler.close_connection = True
        elif self.mode in ("500", "404", "503"):
            self.send(handler, int(self.mode), {"error": "server_error"})
        elif self.mode == "garbage":
            self.send(handler, 200, b"\x00\xff{{{")
        elif self.mode == "html":
            self.send(handler, 200, b"<html>sign in</html>", "text/html")
        elif self.mode == "huge":
            self.send(handler, 200, b" " * (4 << 20) + b"{}")
        elif self.mode == "redirect":
            self.send(handler, 302, b"", Location=f"{self.url}/elsewhere")
        elif self.mode == "cut":
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{")
            handler.close_connection = True
        elif handler.path == f"{self.path}/.well-known/openid-configuration":
            self.send(handler, 200, self.discovery())
        elif handler.path == f"{self.path}/keys":
            self.send(handler, 200, {"keys": [key.jwk() for key in self.keys] + self.extra_jwks})
        else:
            self.send(handler, 404, {"error": "not_found", "path": handler.path, "of": self.path})

    def discovery(self):
        document = {"issuer": self.url, "jwks_uri": f"{self.base}/keys", "token_endpoint": f"{self.base}/token",
                    "device_authorization_endpoint": f"{self.base}/device", "revocation_endpoint": f"{self.base}/revoke",
                    "authorization_endpoint": f"{self.url}/authorize", "response_types_supported": ["code"],
                    "subject_types_supported": ["public"], "id_token_signing_alg_values_supported": ["RS256"],
                    **self.document}
        return {name: value for name, value in document.items() if value is not None}

    def post(self, handler, text):
        pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=True)
        form = dict(pairs)
        self.posts.append((handler.path, form))
        kind = handler.headers["Content-Type"]
        if kind != "application/x-www-form-urlencoded" or len(form) != len(pairs):
            return self.send(handler, 400, {"error": "invalid_request"})
        if form.get("client_id") != "nelctl":
            return self.send(handler, 401, {"error": "invalid_client"})
        answer = {f"{self.path}/device": self.device, f"{self.path}/token": self.give, f"{self.path}/revoke": self.revoke}
        status, body = answer.get(handler.path, lambda _: (404, {"error": "not_found"}))(form)
        return self.send(handler, status, body)

    def device(self, form):
        if "openid" not in form.get("scope", "").split():
            return 400, {"error": "invalid_scope"}
        code = secrets.token_urlsafe(24)
        self.devices[code] = {"until": time.time() + self.device_life_s, "seen": None}
        body = {"device_code": code, "user_code": "WDJB-MJHT", "verification_uri": f"{self.url}/activate",
                "verification_uri_complete": f"{self.url}/activate?user_code=WDJB-MJHT",
                "expires_in": self.device_life_s}
        return 200, {**body, **({"interval": self.interval} if self.interval else {})}

    def give(self, form):
        if form.get("grant_type") == "refresh_token":
            return self.refresh(form.get("refresh_token", ""))
        device = self.devices.get(form.get("device_code", ""))
        if form.get("grant_type") != DEVICE_GRANT or device is None:
            return 400, {"error": "invalid_grant" if device is None else "unsupported_grant_type"}
        if time.time() > device["until"]:
            return 400, {"error": "expired_token"}
        seen, device["seen"] = device["seen"], time.time()
        if seen is not None and device["seen"] - seen < (self.interval or 5) - 0.2:
            return 400, {"error": "slow_down"}
        if self.verdicts:
            verdict = self.verdicts.pop(0)
            if isinstance(verdict, int):
                return verdict, {"message": "try later"}
            if verdict == "slow_down":
                self.interval += 5
            return 400, {"error": verdict, "error_description": f"because of {verdict}\x1b[31m"}
        del self.devices[form["device_code"]]
        return self.tokens("family-" + secrets.token_hex(4))

    def tokens(self, family):
        refresh = secrets.token_urlsafe(24)
        self.refresh_tokens[refresh] = family
        token = self.token(life_s=self.token_life_s)
        return 200, {"access_token": "opaque" if self.opaque_access_tokens else token, "id_token": token,
                     "token_type": "Bearer", "expires_in": self.token_life_s, "refresh_token": refresh}

    def refresh(self, token):
        if token in self.spent:  # it was stolen, or two used it at once: nothing of the family is good any more
            family = self.spent[token]
            self.refresh_tokens = {t: f for t, f in self.refresh_tokens.items() if f != family}
        if token not in self.refresh_tokens or self.refuse_refresh:
            return 400, {"error": "invalid_grant", "error_description": "Session not active"}
        self.spent[token] = self.refresh_tokens.pop(token)
        return self.tokens(self.spent[token])

    def revoke(self, form):
        if "token" not in form:
            return 400, {"error": "invalid_request"}
        self.revoked.append(form["token"])
        self.refresh_tokens.pop(form["token"], None)
        return 200, {}
