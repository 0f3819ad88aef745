"""ministack's own modules, none of which has types that could be relied on; the pinned release is 1.5.33."""

from importlib import import_module
from typing import Any

apis: Any = import_module("ministack.services.apigateway")
app: Any = import_module("ministack.app")
concurrency: Any = import_module("ministack.core.concurrency")
ecs: Any = import_module("ministack.services.ecs")
evaluator: Any = import_module("ministack.core.iam_evaluator")
event_bus: Any = import_module("ministack.services.eventbridge")
functions: Any = import_module("ministack.core.lambda_runtime")
logs: Any = import_module("ministack.services.cloudwatch_logs")
metadata: Any = import_module("ministack.services.ecs_metadata")
rest_apis: Any = import_module("ministack.services.apigateway_v1")
policy_actions: Any = import_module("ministack.core.iam_actions")
responses: Any = import_module("ministack.core.responses")
router: Any = import_module("ministack.core.router")
