"""Whether what looks like a secret is one: placeholders, examples and documentation are not.

Does not guard: a real secret that holds the word "example" or is as regular as a placeholder, and
a made-up key that looks random; nobody could tell.
"""

from __future__ import annotations

import ipaddress
import math
import re
from collections import Counter
from typing import Final

# Ours, like the numbers below: words that stand in values which are meant to be replaced.
_STAND_IN: Final = re.compile(
    rb"example|sample|dummy|fake|mock|placeholder|replace|change.?me|change.?it|your|insert|redacted|"
    rb"secret_?(?:key|here|value)|password|passwd|todo|fixme|foo_?bar|xxxx|\.\.\.|\*\*\*|___|"
    rb"abcdef|bcdefg|123456|234567|987654|00000|qwerty|hunter2|s3cr3t|test|deadbeef|cafebabe|"
    rb"hello|lorem|undefined|process\.env|os\.environ|getenv|config\.|settings\.|self\.",
    re.IGNORECASE,
)
# A value that is filled in later, by a template or a shell.
_TEMPLATE: Final = re.compile(
    rb"\$\{|\$\(|\{\{|\}\}|<[%?A-Za-z]|%\(|%[sdr]|\{\w*\}|^\$\w|^%\w+%$|^@|^#\{"
)
_RUN: Final = re.compile(rb"(.)\1{4}")
_LONG: Final = 100  # bytes
_RANDOM_BITS: Final = 3.0  # ours: a byte, of what is random; hex of 32 digits has about 3.6
_PASSWORD_BITS: Final = 2.5


def entropy_bits(value: bytes) -> float:
    """Return the bits a byte of what `value` is made of (Shannon)."""
    return -sum(n / len(value) * math.log2(n / len(value)) for n in Counter(value).values())


def is_no_placeholder(match: re.Match[bytes]) -> bool:
    """Return False for a stand-in, a template or one sign again and again."""
    value = match["secret"]
    # In a long value a short word may stand by chance.
    stand_in = len(value) <= _LONG and _STAND_IN.search(value)
    return not (stand_in or _TEMPLATE.search(value) or _RUN.search(value))


def is_drawn(match: re.Match[bytes]) -> bool:
    """Return whether a value of a vendor's own form looks drawn and not made up."""
    return is_no_placeholder(match) and entropy_bits(match["secret"]) >= _RANDOM_BITS


def is_random(match: re.Match[bytes]) -> bool:
    """Return whether a value without a form of its own looks drawn: digits among its letters."""
    digits = sum(48 <= byte < 58 for byte in match["secret"])
    return digits >= 2 and is_drawn(match)


def is_password(match: re.Match[bytes]) -> bool:
    """Return whether a value is a password that someone chose: letters, and digits or marks."""
    value = match["secret"]
    if not is_no_placeholder(match) or entropy_bits(value) < _PASSWORD_BITS:
        return False
    letters = sum(chr(byte).isalpha() for byte in value)
    digits = sum(48 <= byte < 58 for byte in value)
    if any(byte in b"(){}[]<>;,$" for byte in value):
        return False  # code, or a path of it
    return letters > 0 and digits > 0


_URL_STAND_IN: Final = re.compile(rb"pass|pwd|secret|token|api_?key|credential", re.IGNORECASE)
_ROLE: Final = re.compile(rb"user|root|admin|guest|postgres|mysql|rabbitmq|minio|redis|db|key")


def is_url_password(match: re.Match[bytes]) -> bool:
    """Return whether the password in a URL is one; user:pass and the like are not."""
    value = match["secret"]
    if _URL_STAND_IN.search(value) or _ROLE.fullmatch(value.lower()):
        return False
    return is_no_placeholder(match) and not any(byte in b"(){}[]<>;,$%*" for byte in value)


def is_key_body(match: re.Match[bytes]) -> bool:
    """Return whether there is a key's body between the marks of a private key."""
    value = re.sub(rb"\\[nr]|[\s\"'+,;\\]", b"", match["secret"])
    plain = sum(chr(byte).isalnum() or byte in b"+/=" for byte in value)
    return len(value) >= 64 and plain >= 0.9 * len(value) and entropy_bits(value) >= 3.5


# Ours: the names after the last dot that are not of two letters (a country's are).
_ENDINGS: Final = frozenset(
    b"com org net edu gov mil int info biz name pro mobi tel jobs travel museum aero coop cat asia "
    b"dev app cloud online site tech xyz blog shop store page wiki club live life world today "
    b"berlin london paris tokyo email company network systems solutions digital agency software "
    b"technology group team work works space website science academy university global zone "
    b"foundation engineering design studio media news social community".split()
)
# RFC 2606 and RFC 6761: names that are nobody's.
_NOBODYS: Final = re.compile(
    rb"(?:^|[.@])(?:example|test|invalid|localhost|local|localdomain|internal|lan)"
    rb"(?:\.(?:com|org|net|edu|[a-z]{2}))?$"
)
_NOBODY: Final = re.compile(
    rb"(?:no-?_?reply|do-?not-?reply|user\d*|users?name|your\.?_?(?:name|e?-?mail)|name\d*|you|me|e?mail|"
    rb"someone|somebody|anyone|foo|bar|baz|foobar|test\w*|example|sample|dummy|fake|john\.?_?(?:doe|smith)|"
    rb"jane\.?_?(?:doe|smith)|alice|bob|joe|jdoe|git|hg|svn|ssh|root|xxx+|a|b|c|x|y|abc|nobody|none)"
)
_PLACES: Final = frozenset(
    b"email.com mail.com domain.com domain.tld company.com yourdomain.com mydomain.com test.com "
    b"host.com server.com foo.com bar.com foobar.com acme.com your.domain users.noreply.github.com "
    b"domain.org site.com website.com somewhere.com mycompany.com yourcompany.com host.name a.com "
    b"b.com x.com xyz.com abc.com foo.bar".split()
)


def is_address_of_someone(match: re.Match[bytes]) -> bool:
    """Return whether an e-mail address is somebody's: no example, no robot, no git@host."""
    local, _, place = match["secret"].lower().rpartition(b"@")
    ending = place.rpartition(b".")[2]
    if len(ending) != 2 and ending not in _ENDINGS:
        return False
    # The @ of Python's matrices, of a package's version, of a decorator behind a name.
    if place.startswith((b"self.", b"this.", b"np.", b"torch.")):
        return False
    return not (place in _PLACES or _NOBODYS.search(place) or _NOBODY.fullmatch(local))


# Resolvers and such that everybody writes.
_KNOWN: Final = frozenset(
    b"8.8.8.8 8.8.4.4 1.1.1.1 1.0.0.1 9.9.9.9 149.112.112.112 208.67.222.222 208.67.220.220 "
    b"4.2.2.1 4.2.2.2 4.2.2.4 114.114.114.114 223.5.5.5 169.254.169.254 1.2.3.4".split()
)
_HOST_WORD: Final = re.compile(
    rb"(?:ip|host|server|addr|dns|ssh|ping|peer|client|remote|listen|bind|://)"
    rb"[\w\"' ]{0,12}\W{0,4}$",
    re.IGNORECASE,
)
_VERSION_WORD: Final = re.compile(rb"(?:version|release|build|\bver|\brev)\W{0,4}$", re.IGNORECASE)


def is_public_ipv4(match: re.Match[bytes]) -> bool:
    """Return whether four numbers are the address of a machine that anybody can reach.

    Numbers of versions look the same: two of the four must be 32 or more (ours: 1 address in 140
    is not like that), or a word before must speak of a host.
    """
    value = match["secret"]
    parts = value.split(b".")
    if value in _KNOWN or any(len(part) > 1 and part[:1] == b"0" for part in parts):
        return False
    numbers = [int(part) for part in parts]
    if max(numbers) > 255 or numbers[3] in (0, 255):
        return False
    before = match.string[max(0, match.start() - 40) : match.start()]
    if _VERSION_WORD.search(before):
        return False
    if sum(number >= 32 for number in numbers) < 2 and not _HOST_WORD.search(before):
        return False
    address = ipaddress.IPv4Address(value.decode())
    return address.is_global and not address.is_multicast


def is_public_ipv6(match: re.Match[bytes]) -> bool:
    """Return whether it is an address that anybody can reach; the documentation's are not."""
    try:
        address = ipaddress.IPv6Address(match["secret"].decode())
    except ValueError:
        return False
    known = (
        match["secret"].lower().startswith((b"2001:4860:4860::", b"2606:4700:4700::", b"2620:fe::"))
    )
    return address.is_global and not known


def is_phone(match: re.Match[bytes]) -> bool:
    """Return whether it has as many digits as a number has (E.164: at most 15), and is no 555."""
    digits = re.sub(rb"\D", b"", match["secret"])
    return 9 <= len(digits) <= 15 and b"555" not in digits and not _STAND_IN.search(digits)
