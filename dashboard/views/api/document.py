"""The OpenAPI 3.1 document, made of the models by which bodies are checked and answers are written."""

from __future__ import annotations

from functools import cache
from http import HTTPStatus
from typing import Any

from pydantic.json_schema import models_json_schema

from dashboard import __version__
from dashboard.views.api.models import (
    IDEMPOTENCY_LIMIT,
    Execution,
    Invalidation,
    NewInvalidation,
    Problem,
    Undo,
    Waiting,
)

_REF = "#/components/schemas/{model}"
_ALWAYS = (401, 403, 429, 500, 503)
_BODY = (400, 413, 415, 422)


@cache
def document() -> dict[str, Any]:
    """As JSON, all but `servers`, which is where the asked one is. Paths are those of routes.py, which a test holds
    against them."""
    _, schemas = models_json_schema(
        [
            (NewInvalidation, "validation"),
            (Execution, "validation"),
            (Undo, "validation"),
            (Invalidation, "serialization"),
            (Problem, "serialization"),
        ],
        ref_template=_REF,
    )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Cachedeck",
            "version": __version__,
            "summary": "Invalidations for programs",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "security": [{"token": []}],
        "paths": _paths(),
        "components": {
            "schemas": schemas["$defs"],
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "An admin makes one: Operators, Tokens."}
            },
        },
    }


def _paths() -> dict[str, Any]:
    number = _parameter("number", "path", {"type": "integer", "minimum": 1}, "By which the pages call it too.")
    wait = _parameter("wait", "query", Waiting.model_json_schema()["properties"]["wait"])
    key = _parameter(
        "Idempotency-Key",
        "header",
        {"type": "string", "minLength": 1, "maxLength": IDEMPOTENCY_LIMIT, "pattern": r"^[\x21-\x7e]+$"},
        "The same key and body are the same invalidation, however often they are sent.",
    )
    return {
        "/openapi.json": {
            "get": {
                "operationId": "describe",
                "summary": "This document",
                "responses": {"200": _content("The document", {"type": "object"}), **_problems()},
            }
        },
        "/invalidations": {
            "post": {
                "operationId": "invalidate",
                "summary": "Plan an invalidation and carry it out; with dry_run only plan it",
                "description": "A pattern is planned first, for at most 10 s, and carried out by what the plan says. "
                "Where another operator has to approve it the plan waits.",
                "parameters": [wait, key],
                "requestBody": _body("NewInvalidation"),
                "responses": {
                    "201": _content("How it stands", _schema("Invalidation"), _created()),
                    **_problems(404, 409, 502, 504, *_BODY),
                },
            }
        },
        "/invalidations/{number}": {
            "parameters": [number],
            "get": {
                "operationId": "standing",
                "summary": "How an invalidation stands",
                "parameters": [wait],
                "responses": {
                    "200": _content("How it stands", _schema("Invalidation")),
                    **_problems(404, 409, 422),
                },
            },
        },
        "/invalidations/{number}/execution": _act(
            number, wait, "execute", "Execution", "Carry a plan out, within 15 min and once"
        ),
        "/invalidations/{number}/undo": _act(
            number, wait, "undo", "Undo", "Bring back what was removed, or a part of it"
        ),
    }


def _act(number: Any, wait: Any, name: str, body: str, summary: str) -> dict[str, Any]:
    return {
        "parameters": [number],
        "post": {
            "operationId": name,
            "summary": summary,
            "parameters": [wait],
            "requestBody": _body(body),
            "responses": {
                "202": _content("How it stands", _schema("Invalidation")),
                **_problems(404, 409, 502, 504, *_BODY),
            },
        },
    }


def _parameter(name: str, place: str, schema: dict[str, Any], description: str = "") -> dict[str, Any]:
    said = {"description": description} if description else {}
    return {"name": name, "in": place, "required": place == "path", "schema": schema, **said}


def _body(model: str) -> dict[str, Any]:
    return {"required": True, "content": {"application/json": {"schema": _schema(model)}}}


def _content(description: str, schema: dict[str, Any], headers: dict[str, Any] | None = None) -> dict[str, Any]:
    said = {"headers": headers} if headers else {}
    return {"description": description, "content": {"application/json": {"schema": schema}}, **said}


def _created() -> dict[str, Any]:
    return {
        "Location": {"schema": {"type": "string"}, "description": "Where it can be looked at"},
        "Idempotency-Replayed": {
            "schema": {"type": "string", "enum": ["true"]},
            "description": "It was asked for before with this Idempotency-Key",
        },
    }


def _problems(*more: int) -> dict[str, Any]:
    content = {"application/problem+json": {"schema": _schema("Problem")}}
    return {
        str(status): {"description": HTTPStatus(status).phrase, "content": content}
        for status in sorted({*_ALWAYS, *more})
    }


def _schema(model: str) -> dict[str, Any]:
    return {"$ref": _REF.format(model=model)}
