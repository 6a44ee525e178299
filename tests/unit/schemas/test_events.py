from schemas.events import CODES, INPUT_TYPES, TYPES_BY_CODE


def test_every_type_has_a_code_of_its_own() -> None:
    assert CODES.keys() == INPUT_TYPES.keys()
    assert len(set(CODES.values())) == len(CODES)
    assert {type: event.code for type, event in INPUT_TYPES.items()} == CODES


def test_a_code_leads_back_to_its_type() -> None:
    assert {TYPES_BY_CODE[code]: code for code in TYPES_BY_CODE} == CODES
