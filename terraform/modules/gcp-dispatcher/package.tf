# What the functions are built of, and by whom.
resource "google_storage_bucket" "source" {
  project                     = var.project
  name                        = "${replace(var.project, "/[.:]/", "-")}-${var.name}-functions" # a dot would want proof of a domain
  location                    = var.region
  labels                      = var.labels
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = true # packages can be built again

  versioning {
    enabled = true
  }

  lifecycle_rule {
    condition {
      days_since_noncurrent_time = 30
    }

    action {
      type = "Delete"
    }
  }

  dynamic "encryption" {
    for_each = compact([var.kms_key])

    content {
      default_kms_key_name = encryption.value
    }
  }

  depends_on = [google_project_service.this]
}

# Named by its content, so that another package is another source.
resource "google_storage_bucket_object" "package" {
  bucket = google_storage_bucket.source.name
  name   = "pushpool-gcp-${substr(filesha256(var.package), 0, 24)}.zip"
  source = var.package
}

resource "google_service_account" "build" {
  project      = var.project
  account_id   = "${var.name}-build"
  display_name = "pushpool: builds the functions"

  depends_on = [google_project_service.this]
}

# Cloud Run functions documentation, "Custom service account for Cloud Build": these three. What it reads are copies of the
# package in a bucket that the service makes.
resource "google_project_iam_member" "build" {
  for_each = {
    logs    = { role = "roles/logging.logWriter", buckets = false }
    images  = { role = "roles/artifactregistry.writer", buckets = false }
    sources = { role = "roles/storage.objectViewer", buckets = true }
  }

  project = var.project
  role    = each.value.role
  member  = google_service_account.build.member

  dynamic "condition" {
    for_each = each.value.buckets ? [google_storage_bucket.source.name] : []

    content {
      title      = "sources of functions"
      expression = "resource.name.startsWith(\"projects/_/buckets/gcf-v2-sources-${local.number}-\") || resource.name.startsWith(\"projects/_/buckets/${condition.value}/\")"
    }
  }
}
