"""Every operation of openapi.yaml is described and has examples, and they keep to its schemas. That they are what the daemon
answers, tests/e2e/test_openapi_examples.py shows."""

import re

import pytest
from contract import Contract

CONTRACT = Contract()
OPERATIONS = [(f"{method.upper()} {path}", item, item[method]) for path, item in CONTRACT.document["paths"].items()
              for method in ("get", "put", "post", "delete", "patch") if method in item]
CUT = re.compile(r"\.\.\.\n$")


def bodies(operation):
    """(where, media type, its object) of what is sent, and of what comes when all is well."""
    for media, content in operation.get("requestBody", {}).get("content", {}).items():
        yield "the request", media, content
    for status, reply in operation["responses"].items():
        if status in ("200", "201", "202"):
            for media, content in CONTRACT.follow(reply).get("content", {}).items():
                yield f"the reply {status}", media, content


@pytest.mark.parametrize("name, item, operation", OPERATIONS, ids=[name for name, *_ in OPERATIONS])
def test_operation_is_described_and_has_examples(name, item, operation):
    assert operation["summary"] and operation["description"]
    for (place, parameter), declared in CONTRACT.parameters(item, operation).items():
        assert place != "path" or "example" in declared, f"the parameter {parameter} of the path has no example"
    wanted = {where for where, _, content in bodies(operation) if content["schema"] != {"$ref": "#/components/schemas/Nothing"}}
    shown = {where for where, _, content in bodies(operation) if content.get("examples")}
    assert shown == wanted, f"no example: {wanted - shown}; tests/e2e/test_openapi_examples.py says how to get one"


@pytest.mark.parametrize("name, item, operation", OPERATIONS, ids=[name for name, *_ in OPERATIONS])
def test_examples_keep_to_the_schema(name, item, operation):
    for where, media, content in bodies(operation):
        for example in content.get("examples", {}).values():
            value = CONTRACT.follow(example)["value"]
            if media == "application/json":
                CONTRACT.check_value(value, content["schema"], f"{where} ")
            else:
                assert isinstance(value, str)
                assert where != "the request" or not CUT.search(value)


@pytest.mark.parametrize("name", [name for name in CONTRACT.document["components"]["responses"] if name not in (
    "NotModified", "Done", "TooLarge", "Unsupported", "NotSatisfiable", "ClusterFailed", "TooMany", "Busy", "Fault")])
def test_problem_has_an_example_that_keeps_to_the_schema(name):
    content = CONTRACT.document["components"]["responses"][name]["content"]["application/problem+json"]
    CONTRACT.check_value(CONTRACT.follow(content["examples"]["shown"])["value"], content["schema"], f"{name} ")
