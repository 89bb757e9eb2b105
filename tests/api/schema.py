"""Checks a value against a schema of openapi.yaml: the part of JSON Schema 2020-12 that it uses."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}
KNOWN = {
    *("$ref", "type", "enum", "const", "anyOf", "required", "properties", "additionalProperties", "items"),
    *("minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "maxProperties", "pattern"),
    *("description", "default", "examples", "format"),
}


class Mismatch(AssertionError):
    """The value is not what the schema says."""


class Validator:
    """Resolves references within one document."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document = document

    def resolve(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        while "$ref" in schema:
            node: Any = self.document
            for part in schema["$ref"].removeprefix("#/").split("/"):
                node = node[part]
            schema = node
        return schema

    def matches(self, schema: Mapping[str, Any], value: Any) -> bool:
        try:
            self.check(schema, value, "")
        except Mismatch:
            return False
        return True

    def check(self, schema: Mapping[str, Any], value: Any, at: str = "") -> None:
        schema = self.resolve(schema)
        unknown = set(schema) - KNOWN
        assert not unknown, f"the validator does not know {unknown}"
        self._check_type(schema, value, at)
        if "anyOf" in schema and not any(self.matches(s, value) for s in schema["anyOf"]):
            raise Mismatch(f"{at}: {value!r} fits none of {schema['anyOf']}")
        if isinstance(value, dict):
            self._check_object(schema, value, at)
        elif isinstance(value, list):
            self._check_array(schema, value, at)
        elif isinstance(value, str):
            self._check_string(schema, value, at)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            low, high = schema.get("minimum", value), schema.get("maximum", value)
            self._need(low <= value <= high, at, value, "range")

    @staticmethod
    def _need(fits: bool, at: str, value: Any, what: str) -> None:
        if not fits:
            raise Mismatch(f"{at or '/'}: {what}: {value!r}")

    def _check_type(self, schema: Mapping[str, Any], value: Any, at: str) -> None:
        names = schema.get("type", [])
        names = [names] if isinstance(names, str) else names
        if names:
            allowed = tuple(t for name in names for t in TYPES[name])
            fits = isinstance(value, allowed) and (bool in allowed or not isinstance(value, bool))
            self._need(fits, at, value, f"must be {names}")
        if "enum" in schema:
            self._need(value in schema["enum"], at, value, "is none of the enum")
        if "const" in schema:
            self._need(value == schema["const"], at, value, "is not the constant")

    def _check_object(self, schema: Mapping[str, Any], value: Mapping[str, Any], at: str) -> None:
        missing = set(schema.get("required", [])) - set(value)
        self._need(not missing, at, value, f"lacks {missing}")
        self._need(len(value) <= schema.get("maxProperties", len(value)), at, value, "too many members")
        properties = schema.get("properties", {})
        rest = schema.get("additionalProperties", True)
        for name, member in value.items():
            here = f"{at}/{name}"
            if name in properties:
                self.check(properties[name], member, here)
            else:
                self._need(rest is not False, here, member, "is not described")
                if isinstance(rest, dict):
                    self.check(rest, member, here)

    def _check_array(self, schema: Mapping[str, Any], value: list[Any], at: str) -> None:
        low, high = schema.get("minItems", 0), schema.get("maxItems", len(value))
        self._need(low <= len(value) <= high, at, value, "number of items")
        for index, item in enumerate(value):
            self.check(schema.get("items", {}), item, f"{at}/{index}")

    def _check_string(self, schema: Mapping[str, Any], value: str, at: str) -> None:
        low, high = schema.get("minLength", 0), schema.get("maxLength", len(value.encode()))
        self._need(low <= len(value.encode()) <= high, at, value, "length")
        if "pattern" in schema:
            self._need(re.search(schema["pattern"], value) is not None, at, value, "pattern")
