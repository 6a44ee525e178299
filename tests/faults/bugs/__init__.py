"""Known bugs of systems like this one, to be switched on in the processes of a trial and nowhere else.

Each takes one defence away, in the running process, by putting other code in its place. A campaign that does not find
a bug proves nothing by finding nothing.
"""

from collections.abc import Mapping

from tests.faults.bugs import correcting, letters, mailing, publishing, reading, storing, telling
from tests.faults.bugs.bug import Bug

BUGS: Mapping[str, Bug] = {
    bug.name: bug
    for module in (storing, correcting, reading, publishing, telling, letters, mailing)
    for bug in module.BUGS
}
