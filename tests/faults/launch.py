"""A service with known bugs switched on: python -m tests.faults.launch meter --bug no_compare_and_set

Only trials start services this way. Without a bug, the services' own commands are what a campaign runs.
"""

import argparse
import importlib
import sys

from tests.faults.bugs import BUGS
from tests.faults.schedule import SERVICES


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults.launch", description="Run a service with a known bug."
    )
    parser.add_argument("service", choices=SERVICES)
    parser.add_argument("--bug", choices=sorted(BUGS), action="append", required=True)
    options = parser.parse_args()
    for name in options.bug:
        if BUGS[name].service == options.service:
            BUGS[name].switch_on()
    sys.argv = [options.service, "run"]
    importlib.import_module(f"{options.service}.cli").app()


if __name__ == "__main__":
    main()
