"""Types that are generated from the JSON Schema files compile, as a team of another language would use them."""

import json
import re
import subprocess
from pathlib import Path

from tests.support.clients import build_clients

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
USE_IN_GO = """
package main

import (
	"encoding/json"
	"fmt"
	"os"
)

const sendable Resource = ResourceModelCredits

func main() {
	var balance BalanceChanged
	if err := json.NewDecoder(os.Stdin).Decode(&balance); err != nil {
		panic(err)
	}
	low := balance.Status == BalanceChangedStatusLow && balance.Resource == sendable
	fmt.Println(balance.AccountId, balance.Remaining, balance.Position, balance.AsOf.Year(), low)
}
"""
BALANCE = {
    "account_id": "acct-1", "resource": "model_credits", "epoch": 1, "allocation": "75", "consumed": "60",
    "remaining": "15", "percent": 80, "exhaustion": "80.00", "status": "low", "allowed": True, "shard": 3,
    "position": 17, "as_of": "2026-03-01T12:00:00Z",
}  # fmt: skip
WITHOUT_FIELDS = {"AccountClosed", "AccountReopened"}  # the generator makes no type of nothing


def run(command: list[str], directory: Path, text: str = "") -> str:
    done = subprocess.run(
        command, cwd=directory, input=text, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_types_of_every_event_compile_in_typescript(tmp_path: Path) -> None:
    tools = (
        build_clients("types", "npm", ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"])
        / "node_modules/.bin"
    )
    run([str(tools / "json2ts"), "-i", f"{SCHEMAS}/{DATA}", "-o", "types"], tmp_path)
    made = sorted(path.name.removesuffix(".d.ts") for path in (tmp_path / "types").iterdir())
    assert made == sorted(path.name.removesuffix(".json") for path in SCHEMAS.glob(DATA))
    (tmp_path / "use.ts").write_text(USE)
    files = [f"types/{name}.d.ts" for name in made]
    run([str(tools / "tsc"), "--noEmit", "--strict", "--target", "es2022", "use.ts", *files], tmp_path)


def test_types_of_every_event_compile_in_go(tmp_path: Path) -> None:
    generator = "github.com/atombender/go-jsonschema"
    tools = build_clients("types-go", "go", ["go", "mod", "download"], ["go", "build", "-o", "bin/", generator]) / "bin"
    files = sorted(map(str, SCHEMAS.glob(DATA)))
    options = ["--struct-name-from-title", "--only-models", "--tags", "json", "-p", "main", "-o", "events.go"]
    run([str(tools / "go-jsonschema"), *options, *files], tmp_path)
    made = set(re.findall(r"^type (\w+) struct", (tmp_path / "events.go").read_text(), re.MULTILINE))
    assert {json.loads(Path(file).read_text())["title"] for file in files} - made == WITHOUT_FIELDS
    (tmp_path / "use.go").write_text(USE_IN_GO)
    (tmp_path / "go.mod").write_text("module example.com/metering/use\n\ngo 1.26.0\n")
    assert run(["go", "run", "."], tmp_path, json.dumps(BALANCE)) == "acct-1 15 17 2026 true\n"
