"""The history in the database against the files."""

import pytest

from meter.runtime.postgres.migrations import Migration, MigrationError, check_history, read_migrations

FIRST = Migration("meter", 1, "0001_first.sql", "SELECT 1")
SECOND = Migration("meter", 2, "0002_second.sql", "SELECT 2")


@pytest.mark.parametrize("package", ["meter", "projections", "notifier"])
def test_packages_number_their_migrations_from_one(package: str) -> None:
    found = read_migrations(package)
    assert [migration.number for migration in found] == list(range(1, len(found) + 1))
    assert found


def test_what_is_applied_must_be_unchanged() -> None:
    check_history("meter", [FIRST, SECOND], {1: FIRST.checksum})
    with pytest.raises(MigrationError, match=r"0001_first\.sql was changed"):
        check_history("meter", [FIRST, SECOND], {1: SECOND.checksum})


def test_a_database_newer_than_the_files_is_refused() -> None:
    with pytest.raises(MigrationError, match="has 2 migrations of meter"):
        check_history("meter", [FIRST], {1: FIRST.checksum, 2: SECOND.checksum})
