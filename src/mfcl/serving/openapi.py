"""The description of the endpoint for programs: OpenAPI 3.1."""

from collections.abc import Mapping
from typing import Any

from mfcl.web.guard import MOST_BODY

NUMBER, TEXT = {"type": "number"}, {"type": "string"}


def openapi(about: Mapping[str, Any]) -> dict[str, Any]:
    """Return the description, with what this service has: a classifier, a gallery, a whitening.

    Args:
        about: See `mfcl.serving.service.Service.about`.
    """
    answer: dict[str, Any] = {
        "seconds": {**NUMBER, "description": "length after preparation"},
        "notices": {"type": "array", "items": TEXT, "description": "problems of the file with which it was used"},
        "embedding": {"type": "array", "items": NUMBER, "description": "as `mfcl embed` gives it"},
    }
    if about["classes"] is not None:
        answer["class"] = _object(
            {
                "label": {**TEXT, "description": "a class, or `unknown`"}, "likeliest": TEXT, "probability": NUMBER,
                "distance": {**NUMBER, "description": "to the nearest class, 0 to 2"},
                "probabilities": {"type": "object", "additionalProperties": NUMBER},
            },
        )  # fmt: skip
    if about["voices"]:
        or_nothing = {"type": ["number", "null"]}
        answer["voice"] = _object(
            {
                "name": {**TEXT, "description": "a voice, or `unknown`"}, "reason": TEXT, "best": TEXT,
                "score": or_nothing, "margin": or_nothing, "second": TEXT,
            },
        )  # fmt: skip
    error, text = _json(_object({"error": TEXT})), {"text/plain": {"schema": TEXT}}
    wrong = {"description": "what is wrong, in one line", "content": error}
    plain = {"description": "one line of text", "content": text}
    large = {"description": "what is wrong, in one line: text if the head said how much comes", "content": error | text}
    choices = ["plain", *(["whitened"] if about["whitened"] else []), "none"]
    sound = {
        "summary": "Embed one sound, and say its class and its voice",
        "parameters": [
            {
                "name": "embedding", "in": "query", "required": False,
                "schema": {"type": "string", "enum": choices, "default": "plain"},
            }
        ],
        "requestBody": {
            "required": True,
            "description": f"an audio file of at most {MOST_BODY >> 20} MiB and a minute, in any format",
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        },
        "responses": {
            "200": {"description": "what is known of it", "content": _json(_object(answer, without=("embedding",)))},
            "400": wrong, "401": plain, "403": plain, "413": large, "421": plain, "503": wrong,
        },
    }  # fmt: skip
    facts = {"description": "the model and what was made of it", "content": _json({"type": "object"})}
    return {
        "openapi": "3.1.0",
        "info": {"title": f"mfcl: {about['recipe']}", "version": about["mfcl"]},
        "paths": {
            "/sound": {"post": sound},
            "/about": {"get": {"summary": "The model", "responses": {"200": facts}}},
        },
    }


def _object(properties: Mapping[str, Any], *, without: tuple[str, ...] = ()) -> dict[str, Any]:
    required = [name for name in properties if name not in without]
    return {"type": "object", "properties": dict(properties), "required": required}


def _json(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": dict(schema)}}
