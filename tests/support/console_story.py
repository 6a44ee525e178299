"""A month of an account that uses everything, for pages and their pictures."""

from tests.support.console import Books, days_ago

MODELS = ("small-chat", "large-chat", "embedder", "support-tuned")


async def fill(books: Books) -> None:
    """A month of an account that uses everything."""
    for day in range(30):
        at = days_ago(day)
        for n, model in enumerate(MODELS):
            amount = f"{0.2 + (day * 7 + n * 5) % 9 / 10:.2f}"
            books.use(
                "model", model, amount, at, deployment=("eu", "us")[day % 2], category="inference", events=12,
                tokens=(8_000 + 100 * day, 900), hardware="1 × L4",
            )  # fmt: skip
        books.use("model", "support-tuned", "0.46", at, deployment="eu", category="hosting", seconds=21_600,
                        hardware="1 × A100")  # fmt: skip
        books.use("guardrail", "pii-filter", "0.32", at, deployment="eu", seconds=7_200, hardware="CPU", cpus="2")
        books.use("script", "summarise", f"{0.1 + day % 4 / 10:.2f}", at, category="hosting", seconds=3_600,
                        cpus="4", memory="16")  # fmt: skip
        books.use("tool", "web-search", str(90 + day * 3 % 40), at, status="ok", events=90)
        books.use("tool", "web-search", str(day % 5), at, status="failed")
        books.use("tool", "calculator", str(20 + day % 11), at, status="ok", events=20)
    await books.add_up()
    deployed = days_ago(40)
    for model in MODELS:
        kind = "fine_tuned" if model == "support-tuned" else "base"
        await books.item("model", model, name=model.title(), type=kind, deployed_at=deployed)
    await books.item("guardrail", "pii-filter", name="PII filter", deployed_at=deployed)
    await books.item("script", "summarise", name="Summarise", language="Python", version="3.12")
    await books.item("script", "nightly", "deployment_failed", language="Python", version="3.12",
                     reason="The image has no entry point main.py")  # fmt: skip
    await books.item("tool", "web-search", name="Web search", owner="Platform team")
    await books.item("tool", "calculator", name="Calculator", owner="Platform team")
    await books.item("tool", "calendar", "undeployed", name="Calendar", owner="Office team")
