"""What is looked for: each kind with its trigger and its exact shape.

A trigger is a short pattern of bounded length that a linear-time engine looks for in everything at
once; a shape is matched by `re` in a window of fixed size around a trigger, so that the whole scan
is linear in the text whatever it holds. In a shape the group `secret` is what is taken out.

The shapes are those that vendors write down for their keys. Read for breadth: gitleaks/gitleaks
config/gitleaks.toml and Yelp/detect-secrets detect_secrets/plugins (kinds of keys),
bigcode-project/bigcode-dataset pii/utils (personal data). Patterns and checks are ours.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from curate.secrets import doubt


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of finding.

    name: in reasons and counts. trigger: for hyperscan and RE2; matches at most 160 bytes of one
    line. shape: with the group `secret`. before, after: bytes around a trigger's end that the
    shape is sought in. stands: whether a match is meant, given the match and its window. mask: what
    `redaction` puts in its place.
    """

    name: str
    trigger: str
    shape: re.Pattern[bytes]
    stands: Callable[[re.Match[bytes]], bool]
    mask: str = "key"
    before: int = 160
    after: int = 512


def _key(name: str, shape: str, trigger: str = "", *, before: int = 160, after: int = 512) -> Kind:
    """Return a kind whose whole shape is the secret, with no letter or digit on either side.

    trigger: by default the shape itself, which then must be of bounded length.
    """
    return Kind(
        name=name,
        trigger=trigger or shape,
        shape=re.compile(rf"(?<![A-Za-z0-9_])(?P<secret>{shape})(?![A-Za-z0-9_])".encode()),
        stands=doubt.is_drawn,
        before=before,
        after=after,
    )


_KEYS: Final = (
    # Clouds.
    _key("aws access key", r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}"),
    _key("google api key", r"AIza[0-9A-Za-z_-]{35}"),
    _key("google oauth token", r"ya29\.[0-9A-Za-z_-]{30,400}", r"ya29\.[0-9A-Za-z_-]{30}"),
    _key("google client secret", r"GOCSPX-[0-9A-Za-z_-]{28}"),
    _key("digitalocean token", r"do[opr]_v1_[0-9a-f]{64}"),
    _key("alibaba access key", r"LTAI[0-9A-Za-z]{20}"),
    _key("heroku key", r"HRKU-[0-9A-Za-z_-]{36,80}", r"HRKU-[0-9A-Za-z_-]{36}"),
    _key("databricks token", r"dapi[0-9a-f]{32}(?:-\d)?", r"dapi[0-9a-f]{32}"),
    _key("planetscale token", r"pscale_(?:tkn|pw|oauth)_[0-9A-Za-z_.-]{32,64}",
         r"pscale_(?:tkn|pw|oauth)_[0-9A-Za-z_.-]{32}"),
    # Code hosts and registries.
    _key("github token", r"gh[pousr]_[0-9A-Za-z]{36}(?:[0-9A-Za-z]{40})?",
         r"gh[pousr]_[0-9A-Za-z]{36}"),
    _key("github fine-grained token", r"github_pat_[0-9A-Za-z_]{82}"),
    _key("gitlab token", r"gl(?:pat|ptt|dt|rt|cbt|ft|soat)-[0-9A-Za-z_-]{20,64}",
         r"gl(?:pat|ptt|dt|rt|cbt|ft|soat)-[0-9A-Za-z_-]{20}"),
    _key("npm token", r"npm_[0-9A-Za-z]{36}"),
    _key("pypi token", r"pypi-AgE[0-9A-Za-z_-]{50,400}", r"pypi-AgE[0-9A-Za-z_-]{50}"),
    _key("rubygems key", r"rubygems_[0-9a-f]{48}"),
    _key("crates.io token", r"cio[0-9A-Za-z]{32}"),
    _key("nuget key", r"oy2[a-z0-9]{43}"),
    _key("docker token", r"dckr_(?:pat|oat)_[0-9A-Za-z_-]{27,32}",
         r"dckr_(?:pat|oat)_[0-9A-Za-z_-]{27}"),
    # Talk and mail.
    _key("slack token", r"xox[abeoprs]-[0-9A-Za-z-]{20,250}", r"xox[abeoprs]-[0-9A-Za-z-]{20}"),
    _key("slack app token", r"xapp-\d-[0-9A-Z]{8,16}-\d{8,16}-[0-9a-f]{40,64}",
         r"xapp-\d-[0-9A-Z]{8,16}-\d{8}"),
    _key("telegram bot token", r"\d{8,10}:AA[0-9A-Za-z_-]{33}"),
    _key("sendgrid key", r"SG\.[0-9A-Za-z_-]{22}\.[0-9A-Za-z_-]{43}"),
    _key("mailgun key", r"key-[0-9a-f]{32}"),
    _key("mailchimp key", r"[0-9a-f]{32}-us\d{1,2}"),
    _key("brevo key", r"xkeysib-[0-9a-f]{64}-[0-9A-Za-z]{16}"),
    _key("twilio key", r"SK[0-9a-f]{32}"),
    _key("twilio account", r"AC[0-9a-f]{32}"),
    # Money.
    _key("stripe key", r"[sr]k_(?:live|test|prod)_[0-9A-Za-z]{16,200}",
         r"[sr]k_(?:live|test|prod)_[0-9A-Za-z]{16}"),
    _key("stripe webhook secret", r"whsec_[0-9A-Za-z+/=]{32,80}", r"whsec_[0-9A-Za-z+/]{32}"),
    _key("square token", r"sq0(?:atp|csp|idp)-[0-9A-Za-z_-]{22,43}",
         r"sq0(?:atp|csp|idp)-[0-9A-Za-z_-]{22}"),
    _key("shopify token", r"shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}"),
    # Models.
    _key("openai key",
         r"sk-(?:(?:proj|svcacct|admin)-)?[0-9A-Za-z_-]{20,80}T3BlbkFJ[0-9A-Za-z_-]{20,80}",
         r"T3BlbkFJ[0-9A-Za-z_-]{20}"),
    _key("anthropic key", r"sk-ant-[a-z]{3,6}\d\d-[0-9A-Za-z_-]{80,120}",
         r"sk-ant-[a-z]{3,6}\d\d-[0-9A-Za-z_-]{80}"),
    _key("hugging face token", r"(?:hf_|api_org_)[A-Za-z]{34}"),
    _key("replicate token", r"r8_[0-9A-Za-z]{37}"),
    _key("groq key", r"gsk_[0-9A-Za-z]{52}"),
    # Running things.
    _key("vault token", r"hv[sb]\.[0-9A-Za-z_-]{80,300}", r"hv[sb]\.[0-9A-Za-z_-]{80}"),
    _key("terraform token", r"[0-9A-Za-z]{14}\.atlasv1\.[0-9A-Za-z_=-]{60,70}",
         r"\.atlasv1\.[0-9A-Za-z_=-]{60}"),
    _key("grafana token", r"glsa_[0-9A-Za-z]{32}_[0-9a-fA-F]{8}"),
    _key("new relic key", r"NRAK-[0-9A-Z]{27}"),
    _key("sentry token", r"sntry[su]_[0-9A-Za-z+/=_]{40,300}", r"sntry[su]_[0-9A-Za-z+/=_]{40}"),
    _key("postman key", r"PMAK-[0-9a-f]{24}-[0-9a-f]{34}"),
    _key("linear key", r"lin_(?:api|oauth)_[0-9A-Za-z]{40}"),
    _key("notion token", r"ntn_[0-9A-Za-z]{40,50}", r"ntn_[0-9A-Za-z]{40}"),
    _key("age secret key", r"AGE-SECRET-KEY-1[0-9A-Z]{58}"),
    _key("json web token",
         r"eyJ[0-9A-Za-z_-]{10,2000}\.eyJ[0-9A-Za-z_-]{10,4000}\.[0-9A-Za-z_-]{20,1000}",
         r"\.eyJ[0-9A-Za-z_-]{10}", before=2048, after=4096),
)  # fmt: skip


def _in_context(name: str, trigger: str, shape: str, *, mask: str = "key", **more: int) -> Kind:
    stands = {"password": doubt.is_password, "url password": doubt.is_url_password}.get(
        mask, doubt.is_random
    )
    return Kind(
        name=name,
        trigger=trigger,
        shape=re.compile(shape.encode()),
        stands=stands,
        mask=mask,
        **more,
    )


# What a quoted value is given to: the name's last word says what it is.
_GIVEN: Final = r"[\"']?\s{0,4}(?:=>|:=|=|:)\s{0,4}[\"']"
_TOKEN_WORD: Final = (
    r"(?:secret|token|api[_.-]?key|access[_.-]?key|auth[_.-]?key|private[_.-]?key|client[_.-]?secret|"
    r"secret[_.-]?key|encryption[_.-]?key|app[_.-]?key)"
)
_PASS_WORD: Final = r"(?:password|passwd|passphrase|pwd)"

_CONTEXTS: Final = (
    _in_context(
        "aws secret key",
        r"(?i:aws)[\w\"' .-]{0,24}(?i:secret|sk)[\w\"' .-]{0,24}(?:=>|:=|=|:)\s{0,4}[\"']?"
        r"[0-9A-Za-z/+]{40}",
        r"(?i:aws)[\w\"' .-]{0,24}(?i:secret|sk)[\w\"' .-]{0,24}(?:=>|:=|=|:)\s{0,4}[\"']?"
        r"(?P<secret>[0-9A-Za-z/+]{40})(?![0-9A-Za-z/+=])",
    ),
    _in_context(
        "azure storage key",
        r"AccountKey=[0-9A-Za-z+/]{86}",
        r"AccountKey=(?P<secret>[0-9A-Za-z+/]{86}==)",
    ),
    _in_context(
        "azure shared signature",
        r"[?&]sig=[0-9A-Za-z%+/]{43}",
        r"[?&]sig=(?P<secret>[0-9A-Za-z%+/]{43,70}(?:%3D|=))",
    ),
    _in_context(
        "slack webhook",
        r"hooks\.slack\.com/services/T[0-9A-Z]{8,12}/B[0-9A-Z]{8,12}/[0-9A-Za-z]{20}",
        r"hooks\.slack\.com/services/(?P<secret>T[0-9A-Z]{8,12}/B[0-9A-Z]{8,12}/[0-9A-Za-z]{20,28})",
    ),
    _in_context(
        "discord webhook",
        r"discord(?:app)?\.com/api/webhooks/\d{17,20}/[0-9A-Za-z_-]{60}",
        r"discord(?:app)?\.com/api/webhooks/(?P<secret>\d{17,20}/[0-9A-Za-z_-]{60,72})",
    ),
    _in_context(
        "authorization header",
        r"(?i:authorization)[\"']?\s{0,2}[:=,]\s{0,2}[\"']?(?i:bearer|basic|token)\s{1,2}[0-9A-Za-z_.+/=-]{20}",
        r"(?i:authorization)[\"']?\s{0,2}[:=,]\s{0,2}[\"']?(?i:bearer|basic|token)\s{1,2}"
        r"(?P<secret>[0-9A-Za-z_.+/=-]{20,400})",
    ),
    _in_context(
        "key by its name",
        rf"(?i:{_TOKEN_WORD}){_GIVEN}[0-9A-Za-z_.+/=-]{{16}}",
        rf"(?i:{_TOKEN_WORD}){_GIVEN}(?P<secret>[0-9A-Za-z_.+/=-]{{16,256}})[\"']",
    ),
    _in_context(
        "password by its name",
        rf"(?i:{_PASS_WORD}){_GIVEN}[^\s\"']{{6}}",
        rf"(?i:{_PASS_WORD}){_GIVEN}(?P<secret>[^\s\"']{{6,64}})[\"']",
        mask="password",
    ),
    _in_context(
        "password in url",
        r"[A-Za-z0-9+.-]://[^\s/:@\"'<>]{1,64}:[^\s/@\"'<>]{3,64}@[A-Za-z0-9]",
        r"[A-Za-z0-9+.-]://[^\s/:@\"'<>]{1,64}:(?P<secret>[^\s/@\"'<>]{3,64})@[A-Za-z0-9]",
        mask="url password",
        before=192,
    ),
    Kind(
        name="private key",
        trigger=r"-----BEGIN [A-Z0-9 ]{0,24}PRIVATE KEY",
        # Lines may stand as such, or as \n and \r\n in a string, or quoted and joined.
        shape=re.compile(
            rb"-----BEGIN [A-Z0-9 ]{0,24}PRIVATE KEY(?: BLOCK)?-----"
            rb"(?:\\[nr]|[\s\"'+,;])*"
            rb"(?P<secret>[A-Za-z0-9](?:[^-]|-(?!----)){62,16000}[A-Za-z0-9/=])"
            rb"[^A-Za-z0-9/=]*-----END "
        ),
        stands=doubt.is_key_body,
        mask="block",
        before=64,
        after=17_000,
    ),
    Kind(
        name="putty private key",
        trigger=r"Private-Lines: \d{1,3}",
        shape=re.compile(
            rb"Private-Lines: \d{1,3}\r?\n"
            rb"(?P<secret>(?:[0-9A-Za-z+/=]{1,80}\r?\n){1,100}[0-9A-Za-z+/=]{1,80})"
        ),
        stands=doubt.is_key_body,
        mask="block",
        before=64,
        after=8_200,
    ),
)

_PERSONAL: Final = (
    Kind(
        name="e-mail",
        trigger=r"[A-Za-z0-9_+-]@[A-Za-z0-9]",
        shape=re.compile(
            rb"(?<![A-Za-z0-9._%+/:@-])(?P<secret>[A-Za-z0-9][A-Za-z0-9._%+-]{0,63}@"
            rb"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.){1,8}[A-Za-z]{2,12})(?![A-Za-z0-9@_-])"
        ),
        stands=doubt.is_address_of_someone,
        mask="e-mail",
        before=80,
        after=280,
    ),
    Kind(
        name="ipv4",
        trigger=r"\d\.\d{1,3}\.\d{1,3}\.\d",
        shape=re.compile(
            rb"(?<![\w.+-])(?P<secret>(?:[1-9]\d{0,2})\.(?:\d{1,3})\.(?:\d{1,3})\.(?:\d{1,3}))"
            rb"(?![\w+-]|\.\w)"
        ),
        stands=doubt.is_public_ipv4,
        mask="ipv4",
        before=64,
        after=16,
    ),
    Kind(
        name="ipv6",
        # Only 2000::/3 is given to anybody.
        trigger=r"[23][0-9A-Fa-f]{3}:[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:]",
        shape=re.compile(
            rb"(?<![\w:.])(?P<secret>[23][0-9A-Fa-f]{3}:[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:]{1,30})(?![\w:.])"
        ),
        stands=doubt.is_public_ipv6,
        mask="ipv6",
        before=48,
        after=48,
    ),
    Kind(
        name="phone",
        # Digits alone say nothing: only a number with its country that is said to be one.
        trigger=r"(?i:phone|mobile|tel|fax|whatsapp)[\w ]{0,12}[\"']?[\s:=.]{1,4}[\"']?\+[1-9]",
        shape=re.compile(
            rb"(?i:phone|mobile|tel|fax|whatsapp)[\w ]{0,12}[\"']?[\s:=.]{1,4}[\"']?"
            rb"(?P<secret>\+[1-9]\d{0,2}(?:[ .-]?\(?\d{1,5}\)?){2,6})(?!\d)"
        ),
        stands=doubt.is_phone,
        mask="phone",
        before=48,
        after=40,
    ),
)  # fmt: skip

SECRETS: Final[tuple[Kind, ...]] = _KEYS + _CONTEXTS
PERSONAL: Final[tuple[Kind, ...]] = _PERSONAL
