"""Numbers as people type them: 10,000 or 10_000, 10k, 1.5M, 1e5, full-width digits."""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal

GROUPED = re.compile(r"[1-9]\d{0,2}([,_ ]\d{3})+")
"""Thousands set apart. Not behind a leading zero: 0,001 means a small fraction to many."""
WITH_UNIT = re.compile(r"(\d{1,15}(?:\.\d{1,15})?)\s?([kmg])", re.IGNORECASE)
FACTORS = {"k": 10**3, "m": 10**6, "g": 10**9}
SCIENTIFIC = re.compile(r"\d{1,15}(\.\d{1,15})?e\+?\d{1,2}", re.IGNORECASE)
FRACTION = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)
MOST_DIGITS = 30
"""More than any setting has a use for, and few enough for every way of reading them."""


def whole_number(text: str) -> int | None:
    """The whole number that was typed; None where it is none."""
    text = _plain(text)
    if GROUPED.fullmatch(text):
        text = re.sub(r"\D", "", text)
    if len(text) > MOST_DIGITS:
        return None
    if re.fullmatch(r"[+-]?\d+", text):
        return int(text)
    if match := WITH_UNIT.fullmatch(text):
        return _whole(Decimal(match[1]) * FACTORS[match[2].lower()])
    return _whole(Decimal(text)) if SCIENTIFIC.fullmatch(text) else None


def decimal_number(text: str) -> float | None:
    """The number that was typed, with or without a fraction; None where it is none. Commas are refused: to some they
    part thousands, to others the fraction."""
    text = _plain(text)
    return float(text) if FRACTION.fullmatch(text) else None


def _plain(text: str) -> str:
    """Full-width digits and signs, and blanks of every width, as ASCII has them."""
    return unicodedata.normalize("NFKC", text).strip().replace("\N{MINUS SIGN}", "-")


def _whole(number: Decimal) -> int | None:
    return int(number) if number == number.to_integral_value() else None
