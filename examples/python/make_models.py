"""Writes nel_slurmd/models.py: the schemas of openapi.yaml as types. `make_models.py --check` only says whether it is as
it would be written."""

import keyword
import sys
import textwrap
from pathlib import Path
from typing import Any, Dict, Iterable, List

import yaml

HERE = Path(__file__).resolve().parent
OPENAPI = HERE.parents[1] / "openapi.yaml"
MODELS = HERE / "nel_slurmd/models.py"
HEAD = '''"""The service's replies, as make_models.py writes them from openapi.yaml. Not edited by hand."""

from typing import Any, Dict, List, Literal, Optional, TypedDict, Union
'''
PLAIN = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}


class Writer:
    """Collects definitions; an object that a schema has inline gets a name of its own, from where it stands."""

    def __init__(self, schemas: Dict[str, Any]) -> None:
        self.schemas = schemas
        self.blocks: Dict[str, str] = {}

    def union(self, names: Iterable[str]) -> str:
        kinds = list(dict.fromkeys(names))
        rest = [kind for kind in kinds if kind != "None"]
        inner = rest[0] if len(rest) == 1 else f"Union[{', '.join(rest)}]"
        return inner if len(rest) == len(kinds) else f"Optional[{inner}]"

    def type_of(self, schema: Dict[str, Any], name: str) -> str:
        """The type of a schema that stands at `name`; its own objects become definitions."""
        if "$ref" in schema:
            return self.define(schema["$ref"].rsplit("/", 1)[1])
        for word in ("anyOf", "oneOf"):
            if word in schema:
                return self.union(self.type_of(part, f"{name}{number or ''}") for number, part in enumerate(schema[word]))
        if "enum" in schema:
            return f"Literal[{', '.join(repr(value) for value in schema['enum'])}]"
        if "const" in schema:
            return f"Literal[{schema['const']!r}]"
        kinds = schema.get("type", "any")
        if isinstance(kinds, list):
            return self.union(self.type_of({**schema, "type": kind}, name) for kind in kinds)
        if kinds == "array":
            return f"List[{self.type_of(schema.get('items', {}), name + 'Item')}]"
        if kinds == "object" and schema.get("properties"):
            self.object(name, schema, [])
            return name
        if kinds == "object":
            more = schema.get("additionalProperties")
            return f"Dict[str, {self.type_of(more, name + 'Value') if isinstance(more, dict) else 'Any'}]"
        return PLAIN.get(kinds, "Any")

    def object(self, name: str, schema: Dict[str, Any], bases: List[str]) -> None:
        if name in self.blocks:
            return
        self.blocks[name] = ""  # taken
        fields = {key: self.type_of(value, name + "".join(word.capitalize() for word in key.split("_")))
                  for key, value in schema.get("properties", {}).items()}
        required = set(schema.get("required", []))
        always = {key: kind for key, kind in fields.items() if key in required}
        seldom = {key: kind for key, kind in fields.items() if key not in required}
        text = textwrap.dedent(schema.get("description", "")).split("\n\n")[0]
        del self.blocks[name]
        if any(keyword.iskeyword(key) or not key.isidentifier() for key in fields):
            assert not bases and not seldom, f"{name}: a field that is no name, and bases"
            lines = "".join(f"    {key!r}: {kind},\n" for key, kind in always.items())
            self.blocks[name] = f"{name} = TypedDict({name!r}, {{\n{lines}}})\n"
            return
        if always and seldom:
            self.block(f"{name}Required", always, bases, "", total=True)
            self.block(name, seldom, [f"{name}Required"], text, total=False)
        else:
            self.block(name, always or seldom, bases, text, total=not seldom)

    def block(self, name: str, fields: Dict[str, str], bases: List[str], text: str, total: bool) -> None:
        heads = ", ".join((bases or ["TypedDict"]) + ([] if total else ["total=False"]))
        lines = [f"class {name}({heads}):"]
        if text:
            doc = textwrap.wrap(f'"""{" ".join(text.split())}"""', 116, break_long_words=False)
            lines += [f"    {line}".replace("\\", "\\\\") for line in doc]
        lines += [f"    {key}: {kind}" for key, kind in fields.items()]
        self.blocks[name] = "\n".join(lines if fields or text else [*lines, "    pass"]) + "\n"

    def define(self, name: str) -> str:
        if name in self.blocks:
            return name
        schema = self.schemas[name]
        parts = schema.get("allOf", [])  # but those that only say more of the fields, by if and then
        bases = [self.define(part["$ref"].rsplit("/", 1)[1]) for part in parts if "$ref" in part]
        own = [part for part in [schema, *parts] if "properties" in part]
        if bases or (own and schema.get("type", "object") == "object"):
            assert len(own) <= 1, name
            self.object(name, {**(own[0] if own else {}), "description": schema.get("description", "")}, bases)
        else:
            self.blocks[name] = f"{name} = {self.type_of(schema, name)}\n"
        return name


def written() -> str:
    writer = Writer(yaml.safe_load(OPENAPI.read_text())["components"]["schemas"])
    for name in writer.schemas:
        writer.define(name)
    return HEAD + "".join(("\n\n" if block.startswith("class") else "\n") + block for block in writer.blocks.values())


if __name__ == "__main__":
    if "--check" in sys.argv[1:]:
        sys.exit(None if MODELS.read_text() == written() else f"{MODELS} is not what openapi.yaml says: run {Path(__file__).name}")
    MODELS.write_text(written())
