locals {
  # Known before the database is there; that everything else waits for it is said below.
  database = coalesce(var.database.name, var.name)

  # As adapters/stores/firestore/layout.py declares them: the fields of each composite index, in order.
  indexes = {
    "runs/due_in,due_at"                  = { due_in = "ASCENDING", due_at = "ASCENDING" }
    "runs/parked_in,deployment_id,due_at" = { parked_in = "ASCENDING", deployment_id = "ASCENDING", due_at = "ASCENDING" }
    "runs/deployment,scheduled_time"      = { deployment = "ASCENDING", scheduled_time = "DESCENDING" }
    "runs/pool,scheduled_time"            = { pool = "ASCENDING", scheduled_time = "DESCENDING" }
    "runs/queue,scheduled_time"           = { queue = "ASCENDING", scheduled_time = "DESCENDING" }
    "runs/type,scheduled_time"            = { type = "ASCENDING", scheduled_time = "DESCENDING" }
    "runs/name,scheduled_time"            = { name = "ASCENDING", scheduled_time = "DESCENDING" }
    "runs/tags,scheduled_time"            = { tags = "CONTAINS", scheduled_time = "DESCENDING" }
    "owed/pool,due_at"                    = { pool = "ASCENDING", due_at = "ASCENDING" }
    "records/kind,key"                    = { kind = "ASCENDING", key = "ASCENDING" }
    "records/kind,parent,key"             = { kind = "ASCENDING", parent = "ASCENDING", key = "ASCENDING" }
  }

  # The single fields that have an index of their own. All others of these collections, `*`, have none.
  single_fields = {
    "runs/*"              = []
    "runs/scheduled_time" = ["DESCENDING"]
    "runs/expires_at"     = ["ASCENDING"]
    "requests/*"          = []
    "slots/*"             = []
    "keys/*"              = []
    "keys/expires_at"     = ["ASCENDING"]
    "records/*"           = []
    "cursors/*"           = []
    "cursors/next_at"     = ["ASCENDING"]
    "owed/*"              = []
    "budgets/*"           = []
    "meta/*"              = []
  }
}

resource "google_firestore_database" "this" {
  count = var.database.make ? 1 : 0

  project                           = var.project
  name                              = local.database
  location_id                       = coalesce(var.database.location, var.region)
  type                              = "FIRESTORE_NATIVE"
  concurrency_mode                  = "OPTIMISTIC"
  app_engine_integration_mode       = "DISABLED"
  delete_protection_state           = var.database.deletion_protection ? "DELETE_PROTECTION_ENABLED" : "DELETE_PROTECTION_DISABLED"
  point_in_time_recovery_enablement = var.database.point_in_time_recovery ? "POINT_IN_TIME_RECOVERY_ENABLED" : "POINT_IN_TIME_RECOVERY_DISABLED"
  deletion_policy                   = "DELETE" # otherwise destroying would forget it and leave it there

  dynamic "cmek_config" {
    for_each = compact([var.kms_key])

    content {
      kms_key_name = cmek_config.value
    }
  }

  depends_on = [google_project_service.this]
}

resource "google_firestore_index" "this" {
  for_each = local.indexes

  project     = var.project
  database    = local.database
  collection  = split("/", each.key)[0]
  query_scope = "COLLECTION"

  # A map would lose the order, which the key keeps.
  dynamic "fields" {
    for_each = split(",", split("/", each.key)[1])

    content {
      field_path   = fields.value
      order        = each.value[fields.value] == "CONTAINS" ? null : each.value[fields.value]
      array_config = each.value[fields.value] == "CONTAINS" ? "CONTAINS" : null
    }
  }

  depends_on = [google_firestore_database.this]
}

resource "google_firestore_field" "this" {
  for_each = local.single_fields

  project    = var.project
  database   = local.database
  collection = split("/", each.key)[0]
  field      = split("/", each.key)[1]

  index_config {
    dynamic "indexes" {
      for_each = each.value

      content {
        order       = indexes.value
        query_scope = "COLLECTION"
      }
    }
  }

  depends_on = [google_firestore_database.this]
}
