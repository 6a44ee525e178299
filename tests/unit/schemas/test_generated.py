import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from referencing import Registry, Resource

from schemas import generate
from schemas.build import encode_event
from schemas.events import INPUT_TYPES
from schemas.generate import HERE, generate_files
from schemas.output_types import OUTPUT_TYPES
from schemas.parsing.parse import Accepted, parse
from schemas.topics import TOPICS
from tests.unit.schemas.builders import ACCOUNT, EVENT_ID, EXAMPLES, LIMITS, NOW, make_event, record_of
from tests.unit.schemas.test_build import OUTPUTS

# Fields in which the models and the schemas take anything.
FOR_INFORMATION: defaultdict[str, set[str]] = defaultdict(
    set,
    {
        "usage.model_inference.v1": {
            "deployment",
            "input_tokens",
            "output_tokens",
            "category",
            "seconds",
            "hardware",
            "replicas",
        },
        "usage.guardrail.v1": {"deployment", "seconds", "hardware", "cpus"},
        "usage.custom_script.v1": {"deployment", "language", "category", "seconds", "cpus", "memory_gb"},
        "usage.tool_run.v1": {"status"},
        "item.changed.v1": {"owner", "type", "language", "version", "reason", "deployed_at"},
        "account.opened.v1": {"display_name", "time_zone"},
        "account.renamed.v1": {"display_name", "time_zone"},
    },
)
ALL = {**EXAMPLES, **OUTPUTS}
ASYNCAPI = yaml.safe_load((HERE / "asyncapi.yaml").read_text(encoding="utf-8"))
SCHEMAS = {path.name: json.loads(path.read_text(encoding="utf-8")) for path in (HERE / "json").glob("*.json")}
REGISTRY: Registry[Any] = Registry().with_resources(
    (f"urn:x/json/{name}", Resource.from_contents({**schema, "$id": f"urn:x/json/{name}"}))
    for name, schema in SCHEMAS.items()
)


def test_files_are_in_step_with_the_models() -> None:
    """After a change: make schemas."""
    on_disk = {
        path.relative_to(HERE): path.read_text(encoding="utf-8")
        for path in (*(HERE / "json").iterdir(), HERE / "asyncapi.yaml")
    }
    assert on_disk == generate_files()


def test_generating_writes_all_and_removes_the_stale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generate, "HERE", tmp_path)
    (tmp_path / "json").mkdir()
    (tmp_path / "json" / "gone.v1.json").write_text("{}")
    generate.main()
    written = {path.relative_to(tmp_path): path.read_text(encoding="utf-8") for path in tmp_path.rglob("*.*")}
    assert written == generate_files()


@pytest.mark.parametrize("name", SCHEMAS)
def test_schemas_are_valid(name: str) -> None:
    Draft202012Validator.check_schema(SCHEMAS[name])


@pytest.mark.parametrize("type", ALL)
def test_schemas_take_what_the_models_take(type: str) -> None:
    payload_of(type).validate({**make_event(type, ALL[type]), "type": type})
    written = encode_event(type, ACCOUNT, ALL[type], event_id=EVENT_ID, time=NOW, source="/x")
    payload_of(type).validate(json.loads(written))


@pytest.mark.parametrize("type", ALL)
def test_schemas_refuse_what_the_models_refuse(type: str) -> None:
    for field in ALL[type].keys() - FOR_INFORMATION[type]:
        with pytest.raises(ValidationError):
            payload_of(type).validate({**make_event(type), "type": type, "data": {**ALL[type], field: [[]]}})
    with pytest.raises(ValidationError):
        payload_of(type).validate({**make_event(type), "type": type, "data": []})
    with pytest.raises(ValidationError):
        payload_of(type).validate({**make_event(type), "data": ALL[type], "type": "another.v1"})


@pytest.mark.parametrize("credits", ["10000", "10000.0", "09999.999999", 10_000, 9999.5, "10000.000001", 10_001, "1e3"])
@pytest.mark.parametrize("type", ["usage.model_inference.v1", "usage.guardrail.v1", "usage.custom_script.v1"])
def test_schema_and_parser_agree_on_the_amount_of_one_usage_event(type: str, credits: Any) -> None:
    event = make_event(type, {**EXAMPLES[type], "credits": credits})
    assert payload_of(type).is_valid(event) == isinstance(parse(record_of(event), NOW, LIMITS), Accepted)


@pytest.mark.parametrize("runs", [10_000, 10_000.0, 10_001, 1_000_000, 1_000_001, 0])
def test_schema_and_parser_agree_on_the_runs_of_one_usage_event(runs: float) -> None:
    event = make_event("usage.tool_run.v1", {"tool": "t", "runs": runs})
    assert payload_of("usage.tool_run.v1").is_valid(event) == isinstance(parse(record_of(event), NOW, LIMITS), Accepted)


@pytest.mark.parametrize(
    ("attribute", "value"), [("id", "   "), ("subject", "a b"), ("specversion", "0.3"), ("source", "")]
)
def test_the_envelope_refuses_too(attribute: str, value: str) -> None:
    with pytest.raises(ValidationError):
        payload_of("usage.guardrail.v1").validate(make_event(**{attribute: value}))


def payload_of(type: str) -> Draft202012Validator:
    """A validator of the payload that the AsyncAPI document gives for a type."""
    payload = ASYNCAPI["components"]["messages"][type]["payload"]
    return Draft202012Validator(
        {"$id": "urn:x/asyncapi.yaml", **json.loads(json.dumps(payload).replace("./json/", "urn:x/json/"))},
        registry=REGISTRY,
    )


def test_the_document_has_every_topic_and_type() -> None:
    assert {channel["address"] for channel in ASYNCAPI["channels"].values()} == {spec.name for spec in TOPICS}
    assert ASYNCAPI["components"]["messages"].keys() == INPUT_TYPES.keys() | OUTPUT_TYPES.keys()
    by_channel = {name: set(channel["messages"]) for name, channel in ASYNCAPI["channels"].items()}
    reported = {type for type in INPUT_TYPES if type.startswith("usage.")} - {"usage.reversed.v1"}
    assert by_channel["usage"] == reported | {"item.changed.v1"}
    assert by_channel["balances"] == {"balance.changed.v1", "account.changed.v1", "account.changed.v2"}


def test_every_reference_leads_somewhere() -> None:
    references = list(find_references(ASYNCAPI))
    assert len(references) > 50
    for reference in references:
        if reference.startswith("./json/"):
            assert reference.removeprefix("./json/") in SCHEMAS
        else:
            target: Any = ASYNCAPI
            for step in reference.removeprefix("#/").split("/"):
                target = target[step]


def find_references(node: Any) -> Any:
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"]
        for value in node.values():
            yield from find_references(value)
    elif isinstance(node, list):
        for value in node:
            yield from find_references(value)
