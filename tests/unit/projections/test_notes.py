from projections.timeline_lines import read_note
from schemas.events import CODES


def test_a_grant_names_its_reference_and_a_reversal_its_event() -> None:
    granted = '{"resource":"tool_runs","amount":"1","reason":"top_up","reference":"INV-1"}'
    assert read_note(CODES["credits.granted.v1"], granted) == "INV-1"
    revoked = '{"resource":"tool_runs","amount":"1","reason":"chargeback","reference":"INV-2"}'
    assert read_note(CODES["credits.revoked.v1"], revoked) == "INV-2"
    reversal = '{"resource":"tool_runs","amount":"1","reason":"r","reverses":"019b76da-a800-79ab-aa7b-5bf55eb561a4"}'
    assert read_note(CODES["usage.reversed.v1"], reversal) == "019b76da-a800-79ab-aa7b-5bf55eb561a4"
    assert read_note(CODES["usage.reversed.v1"], '{"resource":"tool_runs","amount":"1","reason":"r"}') is None
    assert read_note(CODES["account.plan_changed.v1"], '{"plan":"team"}') is None
