"""Formulas in the words of a chemist, with amounts that are linear in x.

`A(3-x)M(1-x)M'(x)X6`, `A₃₋ₓM₁₋ₓM'ₓX₆`, `K2.3Zr0.7Y0.3Cl6`, `A2(OH)X`: element symbols and letters,
each with an amount, in brackets or not; groups in brackets too. Everything is exact.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from difflib import get_close_matches
from fractions import Fraction

from pymatgen.core.periodic_table import Element

from screening.errors import InvalidInput

ROUNDING = Fraction(1, 2000)  # 0.333 is read as 1/3
_EXACT_DENOMINATOR = 100  # 0.17 is 17/100
_LARGEST_DENOMINATOR = 48  # of a rounded fraction

_PLAIN = str.maketrans(
    "₀₁₂₃₄₅₆₇₈₉₊₋₌ₓ₍₎−–’′ʹ", "0123456789+-=x()--'''"
)  # one for one: positions in a message are those in the user's text
_LETTER = re.compile(r"[A-Z][a-wyzA-Z]*'*")
_ION = re.compile(r"([A-Z][a-z]?)(?:(\d*)([+-]))?")
_NAME = re.compile(r"[A-Z][a-wyz]?'*")
_AMOUNT = re.compile(r"[0-9.x+\-*/]+")
_TERM = re.compile(r"([+-]?)(\d+(?:\.\d*)?|\.\d+)?(?:/(\d+))?\*?(x)?(?:/(\d+))?")
_BRACKETS = {"(": ")", "[": "]"}


@dataclass(frozen=True)
class Amount:
    """constant + slope · x, in formula units."""

    constant: Fraction
    slope: Fraction = Fraction(0)

    def at(self, x: Fraction) -> Fraction:
        """The amount for one x."""
        return self.constant + self.slope * x

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.constant + other.constant, self.slope + other.slope)

    def __mul__(self, factor: Fraction | int) -> Amount:
        return Amount(self.constant * factor, self.slope * factor)

    def __str__(self) -> str:
        """As it stands in a formula: `6`, `2.5`, `(7/3)`, `(x)`, `(3-2x)`; nothing for 1."""
        if not self.slope:
            text = _decimal(self.constant)
            text = "" if text == "1" else text
            return f"({text})" if "/" in text or "-" in text else text
        size = abs(self.slope)
        x = ("" if size == 1 else _decimal(size)) + "x"
        if not self.constant:
            return f"({'-' if self.slope < 0 else ''}{x})"
        return f"({_decimal(self.constant)}{'-' if self.slope < 0 else '+'}{x})"


@dataclass(frozen=True)
class Formula:
    """Names with their amounts, in the order in which the formula names them first."""

    text: str = field(compare=False)
    amounts: Mapping[str, Amount]

    def __str__(self) -> str:
        """The formula without groups, each name once."""
        return "".join(f"{name}{amount}" for name, amount in self.amounts.items())

    @property
    def has_x(self) -> bool:
        """Whether any amount changes with x."""
        return any(amount.slope for amount in self.amounts.values())

    def limits(self) -> tuple[Fraction, Fraction | None]:
        """Smallest and largest x >= 0 for which no amount is negative; None: no upper limit.

        Raises:
            InvalidInput: there is no such x.
        """
        low, high = Fraction(0), None
        for name, amount in self.amounts.items():
            if amount.slope > 0:
                low = max(low, -amount.constant / amount.slope)
            elif amount.slope < 0:
                root = -amount.constant / amount.slope
                high = root if high is None else min(high, root)
            elif amount.constant <= 0:
                raise InvalidInput(
                    f"formula {self.text}: the amount of {name} is {_decimal(amount.constant)}; "
                    "needed: more than 0"
                )
        if high is not None and high < low:
            raise InvalidInput(
                f"formula {self.text}: at every x >= 0 some amount is negative; one needs x <= "
                f"{_decimal(high)}, another x >= {_decimal(low)}"
            )
        return low, high

    def at(self, x: Fraction) -> dict[str, Fraction]:
        """The amounts for one x; names of which nothing is left are not among them.

        Raises:
            InvalidInput: x makes an amount negative.
        """
        amounts = {name: amount.at(x) for name, amount in self.amounts.items()}
        for name, amount in amounts.items():
            if amount < 0:
                low, high = self.limits()
                span = (
                    f"{_decimal(low)} or more"
                    if high is None
                    else (f"{_decimal(low)} to {_decimal(high)}")
                )
                raise InvalidInput(
                    f"x = {_decimal(x)} makes the amount of {name} {_decimal(amount)}; formula "
                    f"{self.text} allows {span}"
                )
        return {name: amount for name, amount in amounts.items() if amount}


def parse_formula(text: str, letters: Collection[str] = ()) -> Formula:
    """Read a formula.

    Args:
        text: ASCII or with subscripts; amounts are numbers, fractions or linear in x, e.g. `2.3`,
            `(7/3)`, `(3-2x)`, `3-2x`.
        letters: names that are explained elsewhere; they win over element symbols.

    Raises:
        InvalidInput: with the position of what cannot be read.
    """
    return _Reader(text, letters).formula()


def parse_ion(text: str) -> tuple[str, int | None]:
    """An element and its oxidation state, if given: `Ta5+` is ("Ta", 5), `K` is ("K", None).

    Raises:
        InvalidInput: no such element, or not of that form.
    """
    match = _ION.fullmatch(text.translate(_PLAIN))
    if not match:
        raise InvalidInput(
            f'"{text}" is no ion; needed: an element or an element with its oxidation state, such '
            "as Ta or Ta5+"
        )
    symbol, size, sign = match.groups()
    check_element(symbol)
    if sign is None:
        return symbol, None
    state = int(size or 1) * (1 if sign == "+" else -1)
    if not state:
        raise InvalidInput(f'"{text}" has no charge; leave the charge out or give it')
    return symbol, state


def check_letter(name: str) -> None:
    """Let names pass that a formula may use for its choices: `M`, `M'`, `RE`.

    Raises:
        InvalidInput: a name that could not be told apart in a formula.
    """
    if not _LETTER.fullmatch(name.translate(_PLAIN)):
        raise InvalidInput(
            f'"{name}" is no name for a choice; needed: a capital, then letters other than x, then '
            "primes, such as M, M' or RE"
        )


def check_element(symbol: str) -> None:
    """Let element symbols pass.

    Raises:
        InvalidInput: with the nearest symbol.
    """
    symbols = _element_symbols()
    if symbol not in symbols:
        nearest = get_close_matches(symbol.capitalize(), symbols, n=1, cutoff=0)[0]
        raise InvalidInput(f'"{symbol}" is no element symbol; did you mean {nearest}?')


@functools.cache
def _element_symbols() -> tuple[str, ...]:
    return tuple(element.symbol for element in Element)


def exact_fraction(value: float) -> Fraction:
    """The fraction that a decimal number means.

    A decimal that is 1 over anything, or has a denominator of at most 100, is what it is. Others
    are the simplest fraction within one unit of the last digit, 1/2000 and 1 %, if that has a
    denominator up to 48 (0.333 is 1/3, 0.6667 is 2/3), and else what they are (0.165 is 33/200).
    """
    exact = Fraction(repr(value))
    if exact.denominator <= _EXACT_DENOMINATOR or exact.numerator == 1:
        return exact
    last_digit = Fraction(Decimal((0, (1,), int(Decimal(repr(value)).as_tuple().exponent))))
    tolerance = min(ROUNDING, abs(exact) / 100, max(last_digit, Fraction(1, 10**9)))
    for denominator in range(1, _LARGEST_DENOMINATOR + 1):
        near = Fraction(round(exact * denominator), denominator)
        if abs(near - exact) <= tolerance:
            return near
    return exact


def written(amount: Fraction) -> str:
    """An amount as people write it, rounded to four digits: 2.3, 0.3333, 1."""
    return f"{float(amount):.4g}"


def ion_formula(amounts: Sequence[tuple[str, Fraction]]) -> str:
    """Names with their amounts: `K2.3Zr0.7Y0.3Cl6`."""
    return "".join(name + ("" if n == 1 else written(n)) for name, n in amounts)


def _decimal(value: Fraction) -> str:
    """Exactly: as a decimal where that is short, else as a fraction."""
    short = Fraction(repr(round(float(value), 6))) if abs(value) < 10**6 else None
    if short == value:
        return f"{float(value):.10g}"
    return str(value)


class _Reader:
    """Recursive descent over one text."""

    def __init__(self, text: str, letters: Collection[str]) -> None:
        self._text = text
        self._plain = text.translate(_PLAIN)
        self._letters = {letter.translate(_PLAIN): letter for letter in letters}
        self._at = 0

    def formula(self) -> Formula:
        amounts = self._group(end="")
        if not amounts:
            raise self._error("is empty; needed: elements with amounts, such as KTaCl6")
        return Formula(self._text, amounts)

    def _error(self, message: str, at: int | None = None) -> InvalidInput:
        place = (self._at if at is None else at) + 1
        return InvalidInput(f'formula "{self._text}", character {place}: {message}')

    def _group(self, end: str) -> dict[str, Amount]:
        """Names and groups up to the closing bracket `end`, which is consumed."""
        start = self._at
        amounts: dict[str, Amount] = {}
        while True:
            self._skip_spaces()
            here = self._plain[self._at : self._at + 1]
            if here == end:
                self._at += len(end)
                return amounts
            if not here:
                raise self._error(f'"{self._text[start - 1]}" is never closed', start - 1)
            if here in _BRACKETS:
                begin = self._at
                self._at += 1
                inside = self._group(_BRACKETS[here])
                if not inside:
                    raise self._error("nothing in these brackets that an amount could be of", begin)
            elif here.isupper():
                inside = {self._name(): Amount(Fraction(1))}
            else:
                raise self._error(self._strange(here))
            factor = self._amount()
            for name, amount in inside.items():
                amounts[name] = amounts.get(name, Amount(Fraction(0))) + self._times(amount, factor)

    def _strange(self, here: str) -> str:
        if here in _BRACKETS.values():
            return f'"{here}" closes no bracket'
        if here.islower():
            return f'"{here}" begins no element or letter; those begin with a capital'
        return f'"{here}" where an element, a letter or a group was expected'

    def _times(self, amount: Amount, factor: Amount) -> Amount:
        if amount.slope and factor.slope:
            raise self._error("x times x; amounts are linear in x")
        return Amount(
            amount.constant * factor.constant,
            amount.constant * factor.slope + amount.slope * factor.constant,
        )

    def _skip_spaces(self) -> None:
        while self._plain[self._at : self._at + 1].isspace():
            self._at += 1

    def _name(self) -> str:
        """The longest explained name here, else an element symbol of two letters or one."""
        for plain in sorted(self._letters, key=len, reverse=True):
            end = self._at + len(plain)
            goes_on = re.match(r"[a-wyz']", self._plain[end:])
            if self._plain.startswith(plain, self._at) and not goes_on:
                self._at = end
                return self._letters[plain]
        match = _NAME.match(self._plain, self._at)
        assert match, "called at a capital letter only"
        name = match.group()
        try:
            check_element(name)
        except InvalidInput as error:
            raise self._error(f"{error} A letter of your own is explained under elements") from None
        self._at = match.end()
        return name

    def _amount(self) -> Amount:
        """The amount that follows a name or group: 1 where there is none."""
        self._skip_spaces()
        if self._plain[self._at : self._at + 1] in _BRACKETS:
            opening = self._plain[self._at]
            inside = re.split(r"[A-Z()\[\]]", self._plain[self._at + 1 :], maxsplit=1)[0]
            end = self._at + 1 + len(inside)
            if self._plain[end : end + 1] == _BRACKETS[opening]:
                amount = self._linear(inside.replace(" ", ""), self._at + 1)
                self._at = end + 1
                return amount
            if inside.strip():
                raise self._error(f'"{opening}" is never closed')
            return Amount(Fraction(1))  # a group of names, for the caller
        match = _AMOUNT.match(self._plain, self._at)
        if not match:
            return Amount(Fraction(1))
        amount = self._linear(match.group(), self._at)
        self._at = match.end()
        return amount

    def _linear(self, text: str, at: int) -> Amount:
        """`3-2x`, `x/2`, `7/3`, `0.5`: a sum of terms."""
        total, rest = Amount(Fraction(0)), text
        while rest:
            match = _TERM.match(rest)
            sign, number, divisor, x, second = match.groups() if match else (None,) * 5
            first = rest is text
            if not match or not (number or x) or not (first or sign):
                break
            size = exact_fraction(float(number)) if number else Fraction(1)
            divisors = [int(d) for d in (divisor, second) if d]
            if 0 in divisors or (divisor and not number):
                break
            for d in divisors:
                size /= d
            size = -size if sign == "-" else size
            total += Amount(Fraction(0), size) if x else Amount(size)
            rest = rest[match.end() :]
        if rest or not text:
            raise self._error(
                f'"{text}" is no amount; needed: a number or an expression linear in x, such as '
                "2.3, x or (3-2x)",
                at,
            )
        return total
