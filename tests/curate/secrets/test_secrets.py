"""Secrets and personal data: found, not imagined, and gone from the redacted text."""

from __future__ import annotations

import json
import random
import string
import time
from pathlib import Path

import pytest

pytest.importorskip("pyarrow")
pytest.importorskip("numpy")

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.catalogue import STEPS, make
from curate.engine import LocalEngine
from curate.kept import kept
from curate.recipe import CurateRecipe
from curate.running import run
from curate.secrets.kinds import PERSONAL, SECRETS
from curate.secrets.redaction import redact
from curate.secrets.scan import Engine, Finding, best_engine, find, kinds_of

ENGINES: list[Engine] = ["hyperscan", "re2"] if best_engine() == "hyperscan" else ["re2"]
_SIGNS = {
    "w": string.ascii_letters + string.digits,
    "h": string.digits + "abcdef",
    "u": string.ascii_uppercase + string.digits,
    "a": string.ascii_uppercase + "234567",
    "l": string.ascii_lowercase + string.digits,
    "d": string.digits,
    "A": string.ascii_letters,
}


def _made(pattern: str, seed: int = 0) -> str:
    """Return a pattern with "~w36~" replaced by 36 signs; so that no key stands in this file."""
    pieces = pattern.split("~")
    rng = random.Random(f"{pattern} {seed}")
    while True:
        found = "".join(
            "".join(rng.choice(_SIGNS[piece[0]]) for _ in range(int(piece[1:]))) if n % 2 else piece
            for n, piece in enumerate(pieces)
        )
        if len(set(found)) > 5:
            return found


# Each kind in a line of code.
MEANT = {
    "aws access key": 'key = "AKIA~a16~"',
    "google api key": 'maps("AIza~w35~")',
    "google oauth token": "ya29.~w60~",
    "google client secret": "secret: GOCSPX-~w28~",
    "digitalocean token": "dop_v1_~h64~",
    "alibaba access key": "id=LTAI~w20~",
    "heroku key": "HRKU-~w36~",
    "databricks token": "dapi~h32~",
    "planetscale token": "pscale_tkn_~w32~",
    "github token": "git clone https://ghp_~w36~@github.com/a/b",
    "github fine-grained token": "github_pat_~w82~",
    "gitlab token": "glpat-~w20~",
    "npm token": "//registry/:_authToken=npm_~w36~",
    "pypi token": "pypi-AgE~w120~",
    "rubygems key": "rubygems_~h48~",
    "crates.io token": "cio~w32~",
    "nuget key": "oy2~l43~",
    "docker token": "dckr_pat_~w27~",
    "slack token": "xoxb-~d11~-~d12~-~w24~",
    "slack app token": "xapp-1-A~u10~-~d13~-~h64~",
    "telegram bot token": "bot~d0~ ~d9~:AA~w33~",
    "sendgrid key": "SG.~w22~.~w43~",
    "mailgun key": "key-~h32~",
    "mailchimp key": "~h32~-us12",
    "brevo key": "xkeysib-~h64~-~w16~",
    "twilio key": "SK~h32~",
    "twilio account": "AC~h32~",
    "stripe key": "sk_live_~w24~",
    "stripe webhook secret": "whsec_~w32~",
    "square token": "sq0atp-~w22~",
    "shopify token": "shpat_~h32~",
    "openai key": "sk-proj-~w40~T3BlbkFJ~w40~",
    "anthropic key": "sk-ant-api03-~w93~",
    "hugging face token": "hf_~A34~",
    "replicate token": "r8_~w37~",
    "groq key": "gsk_~w52~",
    "vault token": "hvs.~w92~",
    "terraform token": "~w14~.atlasv1.~w64~",
    "grafana token": "glsa_~w32~_~h8~",
    "new relic key": "NRAK-~u27~",
    "sentry token": "sntrys_~w80~",
    "postman key": "PMAK-~h24~-~h34~",
    "linear key": "lin_api_~w40~",
    "notion token": "ntn_~w44~",
    "age secret key": "AGE-SECRET-KEY-1~u58~",
    "json web token": "eyJ~w30~.eyJ~w60~.~w43~",
    "aws secret key": "aws_secret_access_key = ~w40~",
    "azure storage key": "AccountName=a;AccountKey=~w86~==;",
    "azure shared signature": "https://a.blob.core.windows.net/c?sv=2020&sig=~w43~%3D",
    "slack webhook": "https://hooks.slack.com/services/T~u8~/B~u9~/~w24~",
    "discord webhook": "https://discord.com/api/webhooks/~d18~/~w68~",
    "authorization header": '-H "Authorization: Bearer ~w40~"',
    "key by its name": 'API_KEY = "~w32~"',
    "password by its name": "db_password: 'kLm9~l8~Z'",
    "password in url": "postgres://ada:kq7~w8~@db.internal:5432/x",
    "private key": (
        "-----BEGIN RSA PRIVATE KEY-----\n~w64~\n~w64~\n~w20~==\n-----END RSA PRIVATE KEY-----"
    ),
    "putty private key": "Private-Lines: 2\n~w64~\n~w64~\nPrivate-MAC: 1",
    "e-mail": "# Author: Ada Byron <ada.byron@lovelace.org.uk>",
    "ipv4": 'connect("91.198.174.192", 80)',
    "ipv6": "2a02:ec80:300:ed1a::1 dev eth0",
    "phone": 'phone = "+49 30 901820"',
}  # fmt: skip

NOT_MEANT = [
    'key = "AKIAIOSFODNN7EXAMPLE"',  # of the vendor's documentation
    "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    'token = "ghp_' + "x" * 36 + '"',
    'API_KEY = "YOUR_API_KEY_GOES_HERE"',
    'api_key = "${API_KEY}"',
    'secret = "{{ vault.secret }}"',
    'password = "password"',
    'password: "changeme123"',
    'password = os.environ["DB_PASSWORD"]',
    "pwd = '<your-password-1>'",
    'token = "com.company.product.module.Name"',
    "postgres://user:pass@localhost:5432/db",
    "redis://:$REDIS_PASSWORD@host",
    "https://example.com:8080/a@b",
    "mail someone@example.com or you@yourdomain.com",
    "git clone git@github.com:ada/engine.git",
    "ssh://git@gitlab.com/ada/engine.git",
    "noreply@github.com 1234+ada@users.noreply.github.com",
    "logo@2x.png left-pad@1.3.0 react@latest",
    "y = x@self.weight + A@B.T",
    "@app.route('/') def a(): pass",
    "version 91.198.174.192",
    "release 4.0.30319.1 v1.2.3.4 1.10.0.2",
    "1.3.6.1.4.1.311.60.2.1.3",
    "127.0.0.1 10.0.0.1 192.168.178.20 172.16.40.50 8.8.8.8 0.0.0.0 255.255.255.0 224.0.0.251",
    "203.0.113.77 198.51.100.99 192.0.2.40 2001:db8::1 fe80::1 ::1 2001:4860:4860::8888",
    "2023:10:11 std::vector<int>::iterator 2012:12:12",
    "phone = '+1 202 555 0143'",
    "tel = 5551234567; offset = +1234567890",
    "-----BEGIN RSA PRIVATE KEY-----\n...\n-----END RSA PRIVATE KEY-----",
    "-----BEGIN PUBLIC KEY-----\n" + _made("~w64~") + "\n-----END PUBLIC KEY-----",
    "sha256 = '" + _made("~h64~") + "'",
    "integrity sha512-" + _made("~w86~") + "==",
]


def _found(text: str, engine: Engine | None = None) -> list[Finding]:
    data = text.encode()
    return find(data, (0, len(data)), engine=engine).get(0, [])


def _redacted(text: str) -> str:
    return redact(text.encode(), _found(text)).decode()


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", sorted(MEANT))
def test_each_kind_is_found_and_is_gone_from_the_redacted_text(kind: str, engine: Engine) -> None:
    text = f"first\n{_made(MEANT[kind])}\nlast\n"
    found = _found(text, engine)
    assert [one.kind for one in found] == [kind]
    clean = redact(text.encode(), found).decode()
    assert _found(clean, engine) == []
    assert clean.startswith("first\n") and clean.endswith("\nlast\n")
    assert text.encode()[found[0].start : found[0].end].decode() not in clean


def test_every_kind_has_an_example_here() -> None:
    assert {kind.name for kind in SECRETS + PERSONAL} == set(MEANT)


@pytest.mark.parametrize("text", NOT_MEANT)
def test_placeholders_examples_and_look_alikes_are_left_alone(text: str) -> None:
    assert _found(text) == []


def test_personal_data_is_left_alone_where_only_secrets_are_asked_for() -> None:
    text = f"{_made(MEANT['e-mail'])}\n{_made(MEANT['npm token'])}\n".encode()
    assert [one.kind for one in find(text, (0, len(text)), personal=False)[0]] == ["npm token"]
    assert len(kinds_of(True)) == len(kinds_of(False)) + 4


def test_a_text_does_not_borrow_from_its_neighbour() -> None:
    whole = _made(MEANT["npm token"]).encode()
    cut = whole.index(b"npm_") + 20
    assert find(whole, (0, cut, len(whole))) == {}
    assert list(find(whole + whole, (0, len(whole), 2 * len(whole)))) == [0, 1]


def test_the_same_value_gets_the_same_stand_in() -> None:
    text = "a.byron@lovelace.org c.babbage@engine.org a.byron@lovelace.org 91.198.174.192"
    assert _redacted(text) == ("user1@example.com user2@example.com user1@example.com 192.0.2.1")


def test_code_still_parses_when_redacted() -> None:
    kinds = sorted(set(MEANT) - {"putty private key"})  # a file's form, not a string's
    text = "\n".join(f"a{n} = {_made(MEANT[kind])!r}" for n, kind in enumerate(kinds))
    assert [one.kind for one in _found(text)] == kinds
    compile(_redacted(text), "redacted", "exec")


_NOISE = st.text(
    st.sampled_from("ab9 \n\t\"'=:@./-_,;()<>{}é漢\U0001f600") | st.characters(codec="utf-8"),
    max_size=60,
)
_PIECES = st.lists(
    st.one_of(
        _NOISE,
        st.builds(_made, st.sampled_from(sorted(MEANT.values())), st.integers(0, 9)),
        st.sampled_from(NOT_MEANT),
    ),
    max_size=8,
)


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(texts=st.lists(st.builds("".join, _PIECES), min_size=1, max_size=4))
def test_whatever_the_text_nothing_is_left_and_nothing_else_is_changed(texts: list[str]) -> None:
    step = make(STEPS, "secrets", {}, "step")
    table = step.compute(pa.table({"text": pa.array(texts, pa.large_string())}))
    for text, count, redacted in zip(
        texts, table["value"].to_pylist(), table["redacted"].to_pylist(), strict=True
    ):
        data = text.encode()
        found = _found(text)
        assert len(found) == count and (redacted is None) == (not found)
        assert redacted is None or _found(redacted) == []
        # What lies between findings is there, in order, byte for byte.
        once, at = redact(data, found), 0
        for begin, end in zip(
            [0, *(one.end for one in found)],
            [*(one.start for one in found), len(data)],
            strict=True,
        ):
            at = once.index(data[begin:end], at) + end - begin
        assert once.endswith(data[found[-1].end :] if found else data)


@pytest.mark.slow
@pytest.mark.skipif(len(ENGINES) == 1, reason="hyperscan is not installed")
@settings(max_examples=150, deadline=None)
@given(text=st.builds("".join, _PIECES))
def test_both_engines_find_the_same(text: str) -> None:
    assert _found(text, "hyperscan") == _found(text, "re2")


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    "evil",
    ["a@" * 20_000, "password='" * 4_000, "-----BEGIN PRIVATE KEY" * 2_000, "1.1." * 10_000,
     "aws secret " * 4_000, ".eyJ0123456789" * 2_000, "://a:" * 8_000, "2001:" * 10_000],
)  # fmt: skip
def test_no_text_takes_more_than_its_length_is_worth(evil: str, engine: Engine) -> None:
    def cpu_s(text: str) -> float:
        began = time.process_time()
        _found(text, engine)
        return time.process_time() - began

    quarter = min(cpu_s(evil[: len(evil) // 4]) for _ in range(2))
    assert cpu_s(evil) < 12 * quarter + 0.5  # quadratic would be 16 times, from seconds on


@pytest.mark.slow
def test_a_recipe_reads_the_redacted_text_beside_the_document(tmp_path: Path) -> None:
    key = _made(MEANT["github token"])
    file = tmp_path / "a.jsonl"
    file.write_text("".join(json.dumps({"content": text}) + "\n" for text in (key, "x = 1")))
    recipe = CurateRecipe.model_validate(
        {
            "store": tmp_path / "store",
            "sources": [{"use": "jsonl", "options": {"files": [str(file)]}}],
            "steps": [{"use": "secrets"}],
            "workers": 1,
        }
    )
    with LocalEngine(1) as engine:
        result = run(recipe, engine)
    assert (result.documents, result.kept) == (2, 2)
    (table,) = kept(recipe, ("text", "secrets.kinds", "secrets.redacted"))
    assert table["secrets.kinds"].to_pylist() == ["github token 1", ""]
    first, second = table["secrets.redacted"].to_pylist()
    assert first == "git clone https://REDACTED_KEY@github.com/a/b" and second is None


def test_both_engines_find_the_same_in_real_files(curate_data: Path) -> None:
    zstandard = pytest.importorskip("zstandard")
    with (curate_data / "neardup_files.jsonl.zst").open("rb") as packed:
        lines = zstandard.ZstdDecompressor().stream_reader(packed).read().splitlines()
    texts = [json.loads(line)["content"].encode() for line in lines[:600]]
    bounds = [0]
    for text in texts:
        bounds.append(bounds[-1] + len(text))
    data = b"".join(texts)
    found = find(data, bounds, engine=ENGINES[0])
    assert found == find(data, bounds, engine="re2")
    # Shipped code: addresses of authors, and no keys but those that tests made up.
    kinds = [one.kind for findings in found.values() for one in findings]
    assert kinds.count("e-mail") > 50 and len(kinds) - kinds.count("e-mail") < 10
