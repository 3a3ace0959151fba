"""Prefect's form of a deployment: short questions first, and the configuration as a file name."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from headless import chromium, new_context
from nightly_models import prepare
from prefect_site import Serving, end_tree

TALLEST_PX = 1200
"""The form had 9,456 pixels when it showed every key of the configuration."""


def schemas() -> dict[str, dict[str, Any]]:
    """The parameters of every deployment in the order of the form."""
    from nerbench.flows.serve import deployments

    return {
        one.full_name: dict(sorted(schema.properties.items(), key=lambda item: item[1]["position"]))
        for one in deployments({"config": "/served.yaml"})
        if (schema := one._parameter_openapi_schema) and one.parameters["config"] == "/served.yaml"
    }


def test_short_questions_come_first_and_the_configuration_is_a_file_name() -> None:
    found = schemas()
    assert list(found["benchmark/on-demand"]) == ["models", "refresh", "config"]
    assert list(found["publish/on-demand"]) == ["model", "to", "visibility", "message", "config"]
    for properties in found.values():
        config = properties["config"]
        assert list(properties)[-1] == "config"
        assert [one.get("title") or one["$ref"] for one in config["anyOf"]] == [
            "file",
            "#/definitions/Config",
            "default",
        ]
        assert config["default"] == "nerbench.yaml", "the form selects what the default matches"


def test_calls_from_python_keep_their_order() -> None:
    from nerbench.flows.benchmark import benchmark

    assert benchmark.fn.__code__.co_varnames[:3] == ("config", "models", "refresh")
    assert list(benchmark.parameters.properties) == ["models", "refresh", "config"]


def test_the_parameters_of_a_flow_are_those_that_prefect_generates() -> None:
    from prefect.utilities.callables import parameter_schema

    from nerbench.flows.benchmark import benchmark
    from nerbench.flows.publish import publish

    for flow in (benchmark, publish):
        assert flow.parameters.model_dump_json() == parameter_schema(flow).model_dump_json()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Serving]:
    prepare(tmp_path)
    one = Serving(tmp_path)
    yield one
    end_tree(one.process)


@pytest.mark.slow
@pytest.mark.e2e
@pytest.mark.browser
def test_the_form_fits_on_a_screen(served: Serving) -> None:
    served.await_welcome()
    with served.client() as client:
        deployment = client.read_deployment_by_name("benchmark/on-demand")
    with chromium() as browser:
        page = new_context(browser, viewport={"width": 1280, "height": 900}).new_page()
        page.goto(served.link)
        page.get_by_text("Logout").first.wait_for()
        page.goto(f"{served.origin}/deployments/deployment/{deployment.id}/run")
        labels = [page.get_by_text(f"{name} (Optional)").first for name in ("models", "refresh", "config")]
        labels[-1].wait_for()
        assert page.locator("textarea").input_value() == deployment.parameters["config"]
        height = page.evaluate("Math.max(...[...document.querySelectorAll('*')].map(one => one.scrollHeight))")
        tops = [box["y"] for label in labels if (box := label.bounding_box())]
    assert height < TALLEST_PX
    assert len(tops) == len(labels)
    assert tops == sorted(tops)
