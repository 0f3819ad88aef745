terraform {
  # As the other modules; this one needs nothing newer than 1.9.
  required_version = "~> 1.11"

  required_providers {
    azurerm = {
      source  = "hashicorp/azurerm"
      version = "~> 4.55"
    }
  }
}
