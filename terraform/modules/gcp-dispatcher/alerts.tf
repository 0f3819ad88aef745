locals {
  dispatch_log = "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=\"${var.name}-dispatch\""

  # What the functions log as figures.
  metrics = {
    ticks         = "${local.dispatch_log} AND jsonPayload.figures.Ticks>=1"
    passes-failed = "${local.dispatch_log} AND jsonPayload.figures.PassesFailed>=1"
  }

  # What is above its threshold, of a metric and a resource; a minute's sum.
  alerts = {
    dead-letters = {
      description = "Events of executions could not be handled: look at the subscription ${var.name}-dead-letters, and into the log of the function ${var.name}-events."
      filter      = "metric.type=\"pubsub.googleapis.com/subscription/num_undelivered_messages\" AND resource.type=\"pubsub_subscription\" AND resource.labels.subscription_id=\"${var.name}-dead-letters\""
      aligner     = "ALIGN_MAX"
      minutes     = 0
    }
    dispatch-errors = {
      description = "Passes failed: look into the log of the function ${var.name}-dispatch."
      filter      = "metric.type=\"run.googleapis.com/request_count\" AND resource.type=\"cloud_run_revision\" AND resource.labels.service_name=\"${var.name}-dispatch\" AND metric.labels.response_code_class=\"5xx\""
      aligner     = "ALIGN_DELTA"
      minutes     = 0
    }
    failed-passes = {
      description = "Passes over some pool fail, again and again: look into the log of the function ${var.name}-dispatch."
      filter      = "metric.type=\"logging.googleapis.com/user/${var.name}-passes-failed\" AND resource.type=\"cloud_run_revision\""
      aligner     = "ALIGN_DELTA"
      minutes     = 3
    }
    api-errors = {
      description = "The API answered 5xx: look into the log of the function ${var.name}-api."
      filter      = "metric.type=\"run.googleapis.com/request_count\" AND resource.type=\"cloud_run_revision\" AND resource.labels.service_name=\"${var.name}-api\" AND metric.labels.response_code_class=\"5xx\""
      aligner     = "ALIGN_DELTA"
      minutes     = 0
    }
  }
}

resource "google_logging_metric" "this" {
  for_each = var.alerts.enabled ? local.metrics : {}

  project     = var.project
  name        = "${var.name}-${each.key}"
  description = "pushpool: lines of the function ${var.name}-dispatch"
  filter      = each.value

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
  }

  depends_on = [google_project_service.this]
}

resource "google_monitoring_alert_policy" "this" {
  for_each = var.alerts.enabled ? local.alerts : {}

  project               = var.project
  display_name          = "${var.name}-${each.key}"
  combiner              = "OR"
  user_labels           = var.labels
  notification_channels = var.alerts.notification_channels

  documentation {
    content   = each.value.description
    mime_type = "text/markdown"
  }

  conditions {
    display_name = each.key

    condition_threshold {
      filter          = each.value.filter
      comparison      = "COMPARISON_GT"
      threshold_value = 0
      duration        = "${60 * each.value.minutes}s"

      aggregations {
        alignment_period     = "60s"
        per_series_aligner   = each.value.aligner
        cross_series_reducer = "REDUCE_SUM"
      }
    }
  }

  # What is counted has no values while there is nothing to count, and an incident without values stays open for a week: what
  # goes wrong in that time would not be told.
  alert_strategy {
    auto_close = "1800s"
  }

  depends_on = [google_logging_metric.this]
}

# Nothing is written where no line matches, so what is missed is the metric itself.
resource "google_monitoring_alert_policy" "no_tick" {
  count = var.alerts.enabled ? 1 : 0

  project               = var.project
  display_name          = "${var.name}-no-tick"
  combiner              = "OR"
  user_labels           = var.labels
  notification_channels = var.alerts.notification_channels

  documentation {
    content   = "No tick was finished for five minutes, so nothing scheduled starts: look at the job ${google_cloud_scheduler_job.tick.name} of Cloud Scheduler and the function ${var.name}-dispatch."
    mime_type = "text/markdown"
  }

  conditions {
    display_name = "no-tick"

    condition_absent {
      filter   = "metric.type=\"logging.googleapis.com/user/${google_logging_metric.this["ticks"].name}\" AND resource.type=\"cloud_run_revision\""
      duration = "300s"

      aggregations {
        alignment_period     = "60s"
        per_series_aligner   = "ALIGN_DELTA"
        cross_series_reducer = "REDUCE_SUM"
      }
    }
  }
}
