"""For tests of pushpool and of whatever is built on its seams: conformance suites, fakes and builders."""
