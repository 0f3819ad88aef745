"""The cases of the store suite, by subject; `dispatcher.testing.store_suite` puts them together."""
