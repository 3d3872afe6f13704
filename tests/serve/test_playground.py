"""The playground in a real browser, mounted on a real gateway with a scripted engine behind it."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

pytestmark = pytest.mark.slow
pytest.importorskip("gradio", reason="needs the 'serve' extra")

ROOT = Path(__file__).parents[2]
START_S = 120.0
WAIT_MS = 60_000

LOOP = "```python\nprint('begun', flush=True)\nwhile True:\n    pass\n```"
ANSWERS = {
    "*": "Nothing to say.",
    "greet me": "<think>A name is read.</think>Here:\n\n"
    "```python\nname = input()\nprint(f'Hello, {name}!')\n```",
    "loop": LOOP,
    "long": "word " * 3000,
    "be nasty": '<img src=x onerror="window.nasty=1"> <script>window.nasty=1</script> done',
    "half = len": "return ordered[half]",
}
RECIPE = """
[[models]]
card = "scripted"
engine = "scripted"
options = {{ file = {file}, tokens_per_s = 300.0 }}

[[models]]
card = "second.toml"
engine = "scripted"
options = {{ mode = "echo" }}

[gateway]
port = 0
playground = true
runs_dir = {runs}
{more}

[sandbox]
cpu_s = 1.0
wall_s = 30.0
"""
SECOND = 'name = "second"\nrole = "instruct"\ncontext_tokens = 4096\nchat_template = "tokenizer"\n'


class Gateway:
    """`seedcoder serve up` as a process; `url` is the page's."""

    def __init__(self, folder: Path, more: str = "") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        rows = [json.dumps({"key": key, "text": text}) for key, text in ANSWERS.items()]
        (folder / "answers.jsonl").write_text("\n".join(rows) + "\n")
        (folder / "second.toml").write_text(SECOND)
        write_run(folder / "runs" / "eval-x-1")
        recipe = folder / "page.toml"
        recipe.write_text(
            RECIPE.format(
                file=json.dumps(str(folder / "answers.jsonl")),
                runs=json.dumps(str(folder / "runs")),
                more=more,
            )
        )
        self.log = (folder / "log").open("w+")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "seedcoder", "serve", "up", str(recipe)],
            stdout=subprocess.PIPE, stderr=self.log, text=True, cwd=ROOT,
        )  # fmt: skip
        assert self.process.stdout is not None
        found = re.search(r"http://\S+", self.process.stdout.readline())
        assert found, (folder / "log").read_text()
        self.root = found[0]
        self.url = f"{self.root}/playground"

    def wait_ready(self) -> None:
        """Return once all engines are ready."""
        until_s = time.monotonic() + START_S
        while httpx.get(f"{self.root}/ready").status_code != 200:
            assert time.monotonic() < until_s, httpx.get(f"{self.root}/ready").text
            time.sleep(0.1)

    def close(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)
        self.log.close()


def write_run(folder: Path) -> None:
    folder.mkdir(parents=True)
    manifest = {
        "format": 1, "verb": "eval", "name": "x", "sittings": [{"begun": "2026-01-01"}],
        "recipe": {"bench": "humaneval", "model": "tiny:"},
    }  # fmt: skip
    rows: list[dict[str, Any]] = []
    for n in range(3):
        key = f"HumanEval/{n}"
        rows.append({"kind": "sample", "key": f"{key}#0", "problem": key, "text": f"reply <{n}>"})
        kind = "passed" if n else "wrong"
        verdict = {"kind": kind, "first_failure": {"test": "assert f(1) == 2"} if not n else None}
        rows.append({"kind": "verdict", "key": f"{key}#0", "program": f"{n}", "verdict": verdict})
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    made = Gateway(tmp_path_factory.mktemp("page"))
    made.wait_ready()
    yield made
    made.close()


def opened(browser: Any, gateway: Gateway, *, scheme: str = "light", width: int = 1280) -> Any:
    """Return the page in a window of its own, its models listed; with what it asked for."""
    context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 844})
    page = context.new_page()
    page.set_default_timeout(WAIT_MS)
    page.asked, page.complaints = [], []
    page.on("request", lambda request: page.asked.append(request.url))
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.goto(gateway.url)
    page.wait_for_selector("#pg-message textarea")
    return page


def listed(page: Any) -> Any:
    """Wait until the models are there."""
    page.wait_for_function("() => document.querySelector('.pg-choice input')?.value")
    return page


def send(page: Any, words: str) -> Any:
    """Send a message by keyboard; return the answer's turn once it is whole."""
    before = page.locator("#pg-chat .pg-assistant").count()
    page.fill("#pg-message textarea", words)
    page.press("#pg-message textarea", "Enter")
    turn = page.locator("#pg-chat .pg-assistant").nth(before)
    turn.wait_for()
    page.wait_for_function(
        "at => document.querySelectorAll('#pg-chat .pg-assistant')[at]?.ariaBusy === 'false'",
        arg=before,
    )
    return turn


def test_a_chat_is_sent_its_thought_folded_and_its_block_run_with_stdin(
    browser: Any, gateway: Gateway
) -> None:
    page = listed(opened(browser, gateway))
    turn = send(page, "greet me")
    assert turn.locator(".pg-code code").inner_text().startswith("name = input()")
    assert "Thought for" in turn.locator("summary").inner_text()
    assert not turn.locator(".pg-thought-text").is_visible()
    turn.locator("summary").click()
    assert turn.locator(".pg-thought-text").inner_text() == "A name is read."
    turn.get_by_role("button", name="stdin").click()
    turn.locator(".pg-stdin textarea").fill("Ada")
    turn.get_by_role("button", name="Run", exact=True).click()
    turn.locator(".pg-verdict[data-kind=passed]").wait_for()
    assert turn.locator(".pg-stream pre").inner_text().strip() == "Hello, Ada!"
    assert "MiB" in turn.locator(".pg-figures").inner_text()
    # A second message leaves what was run before as it was.
    send(page, "anything")
    assert turn.locator(".pg-stream pre").inner_text().strip() == "Hello, Ada!"
    hosts = {urlsplit(url).netloc for url in page.asked if not url.startswith(("data:", "blob:"))}
    assert hosts == {urlsplit(gateway.root).netloc}
    assert page.complaints == []


def test_an_endless_loop_is_stopped_by_its_limit(browser: Any, gateway: Gateway) -> None:
    page = listed(opened(browser, gateway))
    turn = send(page, "loop")
    turn.get_by_role("button", name="Run", exact=True).click()
    turn.locator(".pg-verdict[data-kind=timeout]").wait_for()
    assert "out of time" in turn.locator(".pg-chip").inner_text()
    assert turn.locator(".pg-stream pre").inner_text().strip() == "begun"


def test_stop_ends_an_answer_and_keeps_what_was_written(browser: Any, gateway: Gateway) -> None:
    page = listed(opened(browser, gateway))
    page.fill("#pg-message textarea", "long")
    page.press("#pg-message textarea", "Enter")
    page.locator("#pg-chat .pg-assistant .pg-part").wait_for()
    page.locator("#pg-message .stop-button").click()
    page.get_by_text("stopped").wait_for()
    kept = page.locator("#pg-chat .pg-assistant .pg-body").inner_text()
    assert "word word" in kept and len(kept) < len(ANSWERS["long"])
    # It is over on the engine's side too, and the next message is answered.
    assert "Nothing to say." in send(page, "anything").inner_text()


def test_what_a_model_writes_does_nothing_in_the_page(browser: Any, gateway: Gateway) -> None:
    page = listed(opened(browser, gateway))
    assert "done" in send(page, "be nasty").inner_text()
    assert page.evaluate("window.nasty") is None


def test_a_middle_is_proposed_dropped_and_taken_by_keyboard(browser: Any, gateway: Gateway) -> None:
    page = listed(opened(browser, gateway))
    page.get_by_role("tab", name="Complete").click()
    area = page.locator("textarea.pg-input")
    before = area.input_value()
    place = before.index("    \n") + 4
    area.evaluate("(area, at) => { area.focus(); area.setSelectionRange(at, at); }", place)
    page.keyboard.press("Control+Space")
    page.locator(".pg-ghost").wait_for()
    proposed = page.locator(".pg-ghost").inner_text()
    assert proposed.strip() == "return ordered[half]"
    assert area.input_value() == before
    page.keyboard.press("Escape")
    assert page.locator(".pg-ghost").count() == 0 and area.input_value() == before
    page.keyboard.press("Control+Space")
    page.locator(".pg-ghost").wait_for()
    page.keyboard.press("Tab")
    after = before[:place] + proposed + before[place:]
    assert area.input_value().rstrip() == after.rstrip()
    page.keyboard.press("Control+Enter")
    page.locator("#pg-editor .pg-verdict[data-kind=passed]").wait_for()
    assert page.locator("#pg-editor .pg-stream pre").inner_text().strip() == "2"


def test_pasted_asserts_each_get_their_verdict(browser: Any, gateway: Gateway) -> None:
    page = listed(opened(browser, gateway))
    page.get_by_role("tab", name="Tests").click()
    page.locator("#pg-judge").click()
    page.locator(".pg-checks li").first.wait_for()
    kinds = page.locator(".pg-checks li").evaluate_all("all => all.map(one => one.dataset.kind)")
    assert kinds == ["passed", "passed", "wrong", "passed"]


def test_two_models_answer_side_by_side(browser: Any, gateway: Gateway) -> None:
    page = listed(opened(browser, gateway))
    page.get_by_role("tab", name="Compare").click()
    page.fill("#pg-both textarea", "say it twice")
    page.press("#pg-both textarea", "Enter")
    for side, words in (("left", "Nothing to say."), ("right", "say it twice")):
        turn = page.locator(f"#pg-{side} .pg-assistant[aria-busy=false]")
        turn.wait_for()
        assert words in turn.inner_text()


def test_runs_are_browsed_and_filtered_by_verdict(browser: Any, gateway: Gateway) -> None:
    page = listed(opened(browser, gateway))
    page.get_by_role("tab", name="Runs").click()
    page.locator("#pg-attempts label").nth(2).wait_for()
    assert "assert f(1) == 2" in page.locator("#pg-attempt").inner_text()
    page.locator("#pg-attempts label").nth(1).click()
    page.locator("#pg-attempt").get_by_text("reply <1>").wait_for()
    page.locator("#pg-kind input").click()
    page.get_by_role("option", name="wrong").click()
    page.wait_for_function("() => document.querySelectorAll('#pg-attempts label').length === 1")


def test_every_tab_fits_a_phone_in_light_and_dark(browser: Any, gateway: Gateway) -> None:
    for scheme in ("light", "dark"):
        page = listed(opened(browser, gateway, scheme=scheme, width=390))
        for name in ("Chat", "Complete", "Tests", "Compare", "Runs"):
            page.get_by_role("tab", name=name).click()
            page.get_by_role("tabpanel").locator("visible=true").first.wait_for()
            assert page.evaluate("document.documentElement.scrollWidth") <= 390, name
        dark = page.evaluate("document.body.classList.contains('dark')")
        assert dark is (scheme == "dark")


def test_a_gateway_with_keys_lets_the_page_do_only_what_the_key_may(
    browser: Any, tmp_path: Path
) -> None:
    from serve.keys import KeyRights, KeyStore

    store = KeyStore(tmp_path / "keys.sqlite", make=True)
    _, weak = store.add("weak", KeyRights())
    _, strong = store.add("strong", KeyRights(may_run_code=True))
    store.close()
    more = f"keys_file = {json.dumps(str(tmp_path / 'keys.sqlite'))}"
    served = Gateway(tmp_path / "page", more + "\nopen_health = true")
    try:
        served.wait_ready()
        page = opened(browser, served)
        page.locator("#pg-state .pg-error").wait_for()
        page.get_by_role("tab", name="Runs").click()
        page.get_by_text("runs are shown to holders of an API key only").wait_for()
        page.get_by_role("tab", name="Chat").click()
        page.fill("#pg-key input", weak)
        page.press("#pg-key input", "Enter")
        listed(page)
        turn = send(page, "loop")
        turn.get_by_role("button", name="Run", exact=True).click()
        turn.get_by_text("this key may not run code").wait_for()
        page.fill("#pg-key input", strong)
        turn.get_by_role("button", name="Run", exact=True).click()
        turn.locator(".pg-verdict[data-kind=timeout]").wait_for()
    finally:
        served.close()
