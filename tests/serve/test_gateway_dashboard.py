"""docs/grafana.json asks for nothing that the gateway does not tell."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

DASHBOARD = Path(__file__).parents[2] / "docs" / "grafana.json"
_SERIES = re.compile(r"seedcoder_serve_\w+")


@pytest.mark.slow
def test_every_series_of_the_dashboard_is_told_and_every_one_told_is_shown(
    gateway_kit: Any, tmp_path: Path
) -> None:
    board = json.loads(DASHBOARD.read_text())
    asked = {
        name
        for panel in board["panels"]
        for target in panel.get("targets", ())
        for name in _SERIES.findall(target["expr"])
    }
    with gateway_kit.gateway(tmp_path, {"talker": {"tokens_per_s": 200}}) as up:
        up.events("/v1/completions", model="talker", prompt="a", max_tokens=5)
        lines = up.client.get("/metrics").text.splitlines()
    kinds = dict(line.split()[2:4] for line in lines if line.startswith("# TYPE"))
    told = set()
    for name, kind in kinds.items():
        if name.startswith("seedcoder_serve_") and not name.endswith("_created"):
            told.add(f"{name}_bucket" if kind == "histogram" else name)
    assert asked <= told
    assert told - asked == {"seedcoder_serve_http_open"}  # of all models together: no panel


def test_panels_do_not_lie_upon_each_other() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        place = panel["gridPos"]
        cells = {
            (place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])
        }
        assert place["x"] + place["w"] <= 24 and not cells & taken, panel["title"]
        taken |= cells
