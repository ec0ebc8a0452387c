"""openapi.yaml as a contract: checks each request that was answered well, and every reply, against it."""

import csv
import io
import json
import re
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

import jsonschema
import yaml

ROOT = Path(__file__).resolve().parents[2]


# Those of HTTP, and those that openapi.yaml leaves out: for caches, browsers and proxies.
GENERAL_HEADERS = re.compile(
    r"access-control-.+|cache-control|connection|content-(length|security-policy|type)|cross-origin-opener-policy|date|keep-alive|"
    r"referrer-policy|server|transfer-encoding|vary|x-(accel-buffering|content-type-options|frame-options)")


class ContractError(AssertionError):
    pass


class Contract:
    def __init__(self, path=ROOT / "openapi.yaml"):
        self.document = yaml.safe_load(path.read_text())
        self.seen = set()  # (operationId, status)

    def follow(self, node):
        while "$ref" in node:
            path = node["$ref"].removeprefix("#/").split("/")
            node = self.document
            for name in path:
                node = node[name]
        return node

    def check_value(self, value, schema, what):
        # References are within the schema itself, which every version of the library takes without a resolver of ours.
        whole = {**schema, "components": self.document["components"]}
        validator = jsonschema.Draft202012Validator(whole)
        problems = [f"{what}{'/'.join(map(str, e.absolute_path))}: {e.message}" for e in validator.iter_errors(value)]
        if problems:
            raise ContractError("; ".join(problems))

    def find(self, method, path):
        """The path's item and the operation (None when the path has no such method); None, None without a path."""
        best = None
        for template, item in self.document["paths"].items():
            pattern = re.escape(template).replace(r"\{path\}", "(?P<path>.+)")
            match = re.fullmatch(re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", pattern), path)
            if match and (best is None or "{path}" in best[0]):
                best = (template, item, match.groupdict())
        if best is None:
            return None, None, {}
        operation = best[1].get("get" if method == "HEAD" else method.lower())
        return best[1], operation, {k: unquote(v) for k, v in best[2].items()}

    def parameters(self, item, operation):
        found = [self.follow(p) for p in item.get("parameters", []) + operation.get("parameters", [])]
        return {(p["in"], p["name"].lower() if p["in"] == "header" else p["name"]): p for p in found}

    def coerced(self, texts, schema):
        schema = self.follow(schema)
        if schema.get("type") == "array":
            return list(texts)
        if len(texts) > 1:
            raise ContractError("a parameter stands twice")
        if schema.get("type") == "integer":
            return int(texts[0]) if re.fullmatch(r"-?[0-9]+", texts[0]) else texts[0]
        if schema.get("type") == "boolean":
            return {"true": True, "false": False}.get(texts[0], texts[0])
        return texts[0]

    def check_request(self, item, operation, captures, url, headers, content_type, body):
        known = self.parameters(item, operation)
        query = {}
        for name, value in parse_qsl(urlsplit(url).query, keep_blank_values=True, strict_parsing=False):
            query.setdefault(name, []).append(value)
        for name, texts in query.items():
            if ("query", name) not in known:
                raise ContractError(f"query parameter {name} is not in openapi.yaml")
            schema = known["query", name]["schema"]
            self.check_value(self.coerced(texts, schema), schema, f"query {name} ")
        for name, value in captures.items():
            self.check_value(value, known["path", name]["schema"], f"path {name} ")
        for (place, name), parameter in known.items():
            if place == "header" and name in headers:
                self.check_value(headers[name], parameter["schema"], f"header {name} ")
        self.check_request_body(operation, content_type, body)

    def check_request_body(self, operation, content_type, body):
        declared = operation.get("requestBody")
        if not body:
            if declared and declared["required"]:
                raise ContractError("a body is required")
            return
        kind = (content_type or "").split(";")[0].strip().lower()
        if declared is None or kind not in declared["content"]:
            raise ContractError(f"a body of type {kind} is not in openapi.yaml")
        if kind == "application/json":
            self.check_value(json.loads(body), declared["content"][kind]["schema"], "body ")

    def check_reply(self, operation, reply):
        """operation None: an unknown path or method, which answer with a problem document."""
        status = str(reply.status_code)
        if operation is None:
            declared = self.document["components"]["responses"]["NotFound"]
        else:
            if status not in operation["responses"] and reply.status_code < 500:
                raise ContractError(f"{operation['operationId']}: status {status} is not in openapi.yaml")
            declared = self.follow(operation["responses"].get(status, operation["responses"]["default"]))
            self.seen.add((operation["operationId"], reply.status_code))
        for name, header in declared.get("headers", {}).items():
            header = self.follow(header)
            if name in reply.headers:
                self.check_value(self.coerced([reply.headers[name]], header["schema"]), header["schema"], f"header {name} ")
            elif header.get("required"):
                raise ContractError(f"header {name} is missing")
        described = {name.lower() for name in declared.get("headers", {})}
        for name in reply.headers:
            if operation is not None and name.lower() not in described and not GENERAL_HEADERS.fullmatch(name.lower()):
                raise ContractError(f"{operation['operationId']} {status}: header {name} is not in openapi.yaml")
        self.check_reply_body(declared.get("content", {}), reply)

    def check_reply_body(self, content, reply):
        if reply.request.method == "HEAD" or not content:
            if reply.content:
                raise ContractError("there is a body where none belongs")
            return
        kind = reply.headers.get("Content-Type", "").split(";")[0]
        if kind not in content and "*/*" not in content:
            raise ContractError(f"content type {kind} is not in openapi.yaml")
        schema = content.get(kind, content.get("*/*"))["schema"]
        if kind.endswith("json") and "*/*" not in content:
            value = reply.json()
            self.check_value(value, schema, "body ")
            if kind == "application/problem+json":
                if value["status"] != reply.status_code or value["request_id"] != reply.headers["X-Request-Id"]:
                    raise ContractError("the problem document and the reply differ in status or request id")
        elif kind == "text/csv":
            self.check_csv(reply.text)

    def check_csv(self, text):
        if not text.endswith("\r\n"):
            raise ContractError("CSV lines end with CRLF")
        try:
            rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
        except csv.Error as error:
            raise ContractError(f"CSV: {error}") from None
        if any(len(row) != len(rows[0]) for row in rows):
            raise ContractError("a row of the CSV has more or fewer fields than its heading")

    def check(self, reply):
        """A requests.Response with its request. A request against the contract must not have been answered well."""
        request = reply.request
        path = urlsplit(request.url).path
        item, operation, captures = self.find(request.method, path)
        self.check_reply(operation, reply)
        if operation is None:
            if reply.status_code not in (401, 404, 405):
                raise ContractError(f"{request.method} {path} is not in openapi.yaml, but answered {reply.status_code}")
            return
        if reply.status_code < 400:
            headers = {k.lower(): v.decode("latin-1") if isinstance(v, bytes) else v
                       for k, v in request.headers.items()}
            self.check_request(item, operation, captures, request.url, headers, headers.get("content-type"),
                               request.body)
