"""What run documents have in common, for deflate to point at. It never changes: stored items are read with it.

Another one would be another format byte in `values.py`. What is met most often stands last, where it is cheapest.
"""

from __future__ import annotations

DICTIONARY = (
    b',"stop":{"reason":"cancelled","at":"2026-superseded"timed_out"lost"not_started"'
    b'"message":"over its timeout of the cloud no longer knows it'
    b'"exited with killed by signal out of memory'
    b'"free_attempts":1,"retries_used":1,"parked":true,"late_noticed":true,"queue_pinned":true,"submit_seq":2'
    b',"idempotency_key":"","fingerprint":"","max_lateness_seconds":,"on_unknown":"retry"'
    b'"AwaitingConcurrencySlot"AwaitingRetry"Cancelling"Stopping"Cancelled"TimedOut"Crashed"Failed'
    b"azure-container-instance:push/subscriptions/resourceGroups/providers/Microsoft.ContainerInstance/containerGroups/"
    b"cloud-run-v2:push/projects/locations/jobs/executions/https://console.cloud.google.com/run/jobs/executions/details/"
    b'modal:push"https://modal.com/apps/'
    b'"process","account":"local"'
    b'"PUSHPOOL_API_URL":"https://","PUSHPOOL_RUN_ID":"","PUSHPOOL_ATTEMPT":"1","PUSHPOOL_SCHEDULED_TIME":"2026-'
    b'"PUSHPOOL_START_DEADLINE":"2026-","PUSHPOOL_HEARTBEAT_SECONDS":"120","PUSHPOOL_PARAMETERS":"{\\"'
    b'{"taskDefinition":"","overrides":{"containerOverrides":[{"name":"","command":["pushpool-run","--"],'
    b'"environment":[{"name":"","value":""},{"name":"'
    b'"networkConfiguration":{"awsvpcConfiguration":{"subnets":["subnet-"],"securityGroups":["sg-"],'
    b'"assignPublicIp":"ENABLED"}},"launchType":"FARGATE","cluster":"","startedBy":"","clientToken":"","count":1'
    b'{"parameters":{"},"job_variables":{"env":{"cpu":"memory":"image":"command":"'
    b'"console":"https://eu-central-1.console.aws.amazon.com/ecs/v2/clusters//tasks//configuration?region=eu-west-1'
    b'us-east-1us-west-2eu-central-1","logs":"https://.console.aws.amazon.com/cloudwatch/home?region='
    b"#logsV2:log-groups/log-group/$252F/log-events/$252F"
    b'{"id":"-4","name":"run-","deployment_id":"-4","deployment":"","pool":"","queue":"default"'
    b',"scheduled_time":"2026-01-01T00:00:00Z","due_at":"2026-01-01T00:00:00Z","state":{"name":"Completed","at":"2026-'
    b'"},"created":"2026-","tags":["","],"schedule_id":"-5","schedule_version":1,"attempt":2'
    b',"policy":{"retries":1,"retry_delay_seconds":30,"timeout_seconds":3600,"notify":["crashed","failed","timed_out'
    b'"]},"slots":[{"limit":"pool/","name":"0"},{"limit":"queue//default","name":"0"},{"limit":"deployment/","name":"0"}]'
    b',"started":"2026-","ended":"2026-","exit_code":0,"attempts":[{"number":1,"submit_seq":1,"target":{"type":"ecs:push"'
    b',"account":"","region":"eu-central-1","group":""},"admitted_at":"2026-","start_deadline":"2026-'
    b'","key_id":"","token_expires":"2026-","handle":"arn:aws:ecs:eu-central-1:task/","links":{'
    b'},"submitted_at":"2026-","claimed_by":"","started":"2026-","ended":"2026-","outcome":"Completed","exit_code":0'
    b',"log_tail":"","cleanup_seconds":3600}],"history":[{"name":"Scheduled","at":"2026-01-01T00:00:00.000000Z"}'
    b',{"name":"Submitting","at":"2026-11-0"},{"name":"InfrastructurePending","at":"2026-12-1"}'
    b',{"name":"Running","at":"2026-0"},{"name":"Completed","at":"2026-"}],"expires_at":"2026-","version":5}'
)
