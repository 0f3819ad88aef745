"""The modules by themselves: nothing here needs an account."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dispatcher.testing.terraform import (
    AWS_TO_OTHERS,
    AZURE_MODULE,
    EXAMPLE,
    GOOGLE_EXAMPLE,
    GOOGLE_TO_OTHERS,
    MODULES,
    Terraform,
)

AWS_MODULES = ["modules/aws-dispatcher", "modules/aws-ecs-pool"]
GOOGLE_MODULES = ["modules/gcp-dispatcher", "modules/gcp-cloud-run-pool"]
ALL_MODULES = [*AWS_MODULES, *GOOGLE_MODULES, AZURE_MODULE]
EXAMPLES = [EXAMPLE, GOOGLE_EXAMPLE, AWS_TO_OTHERS, GOOGLE_TO_OTHERS]
DOCUMENTED = [*ALL_MODULES, *EXAMPLES]


def test_every_file_is_formatted(terraform: Terraform) -> None:
    unformatted = terraform(".", "fmt", "-check", "-recursive", "-diff")

    assert unformatted == ""


def test_the_example_and_the_modules_that_it_uses_are_valid(terraform: Terraform) -> None:
    said = terraform(EXAMPLE, "validate", "-no-color")

    assert "Success!" in said
    assert "Warning" not in said


def test_the_example_on_google_cloud_and_its_modules_are_valid(google: Terraform) -> None:
    said = google(GOOGLE_EXAMPLE, "validate", "-no-color")

    assert "Success!" in said
    assert "Warning" not in said


@pytest.mark.parametrize("module", AWS_MODULES)
def test_the_modules_own_tests_pass(module: str, terraform: Terraform) -> None:
    _pass_their_own_tests(module, terraform)


@pytest.mark.parametrize("module", GOOGLE_MODULES)
def test_the_modules_for_google_cloud_pass_their_own_tests(module: str, google: Terraform) -> None:
    _pass_their_own_tests(module, google)


def test_the_module_for_azure_passes_its_own_tests(azure: Terraform) -> None:
    _pass_their_own_tests(AZURE_MODULE, azure)


def _pass_their_own_tests(module: str, terraform: Terraform) -> None:
    terraform.init(module)

    said = terraform(module, "test", "-no-color")

    assert re.search(r"Success! [1-9]\d* passed, 0 failed", said)


@pytest.mark.parametrize("folder", ALL_MODULES)
def test_a_module_configures_no_provider(folder: str) -> None:
    texts = [path.read_text(encoding="utf-8") for path in (MODULES / folder).glob("*.tf")]

    assert texts
    assert not [text for text in texts if re.search(r"^provider ", text, re.MULTILINE)]


@pytest.mark.parametrize("folder", DOCUMENTED)
@pytest.mark.parametrize("kind", ["variable", "output"])
def test_the_readme_has_a_row_for_each(kind: str, folder: str) -> None:
    declared = _declared(MODULES / folder, kind)
    heading = {"variable": "Inputs", "output": "Outputs"}[kind]

    assert _rows(MODULES / folder / "README.md", heading) == declared


@pytest.mark.parametrize("folder", DOCUMENTED)
def test_the_readme_says_of_each_input_whether_it_must_be_given(folder: str) -> None:
    required = {
        name
        for name, block in _blocks(MODULES / folder, "variable").items()
        if not re.search(r"^  default +=", block, re.MULTILINE)
    }
    readme = (MODULES / folder / "README.md").read_text(encoding="utf-8")

    assert set(re.findall(r"^\| `(\w+)` \|.*\| required \|", readme, re.MULTILINE)) == required


def test_every_variable_is_typed_and_described_and_every_output_described() -> None:
    blocks = {
        f"{folder} {name}": block
        for folder in DOCUMENTED
        for kind in ("variable", "output")
        for name, block in _blocks(MODULES / folder, kind).items()
    }

    assert not [name for name, block in blocks.items() if not re.search(r"^  description += ", block, re.MULTILINE)]
    typed = {name for name, block in blocks.items() if re.search(r"^  type +=", block, re.MULTILINE)}
    assert typed == {name for name, block in blocks.items() if block.startswith("variable")}


@pytest.mark.parametrize("folder", EXAMPLES)
def test_the_settings_that_ship_name_inputs_of_the_example_alone(folder: str) -> None:
    example = (MODULES / folder / "terraform.tfvars.example").read_text(encoding="utf-8")
    named = set(re.findall(r"^(?:# )?(\w+) += ", example, re.MULTILINE))

    assert "region" in named
    assert named <= set(_declared(MODULES / folder, "variable"))


def _blocks(folder: Path, kind: str) -> dict[str, str]:
    text = "\n".join(path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.tf")))
    return {match[1]: match[0] for match in re.finditer(rf'^{kind} "(\w+)" {{\n.*?^}}', text, re.MULTILINE | re.DOTALL)}


def _declared(folder: Path, kind: str) -> list[str]:
    return list(_blocks(folder, kind))


def _rows(readme: Path, heading: str) -> list[str]:
    section = readme.read_text(encoding="utf-8").partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)
