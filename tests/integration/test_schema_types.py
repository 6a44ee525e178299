"""Types that are generated from the JSON Schema files compile, as a team of another language would use them."""

import subprocess
from pathlib import Path

from tests.support.clients import build

SCHEMAS = Path(__file__).parents[2] / "schemas" / "json"
DATA = "*.v[0-9]*.json"  # not the envelope: its rule for names of extensions has no form in TypeScript
TIMEOUT_S = 300
# Says a balance in the types alone: a field that is renamed, or whose values change, does not compile any more.
USE = """
import type { BalanceChanged } from "./types/balance.changed.v1";

export const sendable: BalanceChanged["status"] = "low";
export function left(balance: BalanceChanged): string {
  const exhaustion: string | null | undefined = balance.exhaustion;
  return `${balance.account_id} ${balance.remaining} ${exhaustion ?? balance.percent}`;
}
"""


def run(command: list[str], directory: Path) -> None:
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_types_of_every_event_compile_in_typescript(tmp_path: Path) -> None:
    tools = build("types", "npm", ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]) / "node_modules/.bin"
    run([str(tools / "json2ts"), "-i", f"{SCHEMAS}/{DATA}", "-o", "types"], tmp_path)
    made = sorted(path.name.removesuffix(".d.ts") for path in (tmp_path / "types").iterdir())
    assert made == sorted(path.name.removesuffix(".json") for path in SCHEMAS.glob(DATA))
    (tmp_path / "use.ts").write_text(USE)
    files = [f"types/{name}.d.ts" for name in made]
    run([str(tools / "tsc"), "--noEmit", "--strict", "--target", "es2022", "use.ts", *files], tmp_path)
