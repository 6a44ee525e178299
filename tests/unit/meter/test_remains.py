"""What `meter forget` says is left, and whose the same addresses still are: without an address."""

from meter.store.remains import SHOWN_SHARING, describe_sharing


def test_another_account_is_named_with_what_to_do() -> None:
    said = describe_sharing(["acct-2"])
    assert said == (
        "another account still has an address of it: acct-2. To forget the person there too: meter forget ACCOUNT"
    )


def test_many_accounts_are_not_all_named() -> None:
    said = describe_sharing([f"acct-{number}" for number in range(SHOWN_SHARING + 1)])
    assert f"acct-{SHOWN_SHARING - 1} and more." in said and f"acct-{SHOWN_SHARING}" not in said
