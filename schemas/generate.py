"""Writes what other languages read: JSON Schema files and one AsyncAPI document, from the models.

python -m schemas.generate
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic.json_schema import GenerateJsonSchema

from schemas.events import INPUT_TYPES, EventType
from schemas.fields import ACCOUNT_PATTERN, SOURCE_SCHEMA, STORABLE
from schemas.identity import ID_PATTERN, MAX_ID_CHARS, NIL_ID, OWN_SOURCE
from schemas.output_types import OUTPUT_TYPES, OutputType
from schemas.parsing.envelope import ATTRIBUTE_PATTERN
from schemas.times import TIME_PATTERN
from schemas.topics import TOPICS, TopicSpec

HERE: Final = Path(__file__).parent
TYPES: Final[tuple[EventType | OutputType, ...]] = (*INPUT_TYPES.values(), *OUTPUT_TYPES.values())
Schema = dict[str, Any]


def generate_files() -> dict[Path, str]:
    """Every generated file, relative to this package."""
    files = {Path("json") / f"{event.type}.json": to_json(data_schema(event)) for event in TYPES}
    files[Path("json") / "cloudevent.json"] = to_json(envelope_schema())
    files[Path("asyncapi.yaml")] = yaml.safe_dump(asyncapi_document(), sort_keys=False, allow_unicode=True, width=120)
    return files


def to_json(schema: Schema) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def data_schema(event: EventType | OutputType) -> Schema:
    """JSON Schema of the CloudEvents `data` of a type."""
    schema = event.model.model_json_schema(mode="validation")
    return {"$schema": GenerateJsonSchema.schema_dialect, "$id": f"{event.type}.json", **schema}


def envelope_schema() -> Schema:
    """JSON Schema of the attributes and the place of the data in structured mode."""
    json_media = (
        rf"^(?:{any_case('application')}|{any_case('text')})/(?:[A-Za-z0-9.-]+\+)?{any_case('json')}[ \t]*(?:;.*)?$"
    )
    return {
        "$schema": GenerateJsonSchema.schema_dialect,
        "$id": "cloudevent.json",
        "title": "CloudEvent",
        "description": "CloudEvents 1.0 as these topics want it. Further attributes are kept.",
        "type": "object",
        "required": ["specversion", "id", "source", "type", "subject", "data"],
        "properties": {
            "specversion": {"const": "1.0"},
            "id": {
                "type": "string",
                "minLength": 1,
                "maxLength": MAX_ID_CHARS,
                "pattern": ID_PATTERN,
                "not": {"const": NIL_ID},
                "description": "Unique within source and account; a UUID of version 7 is best. A second event with the "
                "same topic, subject, source and id is a duplicate; if it says something else, it is rejected.",
            },
            "source": SOURCE_SCHEMA,
            "type": {"type": "string"},
            "subject": {
                "type": "string",
                "pattern": ACCOUNT_PATTERN,
                "description": "The account id, which is the Kafka key too.",
            },
            "time": {
                "type": ["string", "null"],
                "format": "date-time",
                "pattern": f"^{TIME_PATTERN}$",
                "description": "When it happened, RFC 3339 with offset. Digits beyond microseconds are cut. "
                "Where it is missing, Kafka's timestamp counts, and the stored event has the extension timefrom.",
            },
            "datacontenttype": {
                "type": ["string", "null"],
                "default": "application/json",
                "pattern": json_media,
            },
            "data": {"type": "object"},
        },
        # Extensions; null is as good as absent.
        "patternProperties": {
            f"^(?!data$){ATTRIBUTE_PATTERN}$": {"type": ["string", "number", "boolean", "null"], **STORABLE}
        },
        "additionalProperties": {"type": "null"},
    }


def any_case(word: str) -> str:
    """A pattern for the word in small letters, capitals or both: JSON Schema has no flag for that."""
    return "".join(f"[{letter}{letter.upper()}]" for letter in word)


def asyncapi_document() -> Schema:
    """AsyncAPI 3: who sends and who receives what on which topic."""
    channels = {spec.name: spec for spec in TOPICS if any(event.topic == spec.name for event in TYPES)}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "credit-meter",
            "version": "1",
            "description": "Metering of model credits and tool runs. Written by `python -m schemas.generate`.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/cloudevents+json",
        "channels": {channel_id(name): channel(spec) for name, spec in channels.items()},
        "operations": dict(operations(channels)),
        "components": {"messages": {event.type: message(event) for event in TYPES}},
    }


def channel_id(topic: str) -> str:
    return topic.partition(".")[2]


def channel(spec: TopicSpec) -> Schema:
    return {
        "address": spec.name,
        "description": spec.description,
        "messages": {
            event.type: {"$ref": f"#/components/messages/{event.type}"} for event in TYPES if event.topic == spec.name
        },
        "bindings": {
            "kafka": {
                "topic": spec.name,
                "partitions": spec.partitions,
                "topicConfiguration": {
                    "cleanup.policy": [spec.cleanup_policy],
                    "retention.ms": spec.retention_ms,
                    "max.message.bytes": spec.max_message_bytes,
                },
                "bindingVersion": "0.5.0",
            }
        },
    }


def operations(channels: Mapping[str, TopicSpec]) -> Iterator[tuple[str, Schema]]:
    """As seen from credit-meter: it receives the inputs and sends the outputs."""
    inputs = {event.topic for event in INPUT_TYPES.values()}
    for topic in channels:
        action = "receive" if topic in inputs else "send"
        yield (
            f"{action}_{channel_id(topic)}",
            {
                "action": action,
                "channel": {"$ref": f"#/channels/{channel_id(topic)}"},
                "messages": [
                    {"$ref": f"#/channels/{channel_id(topic)}/messages/{event.type}"}
                    for event in TYPES
                    if event.topic == topic
                ],
            },
        )


def message(event: EventType | OutputType) -> Schema:
    return {
        "name": event.type,
        "contentType": "application/cloudevents+json",
        "summary": (event.model.__doc__ or "").strip().splitlines()[0],
        "payload": {
            "allOf": [
                {"$ref": "./json/cloudevent.json"},
                {
                    "type": "object",
                    "properties": {
                        "type": {"const": event.type},
                        "data": {"$ref": f"./json/{event.type}.json"},
                        # Ours is refused from outside.
                        **({"source": {"not": {"const": OWN_SOURCE}}} if event.type in INPUT_TYPES else {}),
                    },
                },
            ]
        },
        "bindings": {"kafka": {"key": {"type": "string", "pattern": ACCOUNT_PATTERN}, "bindingVersion": "0.5.0"}},
    }


def main() -> None:
    files = generate_files()
    (HERE / "json").mkdir(exist_ok=True)
    for stale in set((HERE / "json").glob("*.json")) - {HERE / name for name in files}:
        stale.unlink()
    for name, text in files.items():
        (HERE / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
