"""For services that produce events: typed, checked before sending, delivered at least once, counted once.

    async with UsageProducer(source="/example/gateway") as usage:
        await usage.model_inference("acc-1", credits="0.25", model="large")
        await usage.flush()

What the meter would reject is refused here, by the same rules, before it is sent: InvalidEventError says why and what
to do. Methods return the event's id; whoever repeats an event after a fault passes the same id and it counts once.
"""

from collections.abc import Sequence
from datetime import datetime

from meter.event_data import Amount, contact_list, credit_data, decimal_text, time_text
from meter.event_producer import EventProducer
from meter.undelivered import BufferFullError, DeliveryError, NotRunningError
from schemas.inputs import ItemKind, ItemStatus
from schemas.limits import Category, ModelType
from schemas.reasons import InvalidEventError, Reason
from schemas.records import Limits
from schemas.resources import Resource
from schemas.topics import ACCOUNTS, USAGE

__all__ = [
    "AccountsProducer",
    "BufferFullError",
    "DeliveryError",
    "InvalidEventError",
    "Limits",
    "NotRunningError",
    "Reason",
    "UsageProducer",
]


class UsageProducer(EventProducer):
    """Reports usage on metering.usage."""

    topic = USAGE

    async def model_inference(
        self,
        account_id: str,
        *,
        credits: Amount,
        model: str,
        deployment: str | None = None,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
        category: Category | None = None,
        seconds: float | None = None,
        hardware: str | None = None,
        replicas: int | None = None,
        event_id: str | None = None,
        time: datetime | None = None,
    ) -> str:
        data = {
            "credits": decimal_text(credits),
            "model": model,
            "deployment": deployment,
            "input_tokens": input_tokens,
            "output_tokens": output_tokens,
            "category": category,
            "seconds": seconds,
            "hardware": hardware,
            "replicas": replicas,
        }
        return await self.send("usage.model_inference.v1", account_id, data, event_id=event_id, time=time)

    async def guardrail(
        self,
        account_id: str,
        *,
        credits: Amount,
        guardrail: str,
        deployment: str | None = None,
        seconds: float | None = None,
        hardware: str | None = None,
        cpus: float | None = None,
        event_id: str | None = None,
        time: datetime | None = None,
    ) -> str:
        data = {
            "credits": decimal_text(credits),
            "guardrail": guardrail,
            "deployment": deployment,
            "seconds": seconds,
            "hardware": hardware,
            "cpus": cpus,
        }
        return await self.send("usage.guardrail.v1", account_id, data, event_id=event_id, time=time)

    async def custom_script(
        self,
        account_id: str,
        *,
        credits: Amount,
        script: str,
        deployment: str | None = None,
        language: str | None = None,
        category: Category | None = None,
        seconds: float | None = None,
        cpus: float | None = None,
        memory_gb: float | None = None,
        event_id: str | None = None,
        time: datetime | None = None,
    ) -> str:
        data = {
            "credits": decimal_text(credits),
            "script": script,
            "deployment": deployment,
            "language": language,
            "category": category,
            "seconds": seconds,
            "cpus": cpus,
            "memory_gb": memory_gb,
        }
        return await self.send("usage.custom_script.v1", account_id, data, event_id=event_id, time=time)

    async def tool_run(
        self,
        account_id: str,
        *,
        tool: str,
        runs: int = 1,
        status: str | None = None,
        event_id: str | None = None,
        time: datetime | None = None,
    ) -> str:
        data = {"tool": tool, "runs": runs, "status": status}
        return await self.send("usage.tool_run.v1", account_id, data, event_id=event_id, time=time)

    async def item_changed(
        self,
        account_id: str,
        *,
        kind: ItemKind,
        id: str,
        name: str,
        status: ItemStatus,
        owner: str | None = None,
        type: ModelType | None = None,
        language: str | None = None,
        version: str | None = None,
        reason: str | None = None,
        deployed_at: datetime | None = None,
        event_id: str | None = None,
        time: datetime | None = None,
    ) -> str:
        """A model, guardrail, script or tool as it is from now on; `id` is what usage names. The log holds the owner
        encrypted, and forgets it with the account; name nobody elsewhere."""
        data = {
            "kind": kind,
            "id": id,
            "name": name,
            "status": status,
            "owner": owner,
            "type": type,
            "language": language,
            "version": version,
            "reason": reason,
            "deployed_at": time_text("deployed_at", deployed_at),
        }
        return await self.send("item.changed.v1", account_id, data, event_id=event_id, time=time)


class AccountsProducer(EventProducer):
    """For billing and support: accounts, grants and reversals on metering.accounts (they alone may write there)."""

    topic = ACCOUNTS

    async def opened(
        self,
        account_id: str,
        *,
        plan: str,
        contacts: Sequence[str],
        display_name: str | None = None,
        time_zone: str | None = None,
        event_id: str | None = None,
        time: datetime | None = None,
    ) -> str:
        data = {"plan": plan, "contacts": contact_list(contacts), "display_name": display_name, "time_zone": time_zone}
        return await self.send("account.opened.v1", account_id, data, event_id=event_id, time=time)

    async def plan_changed(
        self, account_id: str, *, plan: str, event_id: str | None = None, time: datetime | None = None
    ) -> str:
        return await self.send("account.plan_changed.v1", account_id, {"plan": plan}, event_id=event_id, time=time)

    async def contacts_changed(
        self, account_id: str, *, contacts: Sequence[str], event_id: str | None = None, time: datetime | None = None
    ) -> str:
        data = {"contacts": contact_list(contacts)}
        return await self.send("account.contacts_changed.v1", account_id, data, event_id=event_id, time=time)

    async def renamed(
        self,
        account_id: str,
        *,
        display_name: str | None = None,
        time_zone: str | None = None,
        event_id: str | None = None,
        time: datetime | None = None,
    ) -> str:
        """What is not given stays as it was."""
        data = {"display_name": display_name, "time_zone": time_zone}
        return await self.send("account.renamed.v1", account_id, data, event_id=event_id, time=time)

    async def closed(self, account_id: str, *, event_id: str | None = None, time: datetime | None = None) -> str:
        return await self.send("account.closed.v1", account_id, {}, event_id=event_id, time=time)

    async def reopened(self, account_id: str, *, event_id: str | None = None, time: datetime | None = None) -> str:
        """Grants nothing."""
        return await self.send("account.reopened.v1", account_id, {}, event_id=event_id, time=time)

    async def forgotten(
        self, account_id: str, *, reason: str, event_id: str | None = None, time: datetime | None = None
    ) -> str:
        """Addresses and names of the account are forgotten for good. `reason` stays: it must name nobody."""
        return await self.send("account.forgotten.v1", account_id, {"reason": reason}, event_id=event_id, time=time)

    async def granted(
        self,
        account_id: str,
        *,
        resource: Resource,
        amount: Amount,
        reason: str,
        reference: str,
        event_id: str | None = None,
        time: datetime | None = None,
    ) -> str:
        data = credit_data(resource, amount, reason, reference=reference)
        return await self.send("credits.granted.v1", account_id, data, event_id=event_id, time=time)

    async def revoked(
        self,
        account_id: str,
        *,
        resource: Resource,
        amount: Amount,
        reason: str,
        reference: str,
        revokes: str | None = None,
        event_id: str | None = None,
        time: datetime | None = None,
    ) -> str:
        data = credit_data(resource, amount, reason, reference=reference, revokes=revokes)
        return await self.send("credits.revoked.v1", account_id, data, event_id=event_id, time=time)

    async def reversed(
        self,
        account_id: str,
        *,
        resource: Resource,
        amount: Amount,
        reason: str,
        reverses: str,
        reverses_source: str | None = None,
        event_id: str | None = None,
        time: datetime | None = None,
    ) -> str:
        """Give back usage of one event, named by its id, and by its source where several sources used that id."""
        data = credit_data(resource, amount, reason, reverses=reverses, reverses_source=reverses_source)
        return await self.send("usage.reversed.v1", account_id, data, event_id=event_id, time=time)
