"""Finding personal data in text by their form: addresses and numbers that identify a person.

Found: e-mail addresses, telephone numbers, payment cards (Luhn check), bank accounts (IBAN check), United States
social security numbers, IP addresses. Names and street addresses have no form and are not found: this filter lowers
the risk, it does not remove it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One piece of personal data that was taken out; masked, so that a report does not spread it."""

    prompt_id: str
    kind: str
    masked: str
    """Its first character and its form, such as ``"j*** at ***"``; never the whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Redaction:
    """A text with its personal data replaced by their kind in brackets."""

    text: str
    findings: tuple[Finding, ...]


_HINT = re.compile(r"@|\d[ .()-]{0,2}\d[ .()-]{0,2}\d|\d\.\d")
"""Every kind has one of these in it; most texts have none, and are looked at once only."""
_EMAIL = re.compile(r"(?<![\w.+-])\w[\w.+-]{0,63}@(?:[\w-]{1,63}\.){1,8}[A-Za-z]{2,24}(?![\w-])")
_IBAN = re.compile(r"(?<!\w)[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?!\w)")
_CARD = re.compile(r"(?<![\w.-])\d(?:[ -]?\d){14,15}(?![\w-])")
_SSN = re.compile(r"(?<![\w.-])(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\w-])")
_IP = re.compile(r"(?<![\w.])(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)(?!\.?\w)")
_PHONE = re.compile(
    r"(?<![\w.+-])(?:"
    r"\+\d{1,3}[ .-]?(?:\(\d{1,4}\)[ .-]?)?\d{1,4}(?:[ .-]?\d{2,4}){2,4}"  # +44 20 7946 0958
    r"|\(\d{3}\) ?\d{3}[ .-]\d{4}"  # (212) 555-0123
    r"|(?:1[ .-])?\d{3}([.-])\d{3}\1\d{4}"  # 212-555-0123
    r")(?![\w-])"
)


def redact(text: str, prompt_id: str = "") -> Redaction:
    """Replace personal data in ``text``.

    >>> redact("Write to jo@example.org or call 212-555-0123.").text
    'Write to [email] or call [phone].'
    """
    findings: list[Finding] = []
    for kind, pattern, is_real in _DETECTORS if _HINT.search(text) else ():
        replaced = partial(_replaced, kind=kind, is_real=is_real, prompt_id=prompt_id, findings=findings)
        text = pattern.sub(replaced, text)
    return Redaction(text=text, findings=tuple(findings))


def _replaced(
    match: re.Match[str], kind: str, is_real: Callable[[str], bool], prompt_id: str, findings: list[Finding]
) -> str:
    found = match.group()
    if not is_real(found):
        return found
    masked = found[0] + re.sub(r"\w", "*", found[1:])
    findings.append(Finding(prompt_id=prompt_id, kind=kind, masked=masked))
    return f"[{kind}]"


def _passes_luhn(text: str) -> bool:
    """Whether the digits are a payment card's: a known form (16, or 15 of American Express) and ISO 7812's check."""
    digits = [int(character) for character in text if character.isdigit()]
    known = digits[0] in (2, 3, 4, 5, 6) if len(digits) == 16 else len(digits) == 15 and digits[:2] in ([3, 4], [3, 7])
    doubled = [digit * 2 - 9 * (digit > 4) for digit in digits[-2::-2]]
    return known and (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def _passes_iban(text: str) -> bool:
    """ISO 13616: the number made of the text, its first four characters at the end, is 1 modulo 97."""
    packed = text.replace(" ", "")
    number = "".join(str(int(character, 36)) for character in packed[4:] + packed[:4])
    return int(number) % 97 == 1


def _any(text: str) -> bool:
    return True


_DETECTORS: tuple[tuple[str, re.Pattern[str], Callable[[str], bool]], ...] = (
    ("email", _EMAIL, _any),
    ("iban", _IBAN, _passes_iban),
    ("card", _CARD, _passes_luhn),
    ("ssn", _SSN, _any),
    ("phone", _PHONE, _any),
    ("ip", _IP, _any),
)
