"""`pushpool.yaml`: what it may hold, and that every mistake is told with its place, its value and the way out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from dispatcher import files
from dispatcher.errors import InvalidInput
from dispatcher.files import PushpoolFile
from dispatcher.forms import WorkPoolForm, WorkQueueForm
from dispatcher.located import FileProblems

ROOT = Path(__file__).parents[2]
POOL = "work_pools: {local: {type: process}}\n"


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def write(text: str | bytes, name: str = "pushpool.yaml") -> Path:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else dedent(text).encode())
        return path

    return write


@pytest.fixture
def read(write: Callable[..., Path]) -> Callable[..., PushpoolFile]:
    def read(text: str | bytes, **options: object) -> PushpoolFile:
        return files.read(write(text), **options)  # type: ignore[arg-type]

    return read


@pytest.fixture
def told(read: Callable[..., PushpoolFile]) -> Callable[..., list[str]]:
    """The problems of a file, without its folder."""

    def told(text: str | bytes, **options: object) -> list[str]:
        with pytest.raises(FileProblems) as caught:
            read(text, **options)
        return [line[line.index("pushpool.yaml") :] for line in str(caught.value).splitlines()]

    return told


def test_pools_queues_and_deployments_become_forms(read: Callable[..., PushpoolFile]) -> None:
    """What is left out has its form's default; a queue of which nothing is said is one."""
    found = read("""
        $schema: pushpool.schema.json
        work_pools:
          local:
            type: process
            concurrency_limit: 3
            queues:
              high: {priority: 1}
              low:
        deployments:
          nightly: {pool: local, queue: high, command: "true", retries: 2}
        """)

    assert found.pools == {"local": WorkPoolForm(type="process", concurrency_limit=3)}
    assert found.queues == {("local", "high"): WorkQueueForm(priority=1), ("local", "low"): WorkQueueForm()}
    assert found.deployments["nightly"].retries == 2
    assert found.deployments["nightly"].paused is None


def test_text_that_looks_like_a_date_or_yes_stays_text(read: Callable[..., PushpoolFile]) -> None:
    """YAML 1.2: only true and false are booleans, and JSON has no dates."""
    found = read(
        POOL + "deployments: {d: {pool: local, parameters: {day: 2026-01-31, on: yes, off: no, n: 0o17, t: true}}}"
    )

    assert found.deployments["d"].parameters == {"day": "2026-01-31", "on": "yes", "off": "no", "n": 15, "t": True}


def test_anchors_and_merge_keys_are_written_out(read: Callable[..., PushpoolFile]) -> None:
    """Keys of one's own win over merged ones; `x-` keys at the top are left alone."""
    found = read("""
        x-shared: &shared {pool: local, retries: 3, tags: [a]}
        work_pools: {local: {type: process}}
        deployments:
          one: {<<: *shared, tags: [b]}
          two: *shared
        """)

    assert found.deployments["one"].retries == 3
    assert found.deployments["one"].tags == ["b"]
    assert found.deployments["two"].tags == ["a"]


@pytest.mark.parametrize("name", ["template.json", "template.yaml"])
def test_a_template_may_stand_in_a_file_beside_it(
    read: Callable[..., PushpoolFile], write: Callable[..., Path], name: str
) -> None:
    """The path is relative to the file that names it."""
    template = {"job_configuration": {"command": "{{ command }}"}, "variables": {"properties": {"command": {}}}}
    write(json.dumps(template), name)

    found = read(f"work_pools: {{local: {{type: process, base_job_template: {{file: {name}}}}}}}")

    assert found.pools["local"].base_job_template == template


def test_the_example_is_well() -> None:
    """What `make demo` applies can be read."""
    assert files.read(ROOT / "examples" / "pushpool.yaml").deployments


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "pushpool.yaml:1:1: is empty; it needs work_pools or deployments"),
        ("# nothing\n", "pushpool.yaml:1:1: is empty; it needs work_pools or deployments"),
        ("- a\n", "pushpool.yaml:1:1: is no mapping; it needs work_pools or deployments"),
        ("a: 1\n\tb: 2\n", "pushpool.yaml:2:1: a tab stands where YAML wants spaces; replace it by spaces"),
        ("a: [1, 2\n", "pushpool.yaml:2:1: is not YAML: expected ',' or ']'"),
        ("a: *nobody\n", "pushpool.yaml:1:4: found undefined alias 'nobody'; an anchor (&name) must stand before it"),
        ("a: 1\n---\nb: 2\n", "pushpool.yaml:2:1: a second document begins here; keep one in a file"),
        ("a: " + "[" * 80 + "]" * 80, "pushpool.yaml:1:63: is nested more than 60 deep; flatten it"),
        (b"a: caf\xe9\n", "pushpool.yaml:1:7: the byte 0xe9 is not UTF-8; save the file as UTF-8"),
        ("a: b\n".encode("utf-16"), "pushpool.yaml:1:1: is UTF-16; save it as UTF-8"),
        (b"a: \x07\n", "pushpool.yaml:1:4: a character that YAML does not allow; remove it"),
        (b'a: "\\UFFFFFFFF"\n', "pushpool.yaml:1:1: is not YAML:"),
        (b"#" * 1_100_000, "pushpool.yaml:1:1: has more than 1048576 bytes; split it"),
    ],
)
def test_what_is_no_file_of_ours_is_told_with_its_place(
    told: Callable[..., list[str]], text: str | bytes, expected: str
) -> None:
    """One line: where, what, and the way out."""
    problems = told(text)

    assert len(problems) == 1
    assert problems[0].startswith(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\na: 2\n", "2:1: the key 'a' stands here a second time, first in line 1; keep one"),
        ("a: &a {b: *a}\n", "1:4: the anchor &a contains itself; write out what you mean"),
        ("a: &a\n  <<: *a\n", "1:4: the anchor &a contains itself; write out what you mean"),
        ("a: {<<: 3}\n", "1:9: `<<` takes a mapping, or a list of them; give it an alias of one"),
        ("1: a\n", "1:1: the key '1' reads as a number; put it in quotes"),
        ("a: .inf\n", "1:4: '.inf' is no number or truth value that JSON has; put it in quotes"),
        ("a: !!python/object:os.system x\n", "1:4: the tag !!python/object:os.system is not taken"),
        ("a: !secret x\n", "1:4: the tag !secret is not taken"),
    ],
)
def test_what_json_does_not_have_is_refused(told: Callable[..., list[str]], text: str, expected: str) -> None:
    """Duplicate keys, circular anchors, tags, infinities."""
    assert told(text)[0].startswith(f"pushpool.yaml:{expected}")


def test_aliases_that_multiply_are_bounded(told: Callable[..., list[str]]) -> None:
    """Eight lines that would be a hundred million values are given up at a hundred thousand."""
    lines = ["a: &a [x,x,x,x,x,x,x,x,x,x]"]
    lines += [
        f"{key}: &{key} [{','.join([f'*{before}'] * 10)}]" for before, key in zip("abcdefg", "bcdefgh", strict=True)
    ]

    problems = told("\n".join(lines))

    assert problems == ["pushpool.yaml:1:1: has more than 100,000 values once its aliases are written out; use fewer"]


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    """So that nobody has to guess which file was meant."""
    with pytest.raises(FileProblems, match=r"nowhere\.yaml:1:1: there is no such file; name another one"):
        files.read(tmp_path / "nowhere.yaml")
    with pytest.raises(FileProblems, match=r":1:1: cannot be read: Is a directory"):
        files.read(tmp_path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("pools: {}\n", "1:1: the key 'pools' is unknown; there are: $schema, deployments, work_pools"),
        ("deployment: {}\n", "1:1: the key 'deployment' is unknown; did you mean 'deployments'?"),
        ("work_pools: 3\n", "1:13: work_pools is 3; it must be a mapping"),
        ("work_pools: {local: }\n", "1:14: work pool 'local': it is nothing; it must be a mapping"),
        ("work_pools: {local: {}}\n", "1:14: work pool 'local': type is missing"),
        (
            "work_pools: {a b: {type: process}}\n",
            "1:14: work pool 'a b': the name is 'a b'; it must be letters, digits, `.`, `-` and `_`",
        ),
        (
            "work_pools:\n  local:\n    type: process\n    concurency_limit: 3\n",
            "4:5: work pool 'local': the key 'concurency_limit' is unknown; did you mean 'concurrency_limit'?",
        ),
        (
            "work_pools: {local: {type: process, concurrency_limit: lots}}\n",
            "1:56: work pool 'local': concurrency_limit is 'lots'; it must be a whole number",
        ),
        (
            "work_pools: {local: {type: process, paused: yes}}\n",
            "1:45: work pool 'local': paused is 'yes'; it must be true or false",
        ),
        (
            "work_pools: {local: {type: process, queues: {q: {priority: 0}}}}\n",
            "1:60: work queue 'q' of 'local': priority is 0; it must be at least 1",
        ),
        (POOL + "deployments: {d: {}}\n", "2:15: deployment 'd': pool is missing"),
        (
            POOL + "deployments: {d: {pool: local, command: 5}}\n",
            "2:41: deployment 'd': command is 5; it must be text or a list",
        ),
        (
            POOL + "deployments: {d: {pool: local, command: [a, 5]}}\n",
            "2:45: deployment 'd': command.1 is 5; it must be text",
        ),
        (
            POOL + "deployments: {d: {pool: local, command: a, entrypoint: b}}\n",
            "2:15: deployment 'd': give either entrypoint or command, not both",
        ),
        (
            POOL + "deployments: {d: {pool: local, on_unknown: explode}}\n",
            "2:44: deployment 'd': on_unknown is 'explode'; it must be one of 'crash' or 'retry'",
        ),
        (
            POOL + "deployments: {d: {pool: local, webhooks: [{url: 'https://e.org', on: [failed], secret: hush}]}}\n",
            "2:88: deployment 'd': webhooks.0.secret is not shown; it must be at least 8 characters long",
        ),
    ],
)
def test_what_a_form_does_not_take_is_told_with_its_place(
    told: Callable[..., list[str]], text: str, expected: str
) -> None:
    """The thing, the value and the way out; a secret's value never."""
    assert told(text)[0].startswith(f"pushpool.yaml:{expected}")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("work_pools: {local: {type: proces}}\n", "1:22: work pool 'local': pool type 'proces' is unknown"),
        (
            "work_pools: {local: {type: process, queues: {a: {priority: 2}, b: {priority: 2}}}}\n",
            "1:68: work queue 'b' of 'local': priority 2 is that of queue 'a' too; give each its own",
        ),
        (
            POOL + "deployments: {d: {pool: loca}}\n",
            "2:19: deployment 'd': work pool 'loca' is neither in this file nor on the server; did you mean 'local'?",
        ),
        (
            POOL + "deployments: {d: {pool: local, schedules: [{cron: '0 0 30 2 *'}]}}\n",
            "2:45: deployment 'd': cron '0 0 30 2 *' never fires",
        ),
        (
            POOL + "deployments: {d: {pool: local, schedules: [{cron: '* * * * *', timezone: Mars/Olympus}]}}\n",
            "2:64: deployment 'd': timezone 'Mars/Olympus' is unknown",
        ),
        (
            POOL + "deployments: {d: {pool: local, schedules: [{interval: 5, slug: a}, {interval: 6, slug: a}]}}\n",
            "2:82: deployment 'd': the slug 'a' is that of an earlier schedule too; give each its own",
        ),
        (
            POOL + "deployments: {d: {pool: local, schedules: [{timezone: UTC}]}}\n",
            "2:44: deployment 'd': a schedule is one of cron, interval and rrule; it has none of them",
        ),
        (
            POOL + "deployments: {d: {pool: local, webhooks: [{url: 'http://e.org', on: [failed]}]}}\n",
            "2:44: deployment 'd': webhook 'http://e.org': use https://host/",
        ),
        (
            POOL
            + "deployments: {d: {pool: local, parameters: {n: x},"
            + " parameter_schema: {properties: {n: {type: number}}}}}",
            "2:45: deployment 'd': parameter 'n'",
        ),
    ],
)
def test_what_would_be_refused_is_told_before_anything_is_sent(
    told: Callable[..., list[str]], text: str, expected: str
) -> None:
    """At the key that has to be changed."""
    problems = told(text)

    assert len(problems) == 1
    assert problems[0].startswith(f"pushpool.yaml:{expected}")


def test_a_placeholder_that_nobody_declared_is_told_where_it_stands(told: Callable[..., list[str]]) -> None:
    """The template's own path leads to the line."""
    problems = told("""\
        work_pools:
          local:
            type: process
            base_job_template:
              job_configuration:
                command: "{{ comand }}"
              variables: {properties: {command: {type: string}}}
        """)

    assert len(problems) == 1
    assert problems[0].startswith("pushpool.yaml:6:9: work pool 'local': ")
    assert "comand" in problems[0]


def test_a_locked_variable_that_a_deployment_overrides_is_told_at_the_override(told: Callable[..., list[str]]) -> None:
    """The platform team's value stands."""
    problems = told("""\
        work_pools:
          local:
            type: process
            base_job_template:
              job_configuration: {command: "{{ command }}"}
              variables: {properties: {command: {type: string, default: a, x-locked: true}}}
        deployments:
          d:
            pool: local
            job_variables:
              command: b
        """)

    assert len(problems) == 1
    assert problems[0].startswith("pushpool.yaml:11:7: deployment 'd': variable 'command' is locked")


def test_a_pool_that_the_server_knows_may_be_named(read: Callable[..., PushpoolFile]) -> None:
    """And the server is asked only if the file does not have it."""
    found = read("deployments: {d: {pool: there}}", known_pools=lambda: ["there"])

    assert found.deployments["d"].pool == "there"
    read(POOL + "deployments: {d: {pool: local}}", known_pools=lambda: pytest.fail("asked"))


def test_who_checks_types_may_be_the_server(told: Callable[..., list[str]]) -> None:
    """It may know types that are not installed here."""

    def check_type(kind: str) -> None:
        raise InvalidInput(f"no {kind} here", path="type")

    assert told(POOL, check_type=check_type) == ["pushpool.yaml:1:22: work pool 'local': no process here"]


def test_all_problems_of_a_file_are_told_at_once_in_its_order(told: Callable[..., list[str]]) -> None:
    """Of the forms and of what they say together."""
    problems = told("""\
        deployments:
          one: {pool: nowhere}
          two: {pool: local, retries: many}
          three: {pool: local, schedules: [{cron: "* *"}]}
        work_pools:
          local: {type: process, colour: red}
        """)

    lines = [int(problem.split(":")[1]) for problem in problems]
    assert lines == [2, 3, 4, 6]


def test_a_template_file_that_is_wrong_is_told_with_its_own_place(
    write: Callable[..., Path], told: Callable[..., list[str]]
) -> None:
    """And the line that names it is told too."""
    path = write('{"job_configuration": }', "template.json")

    with pytest.raises(FileProblems) as caught:
        files.read(write("work_pools: {local: {type: process, base_job_template: {file: template.json}}}"))

    assert f"{path}:1:23: is not JSON: expecting value" in str(caught.value)
    assert "pushpool.yaml:1:37: work pool 'local': 'template.json' cannot be used" in str(caught.value)
    assert told("work_pools: {local: {type: process, base_job_template: {file: 3}}}")[0].endswith("file must be a path")


def test_an_error_of_the_server_is_told_with_its_place(read: Callable[..., PushpoolFile]) -> None:
    """`problem` follows a dotted path as far as it leads."""
    found = read(POOL + "deployments: {d: {pool: local, job_variables: {env.A: 1}}}")

    error = found.problem(("deployments", "d"), "it is refused", "job_variables.env.A")

    assert str(error).endswith("pushpool.yaml:2:48: deployment 'd': it is refused")


def test_the_published_schema_is_up_to_date() -> None:
    """`pushpool schema > templates/pushpool.schema.json` makes it so."""
    published = (ROOT / "templates" / "pushpool.schema.json").read_text(encoding="utf-8")

    assert json.loads(published) == files.json_schema()


def test_the_schema_takes_the_example_and_refuses_what_a_form_refuses() -> None:
    """Editors and `apply` agree."""
    import jsonschema_rs

    from dispatcher.located import load

    validator = jsonschema_rs.validator_for(files.json_schema())

    assert validator.is_valid(load(ROOT / "examples" / "pushpool.yaml").value)
    assert validator.is_valid({"x-anchors": 1, "work_pools": {"p": {"type": "process", "queues": {"q": None}}}})
    assert not validator.is_valid({"work_pools": {"p": {"type": "process", "colour": "red"}}})
    assert not validator.is_valid({"deployments": {"d": {}}})
