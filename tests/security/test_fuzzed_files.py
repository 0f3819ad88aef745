"""Whatever a file says: what it describes, or problems with their places."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatcher import files
from dispatcher.located import FileProblems

Json = dict[str, Any]

TEXT = """
x-defaults: &defaults {pool: local, command: [echo, hello]}
work_pools:
  local:
    type: process
    concurrency_limit: 4
    variables: {env: {A: "1"}}
    queues:
      high: {priority: 1, concurrency_limit: 2}
deployments:
  nightly:
    <<: *defaults
    queue: high
    schedules: [{slug: night, cron: "0 3 * * *"}, {interval: 60}, {rrule: FREQ=DAILY}]
    tags: [a, b]
  adhoc: {pool: local, command: "true", retries: 2}
"""
DOCUMENT: Json = {
    "work_pools": {
        "local": {
            "type": "process",
            "variables": {"env": {"A": "1"}},
            "queues": {"high": {"priority": 1, "concurrency_limit": 2}},
            "base_job_template": {
                "job_configuration": {"command": "{{ command }}", "env": "{{ env }}"},
                "variables": {"type": "object", "properties": {"command": {"default": "x"}, "env": {"type": "object"}}},
            },
        }
    },
    "deployments": {
        "nightly": {
            "pool": "local",
            "job_variables": {"command": "true"},
            "parameter_schema": {"properties": {"day": {"type": "integer"}}},
            "schedules": [{"cron": "0 3 * * *"}],
            "webhooks": [{"url": "https://hooks.example/x", "on": ["failed"]}],
        }
    },
}
TOO_MUCH = {
    "aliases that multiply": "a: &a [x, x]\n" + "".join(f"{c}: &{c} [{p}, {p}]\n" for p, c in zip(
        [f"*{n}" for n in "abcdefghijklmnopqrstuvwx"], "bcdefghijklmnopqrstuvwxy", strict=True)),
    "an alias of itself": "a: &a [*a]",
    "nesting without end": "[" * 100_000,
    "mappings without end": "a: " + "{a: " * 50_000,
    "an object of Python": "a: !!python/object/apply:os.system [id]",
    "a tag of its own": "a: !include /etc/passwd",
    "keys that are lists": "? [a, b]\n: c",
    "a key that stands twice": "deployments: {}\ndeployments: {}",
    "numbers without end": "a: " + "9" * 10_000,
    "a hexadecimal one": "a: 0x" + "f" * 10_000,
    "no numbers": "a: .nan\nb: .inf",
    "two documents": "a: 1\n---\nb: 2",
    "a byte that is none": "a: \x00",
    "a directive": "%YAML 9.9\n---\na: 1",
    "a merge of what is none": "<<: 3",
    "a time": "a: 2026-01-01",
    "bytes": "a: !!binary aGk=",
}  # fmt: skip


def read(folder: Path, text: str | bytes, name: str = "pushpool.yaml") -> files.PushpoolFile | FileProblems:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode(errors="surrogatepass"))
    try:
        return files.read(path)
    except FileProblems as problems:
        return problems


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("files")


def test_both_files_as_they_are_are_read(folder: Path) -> None:
    """Else what follows would try what is refused at the first line."""
    assert isinstance(read(folder, TEXT), files.PushpoolFile)
    assert isinstance(read(folder, json.dumps(DOCUMENT), "pushpool.json"), files.PushpoolFile)


@pytest.mark.parametrize("name", TOO_MUCH)
def test_what_would_be_too_much_is_a_problem(name: str, folder: Path) -> None:
    problems = read(folder, TOO_MUCH[name])

    assert isinstance(problems, FileProblems)
    assert str(folder / "pushpool.yaml:") in str(problems)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 400_000,
        '{"a":' * 150_000,
        '{"work_pools": {"p": {"type": "process", "variables": {"env": ' + '{"a":' * 500 + "1" + "}" * 504,
        "9" * 10_000,
        '{"a": NaN}',
        '"\\ud800"',
        '{"a":1,"a":2}',
        "",
    ],
)
def test_json_that_would_be_too_much_is_a_problem(text: str, folder: Path) -> None:
    assert isinstance(read(folder, text, "pushpool.json"), FileProblems)


MARKS = st.sampled_from(
    ["&a ", "*a", "<<: ", "!!str ", "!x ", "- ", "? ", ": ", "{", "}", "[", "]", "|\n", ">-\n", "#", '"', "'", "\t",
     "%", "@", "`", "\x00", "\x85", "\u2028", "\ufeff", "---\n", "...\n", "0o7", "1_0", "~", "null", "yes", ".inf", "=",
     "\n  "]
)  # fmt: skip


@settings(max_examples=250)
@given(at=st.integers(0, len(TEXT)), text=MARKS | st.text(max_size=8), cut=st.integers(0, 12))
def test_a_file_may_be_spoilt_anywhere(at: int, text: str, cut: int, folder: Path) -> None:
    read(folder, TEXT[:at] + text + TEXT[at + cut :])


@settings(max_examples=100)
@given(text=st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode(errors="surrogatepass")))
def test_a_file_may_be_no_yaml(text: bytes, folder: Path) -> None:
    read(folder, text)


@settings(max_examples=200)
@given(data=st.data())
def test_each_part_of_a_file_may_be_anything(
    folder: Path, mutated: Callable[[Any], st.SearchStrategy[Any]], data: st.DataObject
) -> None:
    read(folder, json.dumps(data.draw(mutated(DOCUMENT))), "pushpool.json")
