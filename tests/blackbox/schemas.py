"""JSON schemas of everything the server answers (schemas/*.json): OpenAI's required keys, Rubato's extensions."""

import json
import pathlib

import jsonschema
import referencing

FOLDER = pathlib.Path(__file__).parent / "schemas"
FILES = {file.stem: json.loads(file.read_text()) for file in sorted(FOLDER.glob("*.json"))}
REGISTRY = referencing.Registry().with_resources(
    (f"{name}.json", referencing.Resource.from_contents(schema)) for name, schema in FILES.items()
)
VALIDATORS = {
    name: jsonschema.Draft202012Validator(schema, registry=REGISTRY) for name, schema in FILES.items()
}

BY_PATH = {
    "/v1/chat/completions": "chat_completion",
    "/v1/completions": "completion",
    "/v1/models": "models",
    "/health": "health",
    "/health/live": "health",
    "/version": "version",
    "/load": "load",
    "/tokenize": "tokenize",
    "/detokenize": "detokenize",
}


def of_answer(path, status):
    """The name of the schema that the body of an answer must fit."""
    if status != 200:
        return "error"
    return BY_PATH.get(path, "model")


def validate(value, name):
    VALIDATORS[name].validate(value)
