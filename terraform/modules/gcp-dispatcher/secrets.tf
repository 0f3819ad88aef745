locals {
  token_keys        = "${var.name}-token-keys"
  modal_token       = "${var.name}-modal-token"
  job_secret_prefix = "${var.name}-secrets-"
}

ephemeral "random_password" "token_key" {
  count = var.make_token_keys ? 1 : 0

  length  = 64
  special = false
}

# Read only to put a new key before the old ones.
ephemeral "google_secret_manager_secret_version" "token_keys" {
  count = var.make_token_keys && var.token_keys_version > 1 ? 1 : 0

  project = var.project
  secret  = google_secret_manager_secret.token_keys[0].secret_id
  version = "latest"
}

locals {
  new_token_keys  = [for made in ephemeral.random_password.token_key : "k${var.token_keys_version}:${made.result}"]
  old_token_keys  = flatten([for old in ephemeral.google_secret_manager_secret_version.token_keys : split(",", old.secret_data)])
  kept_token_keys = slice(local.old_token_keys, 0, min(2, length(local.old_token_keys)))
}

resource "google_secret_manager_secret" "token_keys" {
  count = var.make_token_keys ? 1 : 0

  project   = var.project
  secret_id = local.token_keys
  labels    = var.labels

  replication {
    user_managed {
      replicas {
        location = var.region

        dynamic "customer_managed_encryption" {
          for_each = compact([var.kms_key])

          content {
            kms_key_name = customer_managed_encryption.value
          }
        }
      }
    }
  }

  depends_on = [google_project_service.this]
}

# The value is write-only: neither state nor plan has it.
resource "google_secret_manager_secret_version" "token_keys" {
  count = var.make_token_keys ? 1 : 0

  secret                 = google_secret_manager_secret.token_keys[0].id
  secret_data_wo         = var.token_keys != null ? var.token_keys : join(",", concat(local.new_token_keys, local.kept_token_keys))
  secret_data_wo_version = var.token_keys_version

  # A version cannot be changed: the new one is there, made of the old one, before that is destroyed.
  lifecycle {
    create_before_destroy = true
  }
}

resource "google_secret_manager_secret" "modal_token" {
  count = var.make_modal_token ? 1 : 0

  project   = var.project
  secret_id = local.modal_token
  labels    = var.labels

  replication {
    user_managed {
      replicas {
        location = var.region

        dynamic "customer_managed_encryption" {
          for_each = compact([var.kms_key])

          content {
            kms_key_name = customer_managed_encryption.value
          }
        }
      }
    }
  }

  depends_on = [google_project_service.this]
}

resource "google_secret_manager_secret_version" "modal_token" {
  count = var.make_modal_token && var.modal_token_version > 0 ? 1 : 0

  secret                 = google_secret_manager_secret.modal_token[0].id
  secret_data_wo         = jsonencode(var.modal_token)
  secret_data_wo_version = var.modal_token_version

  lifecycle {
    create_before_destroy = true
  }
}
