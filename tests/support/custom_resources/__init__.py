"""The custom resources in deploy/kubernetes/production: exactly the fields that it uses, and their types.

No package carries the schemas of Strimzi, CloudNativePG and External Secrets, and theirs are 10,000 lines. A name that
these models do not have is refused; whoever adds a field to a file looks it up in the operator's reference and adds it
here. Written by the definitions of Strimzi 1.3, CloudNativePG 1.30 and its plug-in for Barman, External Secrets v1 and
KEDA 2.20, against which the rendered files were checked then; the PodMonitor by those of Prometheus' operator 0.93.
"""

from typing import Annotated, Any

from pydantic import Field, TypeAdapter

from tests.support.custom_resources.kafka import KafkaTopic, KafkaUser
from tests.support.custom_resources.keda import ScaledObject
from tests.support.custom_resources.postgres import Cluster, ObjectStore, ScheduledBackup
from tests.support.custom_resources.prometheus import PodMonitor
from tests.support.custom_resources.secrets import ExternalSecret

Custom = Annotated[
    KafkaTopic | KafkaUser | ScaledObject | PodMonitor | Cluster | ScheduledBackup | ObjectStore | ExternalSecret,
    Field(discriminator="kind"),
]
CUSTOM: TypeAdapter[Any] = TypeAdapter(Custom)
